"""Invented runs, probes and prepared data in the pipeline's formats: small, seeded, shaped by the test."""

import io
import json
import math
from functools import cache
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import save_file

from stages.collect.__main__ import all_tables, read_all, write
from stages.figures import results
from stages.shared import params, paths
from stages.shared.architectures.closed_form import closed_form
from stages.shared.architectures.layer_settings import pair
from stages.shared.declared import claim_digest, read_record, record_path
from stages.shared.params.architecture import LAYERED
from stages.shared.params.yaml_files import read_yaml
from stages.shared.run_files import read_test_labels
from stages.shared.run_records import write_record

REPOSITORY = Path(__file__).parents[1]
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
# Mean accuracies that a real run might have; any other variant gets one near 0.9.
MEANS = {
    "cnn": 0.905,
    "locally_connected": 0.894,
    "fully_connected": 0.868,
    "cnn_permuted": 0.858,
    "fully_connected_permuted": 0.866,
    "locally_connected_permuted": 0.873,
    "kernel_1": 0.853,
    "kernel_5": 0.908,
    "kernel_7": 0.907,
    "depth_1": 0.887,
    "depth_3": 0.909,
    "stride_2": 0.889,
    "average_pool": 0.900,
    "global_average": 0.843,
}


WRITTEN_OUT: dict[str, str] = {}


def settings(change: Any = None) -> dict[str, Any]:
    """The repository's params.yaml as a mapping, after `change(mapping)`."""
    raw = read_yaml(REPOSITORY / "params.yaml")
    raw["inference"]["resamples"] = 20  # of the A/A comparison, whose rates no test of the report needs
    if change is not None:
        change(raw)
    return raw


def only(raw: dict[str, Any], *variants: str) -> None:
    """Leave the named variants and what refers to no other. The first is the baseline if cnn is not among them."""
    families = {key: family for key, family in raw["families"].items() if family["reference"] in variants}
    raw |= {"families": families, "variants": {key: raw["variants"][key] for key in variants}}
    for variant in raw["variants"].values():
        variant["families"] = {key: level for key, level in variant["families"].items() if key in families}
        matched = variant.get("matched", {})
        variant["matched"] = {quantity: other for quantity, other in matched.items() if other in variants}
    for protocol in raw["protocols"].values():
        protocol["variants"] = list(variants)
        protocol["longer"] = None
        protocol.pop("rates", None)
        if protocol["baseline"] not in variants:
            protocol["baseline"] = "cnn" if "cnn" in variants else variants[0]


def seeds(number: int) -> Any:
    """As many for every variant."""
    same = list(range(number))
    return lambda raw: raw["protocols"][raw["protocol"]].update(seeds=same, few_seeds=same)


def declared(raw: dict[str, Any]) -> dict[str, Any]:
    """The repository's hypotheses about variants and families that are left."""
    hypotheses = read_yaml(REPOSITORY / "hypotheses.yaml")

    def remains(hypothesis: dict[str, Any]) -> bool:
        names, contrast = set(), hypothesis["contrast"]
        while contrast:
            names |= {contrast["variant"], contrast["reference"]}
            contrast = contrast.get("minus")
        return names <= set(raw["variants"]) and hypothesis["family"] in raw["families"]

    return {key: hypothesis for key, hypothesis in hypotheses.items() if remains(hypothesis)}


def three(raw: dict[str, Any]) -> None:
    only(raw, "cnn", "kernel_5", "fully_connected")


def broad(raw: dict[str, Any]) -> None:
    """Variants of every family."""
    left_out = ("_lr_", "patches", "scattered", "3000", "10000", "depth_1_matched", "depth_4_matched", "pooled_valid")
    left_out += ("pooled_circular",)
    variants = [key for key in raw["protocols"]["full"]["variants"] if not any(part in key for part in left_out)]
    raw["protocols"]["default"] |= {"variants": variants, "train_size": 2500, "epochs": 4}


