"""Record, before anything is trained, which hypotheses stand in hypotheses.yaml and whether their runs existed already.

Runs of a hypothesis exist if every variant of its contrast has a finished run under a seed that all of them share: then
the contrast could have been computed. A hypothesis about a new variant and one that ran long ago is thus declared
before its runs. A finished run is looked for in data/runs, in the store of finished runs, and in dvc.lock, which names
the settings of the last training also where its runs were never pulled or the code has changed since.
"""

from collections.abc import Callable, Mapping
from typing import Any

from stages.shared import declared, paths
from stages.shared.declared import Claim, claim_digest
from stages.shared.params import Hypothesis, Params
from stages.shared.params.yaml_files import read_yaml
from stages.shared.run_records import PlannedRun, Store, default_store, is_finished
from stages.train.runs import planned_runs

Finished = Callable[[str, int], bool]  # whether the run of a variant under a seed exists


def record(settings: Params, hypotheses: Mapping[str, Hypothesis], store: Callable[[], Store] = default_store) -> None:
    """Append every new wording of a hypothesis of the chosen protocol to its record. Nothing else is touched."""
    known = declared.read_record(settings)
    active = settings.active_variants
    digests = {
        key: claim_digest(hypothesis)
        for key, hypothesis in hypotheses.items()
        if set(hypothesis.contrast.variants) <= set(active)
    }
    new = [key for key, digest in digests.items() if key not in known or known[key][-1].digest != digest]
    if new or not known:
        exists = _finished_runs(settings, [name for key in new for name in hypotheses[key].contrast.variants], store)
        for key in new:
            claim = Claim(digest=digests[key], runs_existed=_could_be_judged(settings, hypotheses[key], exists))
            known.setdefault(key, []).append(claim)
        declared.write_record(settings, known)


def _could_be_judged(settings: Params, hypothesis: Hypothesis, exists: Finished) -> bool:
    variants = set(hypothesis.contrast.variants)
    shared_seeds = set.intersection(*(set(settings.seeds(variant)) for variant in variants))
    return any(all(exists(variant, seed) for variant in variants) for seed in shared_seeds)


def _finished_runs(settings: Params, variants: list[str], store: Callable[[], Store]) -> Finished:
    planned = {(run.variant, run.seed): run for run in planned_runs(settings, dict.fromkeys(variants))}
    locked = _runs_in_lock(settings)
    kept = store() if planned else None

    def exists(variant: str, seed: int) -> bool:
        run: PlannedRun = planned[variant, seed]
        return (
            (variant, seed) in locked
            or is_finished(paths.RUNS / run.folder, run.digest)
            or (kept is not None and kept.holds(run.digest))
        )

    return exists


def _runs_in_lock(settings: Params) -> set[tuple[str, int]]:
    """(variant, seed) of the runs that dvc.lock says were trained, where their settings are those of today."""
    if not paths.DVC_LOCK.exists():
        return set()
    stages = read_yaml(paths.DVC_LOCK).get("stages", {})
    there = _locked_settings(stages, "prepare") | _locked_settings(stages, "train")
    here = read_yaml(paths.PARAMS)
    if _conditions(there) != _conditions(here):
        return set()
    protocol, runs = there["protocols"][there["protocol"]], set()
    for variant in protocol["variants"]:
        run = there["variants"][variant]["run"]
        if run == here["variants"].get(variant, {}).get("run"):
            few_or_all = run.get("sample", {}).get("seeds", there["sample"]["seeds"])
            runs |= {(variant, seed) for seed in protocol["seeds" if few_or_all == "all" else "few_seeds"]}
    return runs


def _locked_settings(stages: dict[str, Any], stage: str) -> dict[str, Any]:
    settings: dict[str, Any] = stages.get(stage, {}).get("params", {}).get("params.yaml", {})
    return settings


def _conditions(settings: dict[str, Any]) -> list[Any]:
    """What gives a variant the same run wherever the variant itself is described alike."""
    name = settings.get("protocol")
    protocol = settings.get("protocols", {}).get(name, {})
    of_protocol = [protocol.get(key) for key in ("train_size", "val_size", "epochs", "margin")]
    return [name, of_protocol, *(settings.get(block) for block in ("data", "sample", "architecture", "recipe"))]
