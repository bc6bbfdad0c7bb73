"""Invented runs, probes and prepared data in the pipeline's own format: small, seeded, and shaped by the test that asks."""

import json
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import save_file

from stages import params, paths
from stages.architectures.closed_form import closed_form
from stages.collect import outputs, read, tables
from stages.figures import results

REPOSITORY = Path(__file__).parents[1]
# Mean accuracies that a real run might have; any other variant gets one near 0.9.
MEANS = {
    "cnn": 0.905, "locally_connected": 0.894, "fully_connected": 0.868, "cnn_permuted": 0.858, "fully_connected_permuted": 0.866,
    "kernel_1": 0.853, "kernel_5": 0.908, "kernel_7": 0.907, "depth_1": 0.887, "depth_3": 0.909, "stride_2": 0.889,
    "average_pool": 0.900, "global_average": 0.843,
}  # fmt: skip


def settings(change: Any = None) -> dict[str, Any]:
    """The repository's params.yaml as a mapping, after `change(mapping)`."""
    raw = YAML(typ="safe", pure=True).load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    if change is not None:
        change(raw)
    return raw


def only(raw: dict[str, Any], *variants: str) -> None:
    """Leave the named variants, and what still can be said of them."""
    raw["contrasts"] = {key: about for key, about in raw["contrasts"].items() if {about["variant"], about["reference"]} <= set(variants)}
    raw["families"] = {key: about for key, about in raw["families"].items() if about["reference"] in variants}
    raw["variants"] = {key: raw["variants"][key] for key in variants}
    for variant in raw["variants"].values():
        variant["families"] = {family: level for family, level in variant["families"].items() if family in raw["families"]}


def seeds(number: int) -> Any:
    return lambda raw: raw["protocols"]["default"].update(seeds=list(range(number)))


def three(raw: dict[str, Any]) -> None:
    only(raw, "cnn", "kernel_5", "fully_connected")


def signal(raw: dict[str, Any]) -> None:
    three(raw)
    raw["data"] |= {"dataset": "npz", "file": "x.npz"}
    raw["architecture"] |= {"kernel": [1, 3], "pool_size": [1, 2]}
    raw["variants"]["kernel_5"]["run"] = {"architecture": {"kernel": [1, 5]}}


def forty(raw: dict[str, Any]) -> None:
    for number, family in zip(range(23), cycle(list(raw["families"])), strict=False):
        raw["variants"][f"extra_{number}"] = {"families": {family: f"level {number}"}, "run": {"architecture": {"channels": [17 + number, 32]}}}


# What may run: a change of params.yaml, and of the invented data.
RUNS = {
    "default": (None, {}),
    "three": (three, {}),
    "without MLP": (lambda raw: only(raw, "cnn", "kernel_5", "locally_connected"), {}),
    "one variant": (lambda raw: only(raw, "cnn"), {}),
    "MLP alone": (lambda raw: (only(raw, "fully_connected"), raw.update(baseline="fully_connected")), {}),
    "one seed": (lambda raw: (three(raw), seeds(1)(raw)), {}),
    "quick": (lambda raw: raw.update(protocol="quick"), {}),
    "no margin": (lambda raw: (three(raw), raw["data"].update(margin=0)), {}),
    "signal": (signal, {"shape": (1, 64, 1), "classes": ["low", "high"]}),
    "100 classes, RGB": (
        lambda raw: (only(raw, "cnn", "kernel_5"), raw["protocols"]["default"].update(epochs=1)),
        {"shape": (32, 32, 3), "classes": [f"class {i}" for i in range(100)]},
    ),
    "no family": (lambda raw: (only(raw, "cnn", "kernel_5"), raw.update(families={}), [v.update(families={}) for v in raw["variants"].values()]), {}),
    "a class never right": (lambda raw: only(raw, "cnn", "kernel_5"), {"n_test": 8, "means": {"cnn": [0.0] * 5, "kernel_5": [0.5] * 5}}),
    "perfect": (lambda raw: only(raw, "cnn", "kernel_5"), {"means": {"cnn": [1.0] * 5, "kernel_5": [1.0] * 5}}),
    "forty": (forty, {}),
}