def random_labels_and_large_pools(raw: dict[str, Any]) -> None:
    run = {"architecture": {"reduce_at": [1], "pool_size": 10}}  # larger than the map on which it is drawn
    raw["variants"]["pool_10"] = {"families": {"downsampling": "pools of 10"}, "run": run}
    only(raw, "cnn", "pool_10")
    raw["sample"]["labels"] = "random"


def signal(raw: dict[str, Any]) -> None:
    three(raw)
    raw["data"] |= {"dataset": "npz", "file": "x.npz"}
    raw["architecture"] |= {"kernel": [1, 3], "pool_size": [1, 2]}
    raw["variants"]["kernel_5"]["run"] = {"architecture": {"kernel": [1, 5]}}


def sixty(raw: dict[str, Any]) -> None:
    broad(raw)
    for number, family in zip(range(18), cycle(("connectivity", "kernel", "depth", "padding")), strict=False):
        run = {"architecture": {"channels": [17 + number, 32]}}
        raw["protocols"]["default"]["variants"].append(f"extra_{number}")
        raw["variants"][f"extra_{number}"] = {"families": {family: f"level {number}"}, "run": run}


def without_families(raw: dict[str, Any]) -> None:
    only(raw, "cnn", "kernel_5")
    for mapping in (raw, *raw["variants"].values()):
        mapping["families"] = {}


def replication(raw: dict[str, Any]) -> None:
    raw["protocol"] = "replication"
    seeds(3)(raw)
    raw["protocols"]["replication"] |= {"epochs": 2, "train_size": 10000}


# What may run: a change of params.yaml, and of the invented data.
RUNS = {
    "default": (broad, {}),
    "three": (three, {}),
    "without MLP": (lambda raw: only(raw, "cnn", "kernel_5", "locally_connected"), {}),
    "one variant": (lambda raw: only(raw, "cnn"), {}),
    "MLP alone": (lambda raw: only(raw, "fully_connected"), {}),
    "one seed": (lambda raw: (three(raw), seeds(1)(raw)), {}),
    "quick": (lambda raw: raw.update(protocol="quick"), {}),
    "no margin": (lambda raw: (three(raw), raw["protocols"]["default"].update(margin=0)), {}),
    "signal": (signal, {"shape": (1, 64, 1), "classes": ["low", "high"]}),
    "100 classes, RGB": (
        lambda raw: (only(raw, "cnn", "kernel_5"), raw["protocols"]["default"].update(epochs=1)),
        {"shape": (32, 32, 3), "classes": [f"class {i}" for i in range(100)]},
    ),
    "no family": (without_families, {}),
    "a class never right": (
        lambda raw: only(raw, "cnn", "kernel_5"),
        {"n_test": 8, "means": {"cnn": [0.0] * 10, "kernel_5": [0.5] * 10}},
    ),
    "perfect": (lambda raw: only(raw, "cnn", "kernel_5"), {"means": {"cnn": [1.0] * 10, "kernel_5": [1.0] * 10}}),
    "sixty": (sixty, {}),
    "random labels and large pools": (random_labels_and_large_pools, {}),
    "replication": (replication, {}),
    "tuning": (lambda raw: raw.update(protocol="tuning"), {}),
}


def make_root(
    root: Path,
    raw: dict[str, Any],
    hypotheses: dict[str, Any] | None = None,
    existed_before: dict[str, list[bool]] | None = None,
    **choices: Any,
) -> params.Params:
    """Write the settings and everything that download, prepare, train and probe would leave under `root`.

    hypotheses: by default those of the repository about variants that are left. existed_before: for each wording of a
    hypothesis, the present one last, whether its runs existed when it was recorded; by default there is one, before.
    """
    loaded = write_params(root, raw, hypotheses)
    write_data(root / "data", loaded, **choices)
    record = {}
    for key, hypothesis in params.load_hypotheses(loaded, root / "hypotheses.yaml").items():
        existed = (existed_before or {}).get(key, [False])
        digests = [f"wording {number}" for number in range(len(existed) - 1)] + [claim_digest(hypothesis)]
        claims = zip(digests, existed, strict=True)
        record[key] = [{"digest": digest, "runs_existed": runs_existed} for digest, runs_existed in claims]
    _json(root / "data" / "declared" / f"{loaded.protocol}.json", record)
    return loaded


