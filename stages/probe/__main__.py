"""Probe every trained run that is not probed yet: `python -m stages.probe`."""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from stages.probe.probe_spec import ProbeSpec
from stages.shared import paths, run_records, stage_command
from stages.shared.params import Params
from stages.shared.process_pool import Report, run_parallel
from stages.shared.run_records import PlannedRun
from stages.shared.stage_command import StageError


def main(settings: Params) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.probe", description=__doc__)
    parser.add_argument("variant", nargs="*", help="probe only these variants of the protocol (default: all of them)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="probe only the runs under these seeds")
    arguments = parser.parse_args()
    chosen = settings.chosen_variants(arguments.variant)
    stage_command.need(paths.PREPARED, "prepare")
    paths.clear_scratch("probe")
    stage_command.need(paths.RUNS, "train")
    with stage_command.timed("probe") as record:
        planned = planned_probes(settings, chosen, arguments.seeds)
        if chosen == list(settings.trained_variants) and not arguments.seeds:
            run_records.remove_others(planned, paths.PROBES)
        missing = run_records.missing_runs(planned, paths.PROBES)
        print(f"probe: {len(planned) - len(missing)} of {len(planned)} runs are probed", flush=True)
        if missing:
            record["core_seconds"] = round(sum(probe_missing(missing)), 2)


def planned_probes(settings: Params, variants: Sequence[str], seeds: Sequence[int] = ()) -> list[PlannedRun]:
    """The trained runs of these variants under these seeds, or under every seed, but those that diverged.

    Pictures are taken of a variant's first run that did not diverge, unless those under its other seeds have them.
    Raises StageError if a run that the protocol asks for is not trained.
    """
    files = run_records.file_digests("stages.probe.run", paths.PREPARED)
    planned = []
    for variant in variants:
        chosen = settings.chosen_seeds(variant, seeds)
        others = [paths.PROBES / variant / f"seed_{seed}" for seed in settings.seeds(variant) if seed not in chosen]
        pictures = not any((folder / "pictures.safetensors").exists() for folder in others)
        for seed in chosen:
            weights = _weights_digest(variant, seed)
            if weights is None:
                continue
            run = settings.trained_variants[variant].run
            spec = ProbeSpec(
                seed=seed,
                weights=weights,
                sample=run.sample,
                architecture=run.architecture,
                probe=settings.probe,
                shifted_images=settings.chosen_protocol.probe_images,
                pictures=pictures,
                instruction_set=settings.machine.instruction_set,
            )
            pictures = False
            own = run_records.own_net_digests(run.architecture.own_module)
            digest = run_records.run_digest(spec.determining_settings(), files | own)
            planned.append(PlannedRun(variant, seed, digest, spec))
    return planned


def _weights_digest(variant: str, seed: int) -> str | None:
    """SHA-256 of a trained run's weights, by its record; None if it diverged and has none."""
    folder = paths.RUNS / variant / f"seed_{seed}"
    if not run_records.is_whole(folder):
        raise StageError(f"{folder.relative_to(paths.ROOT)} is not whole; `dvc repro train` makes it again")
    files: dict[str, str] = paths.read_json(folder / run_records.RECORD)["files"]
    return files.get("weights.safetensors")


def probe_missing(missing: Sequence[PlannedRun]) -> list[float]:
    """Probe these runs on all cores. Returns the seconds that each took on one core."""
    from stages.probe import run  # noqa: F401  (torch: imported once, before the processes part)

    store = run_records.default_store()
    with paths.scratch_folder("probe") as scratch:
        return run_parallel(partial(_probe_one, scratch, store), missing, len(missing), f"probe {len(missing)} runs")


def _probe_one(scratch: Path, store: run_records.Store, run: PlannedRun, report: Report) -> float:
    from stages.probe.run import probe_run

    start = time.monotonic()
    folder = scratch / run.digest
    folder.mkdir()
    probe_run(run.spec, paths.RUNS / run.folder / "weights.safetensors", paths.PREPARED, folder)
    run_records.write_record(folder, run.digest)
    run_records.place(run, folder, paths.PROBES, store)
    report(1, f"{run.variant}, seed {run.seed}")
    return time.monotonic() - start


if __name__ == "__main__":
    stage_command.run_stage(main)