def make_root(root: Path, raw: dict[str, Any], **choices: Any) -> params.Params:
    """Write params.yaml and everything that download, prepare, train and probe would leave under `root`."""
    loaded = write_params(root, raw)
    write_data(root / "data", loaded, **choices)
    return loaded


def write_params(root: Path, raw: dict[str, Any]) -> params.Params:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(raw, file)
    return params.load(root / "params.yaml")


def write_data(
    data: Path, loaded: params.Params, classes: list[str] | None = None, shape: tuple[int, int, int] = (28, 28, 1),
    n_test: int = 1000, means: dict[str, float | list[float]] | None = None, spread: float = 0.0015, seed: int = 0,
) -> None:  # fmt: skip
    """shape: (height, width, channels) of the raw images. spread: standard deviation of the accuracy over seeds.

    means: of the variants named, the mean accuracy, or the accuracy of each seed.
    """
    rng = np.random.default_rng(seed)
    classes = classes or ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    height, width, channels = shape
    margins = [0 if size == 1 else loaded.data.margin for size in (height, width)]
    labels = np.arange(n_test, dtype=np.int64) % len(classes)
    _json(data / "raw/dataset.json", {"name": "fake", "title": "Fashion-MNIST", "classes": classes, "height": height, "width": width, "channels": channels})
    (data / "prepared/original").mkdir(parents=True)
    save_file({"labels": labels}, data / "prepared/original/test.safetensors")
    counts = {"train": [1000] * len(classes), "val": [500] * len(classes), "test": np.bincount(labels, minlength=len(classes)).tolist()}
    canvas = [channels, height + 2 * margins[0], width + 2 * margins[1]]
    about = {"title": "Fashion-MNIST", "classes": classes, "class_counts": counts, "shape": canvas, "margin": margins}
    _json(data / "prepared/constants.json", about | {"mean": [0.2] * channels, "std": [0.3] * channels})
    for place, key in enumerate(loaded.active_variants):
        mean = (means or {}).get(key, MEANS.get(key, 0.9 + 0.001 * (place % 5)))
        accuracies = mean if isinstance(mean, list) else rng.normal(mean, spread, len(loaded.active_protocol.seeds)).tolist()
        _write_variant(data, loaded, key, labels, about, accuracies, rng)


