"""The nets of the bundle that a reader of the report may try: their weights under one seed."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from stages.shared import paths, try_it_nets
from stages.shared.architectures.closed_form import closed_form
from stages.shared.params import Params
from stages.shared.params.yaml_files import parse_yaml
from stages.shared.prepared_data import load_constants, shape_of
from stages.shared.stage_command import StageError
from stages.tools.reference import bundle, workspace


def add_missing(settings: Params, root: Path) -> None:
    """Train the nets to try that the bundle lacks, each under the protocol's first seed, and put them into it.

    They are chosen from all variants of params.yaml with few weights, so that git keeps little. A net whose variant is
    published is the same run once more: how many of its answers differ is printed, and none do on the same kind of CPU.
    root: a workspace in which `prepare` has run.
    """
    protocol = settings.protocol
    wanted = {variant: _digest(settings, variant) for variant in _wanted(settings, root)}
    there = {variant: entry["settings"] for variant, entry in bundle.nets(protocol).items()}
    if wanted == there:
        return
    print(f"reference: training nets to try: {', '.join(wanted)}", flush=True)
    work = root.with_name(f"{root.name}_nets")
    _lay_out(work, root, list(wanted), settings.chosen_protocol.seeds[0])
    workspace.run(work, "train")
    folders = try_it_nets.first_runs(work / "data" / "runs", wanted)
    for variant, folder in folders.items():
        _compare(protocol, variant, folder)
    if folders:
        _put(settings, folders, root / "data" / "prepared")
    shutil.rmtree(work)


def put_from(settings: Params, runs: Path, prepared: Path) -> None:
    """Write the nets to try that have run and have few weights into the bundle, unless it has these and others."""
    folders = try_it_nets.first_runs(runs, settings.variants)
    sizes = {variant: try_it_nets.n_weights(folder / try_it_nets.WEIGHTS) for variant, folder in folders.items()}
    chosen = _few_weights(settings, sizes)
    there = {variant: entry["settings"] for variant, entry in bundle.nets(settings.protocol).items()}
    if any(there.get(variant) != _digest(settings, variant) for variant in chosen):
        _put(settings, {variant: folders[variant] for variant in chosen}, prepared)


def _put(settings: Params, folders: dict[str, Path], prepared: Path) -> None:
    """folders: variant → the folder of its run."""
    digests = {variant: _digest(settings, variant) for variant in folders}
    bundle.pack_nets(settings.protocol, folders, digests, prepared)


def _wanted(settings: Params, root: Path) -> list[str]:
    constants, sizes = load_constants(root / "data" / "prepared"), {}
    for key, variant in settings.variants.items():
        if try_it_nets.kind_of(variant.run.architecture):
            shape = shape_of(variant.run.sample, constants)
            sizes[key] = closed_form(variant.run.architecture, shape, len(constants["classes"])).parameters
    return _few_weights(settings, sizes)


def _few_weights(settings: Params, sizes: dict[str, int]) -> list[str]:
    small = {variant: size for variant, size in sizes.items() if size <= try_it_nets.SMALL}
    return try_it_nets.chosen_nets(settings, small)


def _digest(settings: Params, variant: str) -> str:
    """Of what decides the training of a variant, whether or not the protocol trains it."""
    protocol = settings.chosen_protocol.model_dump(mode="json", include={"train_size", "val_size", "epochs", "margin"})
    run = settings.variants[variant].run.model_dump(mode="json", exclude={"sample": {"seeds"}})
    decisive = [protocol, settings.chosen_protocol.seeds[0], run, settings.data.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _lay_out(work: Path, root: Path, variants: list[str], seed: int) -> None:
    """A workspace with the data of another one, in which the protocol has these variants and this seed alone.

    Nothing is expected of them there, and they are in no family, whose reference would have to be trained too.
    """
    shutil.rmtree(work, ignore_errors=True)
    settings = root / "params.yaml"
    raw = parse_yaml(settings.read_bytes(), settings)
    chosen = raw["protocols"][raw["protocol"]]
    chosen |= {"variants": variants, "baseline": variants[0], "seeds": [seed], "few_seeds": [seed], "longer": None}
    raw["families"] = {}
    for variant in raw["variants"].values():
        variant["families"] = {}
    work.mkdir(parents=True)
    changed, hypotheses = work / "nets.json", work / "hypotheses.json"  # JSON is YAML too
    changed.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    hypotheses.write_text("{}", encoding="utf-8")
    workspace.lay_out(work, changed, hypotheses, raw["protocol"])
    for name in ("raw", "prepared"):
        (work / "data" / name).symlink_to(root / "data" / name)


def _compare(protocol: str, variant: str, folder: Path) -> None:
    """Print how many test images this run answers otherwise than the published run of the same seed."""
    if variant not in bundle.finished_variants(protocol):
        return
    with paths.scratch_folder("nets") as scratch:
        bundle.unpack_variants(protocol, [variant], scratch)
        published = load_file(scratch / "runs" / variant / folder.name / "predictions.safetensors")["predicted"]
    here = load_file(folder / "predictions.safetensors")["predicted"]
    if here.shape != published.shape:
        raise StageError(f"{variant}: {here.shape} answers, but {published.shape} are published")
    n_other = int(np.count_nonzero(here != published))
    print(f"reference: {variant}, {folder.name}: {n_other} of {len(here)} answers differ from the published run's")
