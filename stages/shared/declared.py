"""Whether a hypothesis stood before its runs: what its claim is, and the record that git keeps of it.

The record is data/declared/<protocol>.json: hypothesis → the claims that `train` has found in hypotheses.yaml, the
oldest first, each with whether runs existed by which it could already have been judged. It is appended to, never
rewritten, and has no dates: git's history of the file gives them.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from stages.shared import paths
from stages.shared.params import Block, Hypothesis, Params

# What a hypothesis claims, beside what it repeats of something published. Its source and its history are prose.
CLAIM = {"statement", "family", "contrast", "metric", "direction", "smallest_effect"}
BEFORE, ADDED, ALTERED = "before its runs", "added later", "altered later"


class Claim(Block):
    """One wording of a hypothesis. digest: of CLAIM. runs_existed: whether it could have been judged already."""

    digest: str
    runs_existed: bool


Record = dict[str, list[Claim]]


def claim_digest(hypothesis: Hypothesis) -> str:
    """SHA-256 of what the hypothesis claims."""
    claim = hypothesis.model_dump(mode="json", include=CLAIM)
    if hypothesis.published is not None:
        claim["published"] = hypothesis.published.model_dump(mode="json")
    return hashlib.sha256(json.dumps(claim, sort_keys=True).encode()).hexdigest()


def record_path(settings: Params) -> Path:
    """Where the record of the chosen protocol is."""
    return paths.DECLARED / f"{settings.protocol}.json"


def read_record(path: Path) -> Record:
    """Empty where there is none yet."""
    if not path.exists():
        return {}
    return {key: [Claim(**claim) for claim in claims] for key, claims in paths.read_json(path).items()}


def write_record(path: Path, record: Record) -> None:
    paths.write_json(path, {key: [claim.model_dump() for claim in claims] for key, claims in record.items()})


def status(hypothesis: Hypothesis, claims: Sequence[Claim]) -> str:
    """Return BEFORE, ADDED or ALTERED; empty for a hypothesis that is not in the record.

    What was done after runs existed is never forgotten, not even when the first wording is put back or the runs are
    made anew. What hypotheses.yaml discloses of the time before the record counts as well.
    """
    if not claims:
        return ""
    disclosed = {change.kind for change in hypothesis.history}
    if claims[0].runs_existed or "added" in disclosed:
        return ADDED
    if any(claim.runs_existed for claim in claims) or "altered" in disclosed:
        return ALTERED
    return BEFORE