def _write_variant(
    data: Path, loaded: params.Params, key: str, labels: np.ndarray, about: dict[str, Any], accuracies: list[float], rng: np.random.Generator
) -> None:
    protocol, architecture = loaded.active_protocol, loaded.variants[key].run.architecture
    n, n_classes, margins = len(labels), len(about["classes"]), about["margin"]
    runs, curves, shifts, probes, predicted = [], ["seed,epoch,train_loss,train_accuracy,val_loss,val_accuracy"], ["seed,dy,dx,accuracy"], [], []
    for seed, asked in zip(protocol.seeds, accuracies, strict=True):
        wrong = round(n * min(1.0, max(0.0, 1 - asked)))
        guess = labels.copy()
        guess[:wrong] = (guess[:wrong] + rng.integers(1, n_classes, wrong)) % n_classes
        predicted.append(guess.astype(np.int16))
        accuracy = (n - wrong) / n
        runs.append({"seed": seed, "train_accuracy": min(1.0, accuracy + 0.03), "train_loss": 0.2, "val_accuracy": accuracy, "val_loss": 0.3,
                     "test_accuracy": accuracy, "test_loss": 0.3})  # fmt: skip
        for epoch in range(1, protocol.epochs + 1):
            late = accuracy - 0.15 * 0.5**epoch + rng.normal(0, 0.002)
            curves.append(f"{seed},{epoch},{3 * (1 - accuracy) + 0.5**epoch:.6f},{late:.6f},{0.3:.6f},{late:.6f}")
        for dy in range(-margins[0], margins[0] + 1):
            for dx in range(-margins[1], margins[1] + 1):
                shifts.append(f"{seed},{dy},{dx},{max(0.0, accuracy - 0.03 * (dy * dy + dx * dx) ** 0.5):.6f}")
        consistency = float(np.clip(0.18 + 0.8 * accuracy + rng.normal(0, 0.004), 0, 1)) if any(margins) else None
        probes.append({"seed": seed, "shift_consistency": consistency, "shifted_accuracy": accuracy - 0.05})
    runs_folder, probes_folder = data / "runs" / key, data / "probes" / key
    costs = closed_form(architecture, tuple(about["shape"]), n_classes)
    cost = {"parameters": costs.parameters, "macs": costs.macs, "map_sizes": costs.map_sizes, "receptive_field": costs.receptive_field}
    _json(runs_folder / "metrics.json", {"variant": key, "connectivity": architecture.connectivity, "skipped": False, "runs": runs, **cost})
    (runs_folder / "curves.csv").write_text("\n".join(curves) + "\n")
    stacked = np.stack(predicted)
    save_file({"predicted": stacked, "correct": (stacked == labels).astype(np.uint8)}, runs_folder / "predictions.safetensors")
    _json(probes_folder / "probe.json", {"variant": key, "skipped": False, "runs": probes})
    (probes_folder / "shift.csv").write_text("\n".join(shifts) + "\n")
    if architecture.connectivity == "conv":
        filters = rng.normal(0, 0.3, (architecture.channels[0], about["shape"][0], *params.pair(architecture.kernel))).astype(np.float32)
        save_file({"filters": filters}, probes_folder / "filters.safetensors")


@cache
def results_of(name: str) -> results.Results:
    """The Results of one of RUNS, of 200 test images unless it says otherwise."""
    change, choices = RUNS[name]
    return finished(settings(change), **{"n_test": 200} | choices)


def reached(n: int = 5, **accuracies: float | list[float]) -> results.Results:
    """The Results of a run of the variants named, over n seeds, that reached these accuracies: in every seed, or in each."""
    means = {key: values if isinstance(values, list) else [values] * n for key, values in accuracies.items()}
    return finished(settings(lambda raw: (only(raw, *accuracies), seeds(n)(raw))), n_test=200, means=means)


def finished(raw: dict[str, Any], **choices: Any) -> results.Results:
    """What `figures` reads after `collect` has written it, for fake runs made as by `make_root`."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        return collected(patch, Path(folder), raw, **choices)


def collected(monkeypatch: pytest.MonkeyPatch, root: Path, raw: dict[str, Any], **choices: Any) -> results.Results:
    """What `figures` reads after `collect` has written it, for fake runs made as by `make_root`."""
    loaded = make_root(root, raw, **choices)
    reroot(monkeypatch, root)
    collect(loaded)
    return results.load(loaded)


def collect(loaded: params.Params) -> None:
    """As `python -m stages.collect`, without its clock."""
    labels = read.test_labels()
    variants = [read.variant(key, loaded.active_protocol.seeds, labels) for key in loaded.active_variants]
    runs = tables.runs(variants)
    by_settings = {f"{make.__name__}.csv": make(loaded, runs) for make in (tables.variants, tables.effects, tables.contrasts)}
    outputs.write({"runs.csv": runs, **by_settings, "curves.csv": tables.curves(variants), "confusion.csv": tables.confusion(variants, labels)})


def reroot(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Make stages.paths point below `root`, as PIPELINE_ROOT does for a process of its own."""
    for name, path in vars(paths).copy().items():
        if isinstance(path, Path) and path.is_relative_to(paths.ROOT) and name != "ROOT":
            monkeypatch.setattr(paths, name, root / path.relative_to(paths.ROOT))
    monkeypatch.setattr(paths, "ROOT", root)


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, sort_keys=True))