def write_params(root: Path, raw: dict[str, Any], hypotheses: dict[str, Any] | None = None) -> params.Params:
    root.mkdir(parents=True, exist_ok=True)
    hypotheses = declared(raw) if hypotheses is None else hypotheses
    for name, content in {"params.yaml": raw, "hypotheses.yaml": hypotheses}.items():
        (root / name).write_text(as_yaml(content), encoding="utf-8")
    return params.load(root / "params.yaml")


def as_yaml(content: dict[str, Any]) -> str:
    """The same content is written out once, which takes as long as parsing it."""
    key = repr(content)
    if key not in WRITTEN_OUT:
        text = io.StringIO()
        YAML().dump(content, text)
        WRITTEN_OUT[key] = text.getvalue()
    return WRITTEN_OUT[key]


def write_data(
    data: Path,
    loaded: params.Params,
    classes: list[str] | None = None,
    shape: tuple[int, int, int] = (28, 28, 1),
    n_test: int = 1000,
    means: dict[str, float | list[float]] | None = None,
    spread: float = 0.0015,
    seed: int = 0,
    diverged: dict[str, dict[int, int]] | None = None,
) -> None:
    """shape: (height, width, channels) of the raw images. spread: standard deviation of the accuracy over seeds.

    diverged: of the variants named, the seeds that diverged, and in which epoch.
    means: of the variants named, the mean accuracy, or the accuracy of each seed.
    """
    rng = np.random.default_rng(seed)
    classes = classes or FASHION
    height, width, channels = shape
    margins = [0 if size == 1 else loaded.chosen_protocol.margin for size in (height, width)]
    labels = np.arange(n_test, dtype=np.int64) % len(classes)
    described = {"title": "Fashion-MNIST", "classes": classes}
    sizes = {"height": height, "width": width, "channels": channels}
    _json(data / "raw/dataset.json", {"name": "fake", **described, **sizes})
    canvas = [channels, height + 2 * margins[0], width + 2 * margins[1]]
    (data / "prepared").mkdir(parents=True)
    images = rng.integers(0, 255, (n_test, *canvas), dtype=np.uint8)
    save_file({"labels": labels, "images": images}, data / "prepared/test.safetensors")
    counts = {"train": [6000] * len(classes)}
    counts["test"] = np.bincount(labels, minlength=len(classes)).tolist()
    constants = described | {"class_counts": counts, "shape": canvas, "margin": margins, "layout_seed": 0}
    constants["pixel_range"] = [0, 255]
    _json(data / "prepared/constants.json", constants)
    for place, key in enumerate(loaded.trained_variants):
        mean = (means or {}).get(key, MEANS.get(key.removesuffix(params.LONGER), 0.9 + 0.001 * (place % 5)))
        accuracies = mean if isinstance(mean, list) else rng.normal(mean, spread, len(loaded.seeds(key))).tolist()
        lost = (diverged or {}).get(key, {})
        by_seed = dict(zip(loaded.seeds(key), accuracies, strict=True))
        finished = {seed: accuracy for seed, accuracy in by_seed.items() if seed not in lost}
        _write_variant(data, loaded, key, labels, constants, finished, lost, rng)


