"""Train and probe a protocol, one variant after another, and put what is finished into the bundle meanwhile."""

import shutil
from pathlib import Path

from stages.cloud import settings as compute_settings
from stages.shared import params, paths
from stages.shared.params import Params
from stages.shared.process_pool import cores
from stages.shared.stage_command import StageError, need
from stages.tools.reference import bundle, nets, workspace
from stages.tools.reference.settings import is_trained_here, trained_as
from stages.train.runs import device_kind

SAVED_EVERY = 600  # seconds of training, or one run on each core where that takes longer
WORK = paths.DATA / "long_runs"


def make(protocol: str) -> None:
    """Make what the bundle lacks. It may be broken off at any time, and goes on after the last seeds that are there.

    A variant whose settings have changed is made again. Where no variant is missing, the settings and tables are made
    again. The workspace with what is not in the bundle yet, the weights among it, is data/long_runs/<protocol>.
    """
    root = WORK / protocol
    workspace.lay_out(root, paths.PARAMS, paths.HYPOTHESES, protocol)
    settings = params.load(root / "params.yaml")
    _remove_outdated(settings)
    _restore_record(root, protocol)
    for stage in ("download", "prepare", "eda"):
        workspace.run(root, stage)
    nets.add_missing(settings, root)
    planned = in_order(settings)
    missing = [variant for variant in planned if variant not in bundle.finished_variants(protocol)]
    for variant in missing:
        print(f"reference: {variant}, {planned.index(variant) + 1} of {len(planned)}", flush=True)
        _make_variant(settings, variant, root)
        for kind in ("runs", "probes"):
            shutil.rmtree(root / "data" / kind / variant)
        shutil.rmtree(root / "data" / "finished_runs", ignore_errors=True)
        finish(settings, root)
    if not missing:
        print("reference: every variant is there; the settings and tables beside them are made again", flush=True)
        bundle.keep_settings(protocol, root)
        finish(settings, root)


def _make_variant(settings: Params, variant: str, root: Path) -> None:
    """Train and probe a variant, a few seeds at a time. Those that are finished are put into the bundle each time."""
    protocol, data, planned = settings.protocol, root / "data", settings.seeds(variant)
    finished = bundle.unpack_unfinished(protocol, variant, data)
    machine = bundle.trained_on(protocol).get(variant) if finished else None
    while missing := [seed for seed in planned if seed not in finished]:
        print(f"reference: {variant}: {len(finished)} of {len(planned)} seeds are finished", flush=True)
        seeds = missing[: _seeds_at_once(settings, variant, data)]
        for stage in ("train", "probe"):
            workspace.run(root, stage, variant, "--seeds", *map(str, seeds))
        if machine or not finished:  # else nobody knows what trained the earlier seeds
            machine = bundle.machine_of(data, machine)
        finished += seeds
        bundle.keep_settings(protocol, root)
        if len(seeds) < len(missing):
            bundle.pack_unfinished(protocol, variant, finished, data, machine)
    bundle.pack_variant(protocol, variant, data, machine)


def _seeds_at_once(settings: Params, variant: str, data: Path) -> int:
    """As many as train in SAVED_EVERY seconds, at least one on each core; every seed on a GPU and on SageMaker."""
    if compute_settings.backend() == "sagemaker" or device_kind(settings) == "cuda":
        return len(settings.seeds(variant))
    timings = data / "timings" / "train.json"
    seconds_of_one = paths.read_json(timings)["runs"].get(variant, SAVED_EVERY) if timings.exists() else SAVED_EVERY
    return cores() * max(1, int(SAVED_EVERY / max(1, seconds_of_one)))


def in_order(settings: Params) -> list[str]:
    """The variants in the order of the protocol, so that those that matter most are finished first."""
    order = list(settings.chosen_protocol.variants)
    later = [variant for variant in settings.trained_variants if variant not in order]
    return [*(variant for variant in order if variant in settings.trained_variants), *later]


def add_nets(protocol: str) -> None:
    """Make the nets to try that the bundle lacks, and nothing else: minutes."""
    root = WORK / protocol
    workspace.lay_out(root, paths.PARAMS, paths.HYPOTHESES, protocol)
    for stage in ("download", "prepare"):
        workspace.run(root, stage)
    nets.add_missing(params.load(root / "params.yaml"), root)


def publish(settings: Params) -> None:
    """Put the results of this workspace, whose protocol is finished, into the bundle."""
    need(paths.PREPARED, "prepare")
    need(paths.RESULTS, "collect")
    protocol = settings.protocol
    unfinished = [variant for variant in settings.trained_variants if not is_trained_here(settings, variant)]
    if unfinished:
        raise StageError(f"not finished here: {', '.join(unfinished)}; `dvc repro` trains them; nothing was published")
    need(paths.DECLARED / f"{protocol}.json", "train")
    _remove_outdated(settings)
    for variant in settings.trained_variants:
        bundle.pack_variant(protocol, variant, paths.DATA)
    bundle.keep_settings(protocol, paths.ROOT)
    _keep_tables(protocol, paths.DATA)
    nets.put_from(settings, paths.RUNS, paths.PREPARED)
    print(f"reference: protocol {protocol}, {len(settings.trained_variants)} variants → {bundle.folder(protocol)}")


def _keep_tables(protocol: str, data: Path) -> None:
    bundle.pack_data(protocol, data)
    shutil.copyfile(data / "results" / "hypotheses.csv", bundle.folder(protocol) / "hypotheses.csv")


def finish(settings: Params, root: Path) -> None:
    """Bring the parts of the bundle up to date that depend on every variant: the images that the report shows."""
    protocol = settings.protocol
    available = bundle.finished_variants(protocol)
    if settings.baseline not in available:
        return
    with paths.scratch_folder("reference") as so_far:
        workspace.lay_out(so_far, root / "params.yaml", root / "hypotheses.yaml", protocol, available)
        for name in ("raw", "prepared", "eda", "declared"):
            (so_far / "data" / name).symlink_to(root / "data" / name)
        bundle.unpack_variants(protocol, available, so_far / "data")
        workspace.run(so_far, "collect")
        _keep_tables(protocol, so_far / "data")


def _remove_outdated(settings: Params) -> None:
    """Remove the archives of variants that the settings of today would train otherwise, or not at all."""
    protocol = settings.protocol
    kept = bundle.folder(protocol) / "params.yaml"
    if not kept.exists():
        return
    before = params.load(kept)
    for variant in [*bundle.finished_variants(protocol), *bundle.unfinished_variants(protocol)]:
        if trained_as(settings, variant) != trained_as(before, variant):
            print(f"reference: {variant} is made again, since its settings have changed", flush=True)
            bundle.remove(protocol, variant)


def _restore_record(root: Path, protocol: str) -> None:
    """The record of the hypotheses says of the first training whether their runs existed; a later one must not."""
    kept, record = bundle.folder(protocol) / f"{protocol}.json", root / "data" / "declared" / f"{protocol}.json"
    if kept.exists() and not record.exists():
        record.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, record)
    if [*bundle.finished_variants(protocol), *bundle.unfinished_variants(protocol)] and not kept.exists():
        raise StageError(f"{kept.relative_to(paths.ROOT)} is missing; `git checkout` brings it back")
