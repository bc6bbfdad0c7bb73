"""Record, before anything is trained, which hypotheses stand in hypotheses.yaml and whether their runs existed already.

Runs of a hypothesis exist if every variant of its contrast has a finished run under a seed that all of them share: then
the contrast could have been computed. A hypothesis about a new variant and one that ran long ago is thus declared
before its runs. A finished run is looked for in data/runs, in the store of finished runs, and in dvc.lock, which names
the settings of the last training also where its runs were never pulled or the code has changed since.

The store of finished runs has a copy of the record. A new clone, such as an experiment in a folder of its own, finds an
earlier experiment's runs in the store, but not its record; the copy shows what was declared before those runs.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from stages.shared import declared, paths
from stages.shared.declared import Claim, Record, claim_digest
from stages.shared.params import Hypothesis, Params
from stages.shared.params.yaml_files import read_yaml
from stages.shared.run_records import PlannedRun, Store, default_store, is_finished
from stages.train.runs import planned_runs

Finished = Callable[[str, int], bool]  # whether the run of a variant under a seed exists


def record(settings: Params, hypotheses: Mapping[str, Hypothesis], store: Callable[[], Store] = default_store) -> None:
    """Append every new wording of a hypothesis of the chosen protocol to its record. Nothing else is touched."""
    path = declared.record_path(settings)
    known = declared.read_record(path)
    active = settings.active_variants
    digests = {
        key: claim_digest(hypothesis)
        for key, hypothesis in hypotheses.items()
        if set(hypothesis.contrast.variants) <= set(active)
    }
    if path.exists() and not _new(known, digests):
        return
    kept = store()
    in_store = kept.folder / f"declared_{settings.protocol}.json"
    known = {key: claims for key, claims in declared.read_record(in_store).items() if key in digests} | known
    new = _new(known, digests)
    exists = _finished_runs(settings, [name for key in new for name in hypotheses[key].contrast.variants], kept)
    for key in new:
        claim = Claim(digest=digests[key], runs_existed=_could_be_judged(settings, hypotheses[key], exists))
        known.setdefault(key, []).append(claim)
    declared.write_record(path, known)
    partial = in_store.with_name(f".{in_store.name}.{os.getpid()}")  # another experiment may write it now
    declared.write_record(partial, known)
    os.replace(partial, in_store)


def _new(known: Record, digests: Mapping[str, str]) -> list[str]:
    """The hypotheses whose present wording is not the one that was recorded last."""
    return [key for key, digest in digests.items() if key not in known or known[key][-1].digest != digest]


def _could_be_judged(settings: Params, hypothesis: Hypothesis, exists: Finished) -> bool:
    variants = set(hypothesis.contrast.variants)
    shared_seeds = set.intersection(*(set(settings.seeds(variant)) for variant in variants))
    return any(all(exists(variant, seed) for variant in variants) for seed in shared_seeds)


def _finished_runs(settings: Params, variants: list[str], kept: Store) -> Finished:
    planned = {(run.variant, run.seed): run for run in planned_runs(settings, dict.fromkeys(variants))}
    locked = _runs_in_lock(settings)

    def exists(variant: str, seed: int) -> bool:
        run: PlannedRun = planned[variant, seed]
        return (variant, seed) in locked or is_finished(paths.RUNS / run.folder, run.digest) or kept.holds(run.digest)

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
    """Those with which the stage last ran. DVC writes "protocols.default" for a block in another."""
    settings: dict[str, Any] = {}
    for key, value in stages.get(stage, {}).get("params", {}).get("params.yaml", {}).items():
        *outer, name = key.split(".")
        block = settings
        for part in outer:
            block = block.setdefault(part, {})
        block[name] = value
    return settings


def _conditions(settings: dict[str, Any]) -> list[Any]:
    """What gives a variant the same run wherever the variant itself is described alike."""
    name = settings.get("protocol")
    protocol = settings.get("protocols", {}).get(name, {})
    of_protocol = [protocol.get(key) for key in ("train_size", "val_size", "epochs", "margin", "rates")]
    return [name, of_protocol, *(settings.get(block) for block in ("data", "sample", "architecture", "recipe"))]