def _write_variant(
    data: Path,
    loaded: params.Params,
    key: str,
    labels: np.ndarray,
    constants: dict[str, Any],
    accuracies: dict[int, float],
    diverged: dict[int, int],
    rng: np.random.Generator,
) -> None:
    run = loaded.trained_variants[key].run
    architecture = run.architecture
    epochs = loaded.chosen_protocol.epochs if run.recipe.epochs == "protocol" else run.recipe.epochs
    n, n_classes, margins = len(labels), len(constants["classes"]), constants["margin"]
    n_probed = min(n, loaded.chosen_protocol.probe_images)
    form = closed_form(architecture, tuple(constants["shape"]), n_classes)
    costs = {"connectivity": architecture.connectivity, "parameters": form.parameters, "macs": form.macs}
    costs |= {"map_sizes": form.map_sizes, "receptive_field": form.receptive_field}
    for seed, epoch in diverged.items():
        record = {"seed": seed, "device": "cpu", **costs, "diverged": epoch}
        _json(data / "runs" / key / f"seed_{seed}" / "metrics.json", record)
        write_record(data / "runs" / key / f"seed_{seed}", "0")
    for position, (seed, wanted) in enumerate(accuracies.items()):
        run_folder, probe_folder = (data / root / key / f"seed_{seed}" for root in ("runs", "probes"))
        n_wrong = round(n * min(1.0, max(0.0, 1 - wanted)))
        predicted = labels.copy()
        predicted[:n_wrong] = (predicted[:n_wrong] + rng.integers(1, n_classes, n_wrong)) % n_classes
        accuracy = (n - n_wrong) / n
        metrics = {"train_accuracy": min(1.0, accuracy + 0.03), "train_loss": 0.2, "val_accuracy": accuracy}
        metrics |= {"val_loss": 0.3, "test_accuracy": accuracy, "test_loss": 0.3}
        _json(run_folder / "metrics.json", {"seed": seed, "device": "cpu", **costs, **metrics})
        answers = {"predicted": predicted.astype(np.int16), "correct": (predicted == labels).astype(np.uint8)}
        save_file(answers, run_folder / "predictions.safetensors")
        rows = ["epoch,train_loss,train_accuracy,val_loss,val_accuracy"]
        for epoch in range(1, epochs + 1):
            late = accuracy - 0.15 * 0.5**epoch + rng.normal(0, 0.002)
            rows.append(f"{epoch},{3 * (1 - accuracy) + 0.5**epoch:.6f},{late:.6f},{0.3:.6f},{late:.6f}")
        (run_folder / "curves.csv").write_text("\n".join(rows) + "\n")
        shifts = product(*(range(-margin, margin + 1) for margin in margins))
        moved = [f"{dy},{dx},{max(0.0, accuracy - 0.03 * math.hypot(dy, dx)):.6f}" for dy, dx in shifts]
        rows = ["dy,dx,accuracy", *moved]
        share = float(np.clip(0.18 + 0.8 * accuracy + rng.normal(0, 0.004), 0, 1))
        by_image = {"shifted": np.clip(rng.normal(accuracy - 0.05, 0.1, n_probed), 0, 1).astype(np.float32)}
        consistency = np.clip(rng.normal(share, 0.1, n_probed), 0, 1).astype(np.float32)
        if any(margins):
            by_image["consistency"] = consistency
        scalars = {"seed": seed, "shifted_accuracy": float(by_image["shifted"].mean())}
        beyond_chance = (consistency - 0.1) / 0.9
        if any(margins):
            by_image["consistency_beyond_chance"] = beyond_chance
        scalars |= {"shift_consistency": float(consistency.mean()) if any(margins) else None}
        scalars |= {"shift_consistency_beyond_chance": float(beyond_chance.mean()) if any(margins) else None}
        scalars |= {**_scalars(architecture, rng), "class_accuracy": [accuracy] * n_classes, "reasons": {}}
        _json(probe_folder / "probe.json", scalars)
        (probe_folder / "shifts.csv").write_text("\n".join(rows) + "\n")
        save_file(by_image, probe_folder / "by_image.safetensors")
        if position == 0:
            arrays = _pictures(loaded, architecture, constants["shape"], n_classes, rng)
            save_file(arrays, probe_folder / "pictures.safetensors")
        for folder in (run_folder, probe_folder):
            write_record(folder, "0")


