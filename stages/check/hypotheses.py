"""What of hypotheses.yaml would come to nothing: sources that are not in the bibliography, claims without a verdict."""

import re
from collections.abc import Mapping

from stages.shared import paths
from stages.shared.metrics import METRICS, POINTS
from stages.shared.params import Hypothesis, Params, ParamsError
from stages.shared.params.messages import guess, message

LARGE_EFFECT = 0.1  # ten percentage points: more than any choice of a net is asked to bring


def refuse_unknown_sources(settings: Params, hypotheses: Mapping[str, Hypothesis]) -> None:
    """Raises ParamsError, naming every source that report/references.bib lacks; an empty one cites nothing."""
    bibliography = paths.REPORT_SOURCES / "references.bib"
    if not bibliography.exists():
        return
    known = re.findall(r"^@\w+\{([^,\s]+),", bibliography.read_text(encoding="utf-8"), re.MULTILINE)
    of_variants = {
        f"variants.{key}.published": variant.published.source
        for key, variant in settings.variants.items()
        if variant.published
    }
    of_hypotheses = {key: hypothesis.source for key, hypothesis in hypotheses.items()}
    for file, sources in ((paths.PARAMS, of_variants), (paths.HYPOTHESES, of_hypotheses)):
        lines = [
            f"{where}.source = {source!r}: no entry of report/references.bib has this key{guess(source, known)}; "
            "add the entry there"
            for where, source in sources.items()
            if source and source not in known
        ]
        if lines:
            raise ParamsError(message(file, lines))


def warnings(settings: Params, hypotheses: Mapping[str, Hypothesis]) -> list[str]:
    """A line for each hypothesis of the protocol that cannot have a verdict, and for each that takes all for small."""
    needed, n_seeds = settings.inference.verdict_seeds, len(settings.chosen_protocol.seeds)
    lines = []
    for key, hypothesis in hypotheses.items():
        if METRICS[hypothesis.metric].unit == POINTS and hypothesis.smallest_effect >= LARGE_EFFECT:
            lines.append(
                f"hypotheses.yaml: {key}.smallest_effect = {hypothesis.smallest_effect:g} is "
                f"{100 * hypothesis.smallest_effect:g} percentage points; half a point is 0.005"
            )
        if set(hypothesis.contrast.variants) <= set(settings.active_variants) and n_seeds >= needed:
            few = [name for name in hypothesis.contrast.variants if len(settings.seeds(name)) < needed]
            lines += [
                f"hypotheses.yaml: {key} can have no verdict: {name} runs under {len(settings.seeds(name))} of the "
                f"{needed} seeds that it needs; add `sample: {{seeds: all}}` to variants.{name}.run"
                for name in dict.fromkeys(few)
            ]
    return lines


def plan(settings: Params) -> str:
    """What the settings ask for: "protocol 'default': 44 variants, 380 runs"; whether verdicts are out of reach."""
    variants = settings.trained_variants
    n_runs = sum(len(settings.seeds(key)) for key in variants)
    text = f"protocol {settings.protocol!r}: {len(variants)} variants, {n_runs} runs"
    needed, n_seeds = settings.inference.verdict_seeds, len(settings.chosen_protocol.seeds)
    if n_seeds < needed:
        text += f"; no verdicts, which need {needed} seeds, and it has {n_seeds}"
    timings = paths.TIMINGS / "train.json"
    seconds = paths.read_json(timings).get("runs", {}) if timings.exists() else {}
    if not set(variants) <= set(seconds):
        return text
    from stages.shared.process_pool import cores

    minutes = sum(seconds[key] * len(settings.seeds(key)) for key in variants) / cores() / 60
    return f"{text}; all of them took about {max(1, round(minutes))} min of training here, what is finished is kept"
