"""Invented runs, probes and prepared data in the pipeline's own format: small, seeded, and shaped by the test that asks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import save_file

from stages import params, paths

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
    raw["variants"] = {key: raw["variants"][key] for key in variants}
    raw["contrasts"] = {key: about for key, about in raw["contrasts"].items() if {about["variant"], about["reference"]} <= set(variants)}
    raw["families"] = {key: about for key, about in raw["families"].items() if about["reference"] in variants}


def make_root(root: Path, raw: dict[str, Any], **choices: Any) -> params.Params:
    """Write params.yaml and everything that download, prepare, train and probe would leave under `root`."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(raw, file)
    loaded = params.load(root / "params.yaml")
    write_data(root / "data", loaded, **choices)
    return loaded


def write_data(
    data: Path, loaded: params.Params, classes: list[str] | None = None, shape: tuple[int, int, int] = (28, 28, 1),
    n_test: int = 1000, means: dict[str, float] | None = None, spread: float = 0.0015, seed: int = 0,
) -> None:  # fmt: skip
    """shape: (height, width, channels) of the raw images. spread: standard deviation of the accuracy over seeds."""
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
    constants = {"mean": [0.2] * channels, "std": [0.3] * channels, "class_counts": counts, "shape": canvas, "margin": margins, "classes": classes}
    _json(data / "prepared/constants.json", constants | {"title": "Fashion-MNIST"})
    for place, (key, variant) in enumerate(loaded.active_variants.items()):
        mean = ({} if means is None else means).get(key, MEANS.get(key, 0.9 + 0.001 * (place % 5)))
        _write_variant(data, loaded, key, variant, labels, len(classes), channels, margins, mean, spread, rng)


def _write_variant(data: Path, loaded: params.Params, key: str, variant: params.Variant, labels: np.ndarray, n_classes: int, channels: int,
                   margins: list[int], mean: float, spread: float, rng: np.random.Generator) -> None:  # fmt: skip
    seeds, epochs, architecture = loaded.active_protocol.seeds, loaded.active_protocol.epochs, variant.run.architecture
    n = len(labels)
    runs, curves, shifts, probes, predicted = [], ["seed,epoch,train_loss,train_accuracy,val_loss,val_accuracy"], ["seed,dy,dx,accuracy"], [], []
    for seed in seeds:
        wrong = round(n * float(np.clip(1 - rng.normal(mean, spread), 0, 1)))
        guess = labels.copy()
        guess[:wrong] = (guess[:wrong] + rng.integers(1, n_classes, wrong)) % n_classes
        predicted.append(guess.astype(np.int16))
        accuracy = (n - wrong) / n
        runs.append({"seed": seed, "train_accuracy": min(1.0, accuracy + 0.03), "train_loss": 0.2, "val_accuracy": accuracy, "val_loss": 0.3,
                     "test_accuracy": accuracy, "test_loss": 0.3})  # fmt: skip
        for epoch in range(1, epochs + 1):
            late = accuracy - 0.15 * 0.5**epoch + rng.normal(0, 0.002)
            curves.append(f"{seed},{epoch},{0.2 + 1.0 * 0.5**epoch:.6f},{late:.6f},{0.3:.6f},{late:.6f}")
        for dy in range(-margins[0], margins[0] + 1):
            for dx in range(-margins[1], margins[1] + 1):
                shifts.append(f"{seed},{dy},{dx},{max(0.0, accuracy - 0.03 * (dy * dy + dx * dx) ** 0.5):.6f}")
        consistency = float(np.clip(0.9 + 0.8 * (mean - 0.9) + rng.normal(0, 0.004), 0, 1)) if any(margins) else None
        probes.append({"seed": seed, "shift_consistency": consistency, "shifted_accuracy": accuracy - 0.05})
    runs_folder, probes_folder = data / "runs" / key, data / "probes" / key
    size = params.pair(architecture.kernel)
    field = None if architecture.connectivity == "fully_connected" else [7 + size[0], 7 + size[1]]
    cost = 20_000 * size[0] * size[1] + 1000 * len(architecture.channels)
    about = {"variant": key, "connectivity": architecture.connectivity, "parameters": cost, "macs": 11 * cost + 10 * len(key), "receptive_field": field}
    _json(runs_folder / "metrics.json", about | {"map_sizes": [[14, 14], [7, 7]], "skipped": False, "runs": runs})
    (runs_folder / "curves.csv").write_text("\n".join(curves) + "\n")
    stacked = np.stack(predicted)
    save_file({"predicted": stacked, "correct": (stacked == labels).astype(np.uint8)}, runs_folder / "predictions.safetensors")
    _json(probes_folder / "probe.json", {"variant": key, "skipped": False, "runs": probes})
    (probes_folder / "shift.csv").write_text("\n".join(shifts) + "\n")
    if architecture.connectivity == "conv":
        filters = rng.normal(0, 0.3, (architecture.channels[0], channels, *size)).astype(np.float32)
        save_file({"filters": filters}, probes_folder / "filters.safetensors")


def reroot(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Make stages.paths point below `root`, as PIPELINE_ROOT does for a process of its own."""
    for name, path in vars(paths).copy().items():
        if isinstance(path, Path) and path.is_relative_to(paths.ROOT) and name != "ROOT":
            monkeypatch.setattr(paths, name, root / path.relative_to(paths.ROOT))
    monkeypatch.setattr(paths, "ROOT", root)


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, sort_keys=True))