def _scalars(architecture: params.Architecture, rng: np.random.Generator) -> dict[str, float | None]:
    """What the probes measure of one net; None where they have no meaning."""
    scalars: dict[str, float | None] = {"ece": float(rng.uniform(0.01, 0.05)), "ece_by_sampling": 0.008, "nll": 0.3}
    leak = 0.3 if architecture.padding == "zero" else 0.05
    of_maps = {"effective_field": 6.0, "equivariance_error_first": 0.0, "equivariance_error_last": 0.2}
    of_maps |= {"effective_field_even": 8.0, "effective_field_luo": 9.0, "equivariance_error_pixel": 0.5}
    of_maps |= {
        "equivariance_error_still": 0.6,
        "equivariance_error_unrelated": 1.1,
        "equivariance_error_untrained": 0.3,
    }
    of_maps |= {"position_r2": 0.6, "position_r2_shuffled": leak, "position_share": 0.1}
    if architecture.connectivity not in LAYERED:
        of_maps |= dict.fromkeys(("map_channels", "position_channels", "position_channels_shuffled"), 32)
        return scalars | dict.fromkeys([*of_maps, "field_height", "field_width"])
    noisy = {name: value + float(rng.normal(0, 0.004)) for name, value in of_maps.items()}
    channels = {"map_channels": 32, "position_channels": 32, "position_channels_shuffled": 30}
    return scalars | noisy | channels | {"field_height": 8, "field_width": 8}


def _pictures(
    loaded: params.Params, net: params.Architecture, shape: list[int], n_classes: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    probe, (channels, height, width) = loaded.probe, shape
    n_images, n_maps = min(probe.drawn_images, n_classes), min(probe.drawn_channels, *net.channels[:1], 10)
    kernel = (n_maps, channels, *pair(net.kernel))
    filters = {"conv": kernel, "resnet18": (n_maps, channels, 3, 3), "fully_connected": (n_maps, *shape)}
    filters["locally_connected"] = (min(probe.drawn_places, height), min(probe.drawn_places, width), *kernel)
    size = () if net.connectivity == "fully_connected" else (max(1, height // 2), max(1, width // 2))
    arrays = {
        "reliability": np.tile([[10.0, 0.8, 0.75]], (probe.bins, 1)),
        "effective_field": rng.random((height, width)),
        "filters": rng.normal(0, 0.3, filters.get(net.connectivity, kernel)),
        "map_layer_1": rng.random((n_images, n_maps, *size)),
    }
    images = {"drawn_images": rng.integers(0, 255, (n_images, *shape), dtype=np.uint8)}
    images["drawn_labels"] = np.arange(n_images, dtype=np.int64)
    return {name: array.astype(np.float32) for name, array in arrays.items()} | images


@cache
def results_of(name: str) -> results.Results:
    """The Results of one of RUNS, of 200 test images unless it says otherwise."""
    change, choices = RUNS[name]
    return finished(settings(change), **{"n_test": 200} | choices)


def reached(n: int = 5, n_test: int = 200, **accuracies: float | list[float]) -> results.Results:
    """The Results of runs that reached these accuracies: variant → one for every seed, or one for each."""
    means = {key: values if isinstance(values, list) else [values] * n for key, values in accuracies.items()}
    return finished(settings(lambda raw: (only(raw, *accuracies), seeds(n)(raw))), n_test=n_test, means=means)


def finished(raw: dict[str, Any], **choices: Any) -> results.Results:
    """As `collected`, in a folder of its own."""
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
    labels, hypotheses = read_test_labels(paths.PREPARED), params.load_hypotheses(loaded, paths.HYPOTHESES)
    variants, longer = read_all(loaded, labels)
    write(loaded.baseline, all_tables(loaded, hypotheses, read_record(record_path(loaded)), variants, longer, labels))


def reroot(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Make stages.shared.paths point below `root`, as PIPELINE_ROOT does for a process of its own."""
    for name, path in vars(paths).copy().items():
        if isinstance(path, Path) and path.is_relative_to(paths.ROOT) and name != "ROOT":
            monkeypatch.setattr(paths, name, root / path.relative_to(paths.ROOT))
    monkeypatch.setattr(paths, "ROOT", root)


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, sort_keys=True))
