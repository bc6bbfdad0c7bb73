"""Runs that train stacked, as on a GPU, are those that train alone: only rounding differs."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from untrained_net import DISTINCT, SETTINGS

from stages.shared import paths
from stages.shared.architectures.build import build
from stages.shared.params.architecture import LAYERED, OwnModule
from stages.shared.run_records import PlannedRun
from stages.train import local, stacked
from stages.train.recipe import build_optimiser
from stages.train.run import first_model, set_up, train_epochs, train_run
from stages.train.stacked import Stack, StackedRun, train_stack

CPU = torch.device("cpu")
SEEDS = (0, 3)
CANVAS = (1, 32, 32)
STEPS = 20
ROUNDING = 1e-4
# Of SGD, since Adam divides a gradient that is nothing but rounding by its own size: that of a bias before batch norm.
SGD = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9}
CNN = {"channels": (4, 8)}
NETS = {
    "batch norm": CNN | {"norm": "batch"},
    "layer norm": CNN | {"norm": "layer"},
    "group norm": CNN | {"norm": "group"},
    "dropout": CNN | {"dropout": 0.3, "hidden": (8,)},
    "blur": CNN | {"padding": "circular", "pooling": "blur"},
    "average": CNN | {"padding": "reflect", "pooling": "average", "activation": "gelu"},
    "shortcuts": CNN | {"channels": (4, 8, 8, 8), "residual": 2, "norm": "batch", "reduce_at": (2, 4)},
    "depthwise": CNN | {"groups": "depthwise", "head": "global_max", "activation": "tanh"},
    "separable": CNN | {"connectivity": "separable", "head": "global_average"},
    "locally connected": CNN | {"connectivity": "locally_connected"},
    "tiles": CNN | {"connectivity": "locally_connected", "tile": 3},
    "fully connected": {"connectivity": "fully_connected", "channels": (16, 8), "norm": "batch", "dropout": 0.2},
    "attention": {"connectivity": "attention", "channels": (8, 8), "heads": 2, "dropout": 0.2},
    "mixer": {"connectivity": "mixer", "channels": (8, 8), "dropout": 0.2},
}
RECIPES = {
    "adamw": {},
    "adam": {"optimizer": "adam"},
    "sgd": SGD,
    "adadelta": {"optimizer": "adadelta", "lr": 0.5},
    "average of the weights": {"ema_decay": 0.9},
    "cosine": {"schedule": "cosine"},
    "constant, in one order": {"schedule": "constant", "order": "fixed"},
    "shifted": {"augment_shift": 1},
    "mirrored, smoothed labels": {"augment_shift": 1, "augment_flip": True, "label_smoothing": 0.1},
    "so many steps": {"batch_size": 16, "epochs": "protocol", "steps": STEPS},
}


def with_net(spec, **changes):
    return spec.model_copy(update={"architecture": spec.architecture.model_copy(update=changes)})


def folder_in(*parts):
    folder = Path(*parts)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def train_both(prepared, tmp_path):
    """A function that trains each seed alone, and all of them stacked. Returns seed → the folders of both."""

    def train(spec, seeds=SEEDS, report=lambda *_: None):
        folders, runs = {}, []
        for seed in seeds:
            alone, together = (folder_in(tmp_path, way, str(seed)) for way in ("alone", "together"))
            one = spec.model_copy(update={"seed": seed})
            train_run(one, prepared, alone, partial(report, "alone", seed))
            runs.append(StackedRun(one, together, partial(report, "together", seed)))
            folders[seed] = alone, together
        train_stack(runs, prepared, CPU)
        return folders

    return train


def assert_same(alone, together, rounding=ROUNDING):
    """The same files, and in them the same numbers within rounding of the largest weight of each layer."""
    assert {file.name for file in alone.iterdir()} == {file.name for file in together.iterdir()}
    wanted, of_stack = (load_file(folder / "weights.safetensors") for folder in (alone, together))
    assert list(of_stack) == list(wanted)
    for name, weights in wanted.items():
        assert (of_stack[name].shape, of_stack[name].dtype) == (weights.shape, weights.dtype)
        assert np.abs(of_stack[name] - weights).max() <= rounding * max(1, np.abs(weights).max()), name
    wanted, of_stack = (paths.read_json(folder / "metrics.json") for folder in (alone, together))
    scores = {name for name in wanted if name.endswith(("_loss", "_accuracy"))}
    assert {name: of_stack[name] for name in scores} == pytest.approx(
        {name: wanted[name] for name in scores}, abs=10 * rounding
    )
    assert [item for item in of_stack.items() if item[0] not in scores] == [
        item for item in wanted.items() if item[0] not in scores
    ]
    wanted, of_stack = (pd.read_csv(folder / "curves.csv") for folder in (alone, together))
    pd.testing.assert_frame_equal(of_stack, wanted, atol=10 * rounding)


@pytest.mark.parametrize("net", NETS)
def test_a_stacked_run_of_every_kind_of_net_is_the_run_alone(net, run_spec, train_both):
    spec = with_net(run_spec(epochs="protocol", steps=STEPS, batch_size=16, **SGD), **NETS[net])
    for folders in train_both(spec).values():
        assert_same(*folders)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stacked_run_of_every_recipe_is_the_run_alone(recipe, run_spec, train_both):
    for folders in train_both(run_spec(**RECIPES[recipe])).values():
        assert_same(*folders)


def test_bfloat16_and_its_dropout_are_those_of_the_run_alone_as_far_as_so_few_bits_go(run_spec, train_both):
    spec = with_net(run_spec(precision="bfloat16", **SGD), dropout=0.2)
    for folders in train_both(spec).values():
        assert_same(*folders, rounding=0.004)


def test_runs_of_a_stack_are_as_different_as_their_seeds(run_spec, train_both):
    folders = train_both(run_spec())
    first, second = (load_file(folders[seed][1] / "weights.safetensors") for seed in SEEDS)
    assert all(np.abs(first[name] - second[name]).max() > 100 * ROUNDING for name in first if "normalise" not in name)


def test_each_run_reports_its_epochs_as_it_does_alone(run_spec, train_both):
    reports = {"alone": [], "together": []}
    train_both(run_spec(lr=0.001), report=lambda way, seed, text: reports[way].append((seed, text)))
    assert len(reports["alone"]) == 2 * 3
    assert sorted(reports["alone"]) == sorted(reports["together"])


@pytest.mark.parametrize("key", DISTINCT)
def test_every_variant_trains_stacked_as_alone(key):
    """Twenty steps, but of nets so deep that rounding grows from step to step as fast as they learn."""
    architecture = SETTINGS.variants[key].run.architecture
    is_deep = architecture.connectivity in LAYERED and len(architecture.channels) > 4
    steps = 1 if is_deep or architecture.connectivity == "resnet18" else STEPS
    recipe = SETTINGS.recipe.model_copy(update={"optimizer": "sgd", "momentum": 0.0, "lr": 0.01})
    set_up()
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (len(SEEDS), steps, 4, *CANVAS), dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, 10, (len(SEEDS), steps, 4), generator=draw)

    def nets():
        return [build(architecture, CANVAS, 10, [0.3], [0.2], torch.Generator().manual_seed(seed)) for seed in SEEDS]

    def batches(number):
        return iter([zip(images[number], labels[number], strict=True)])

    stack = Stack(nets(), SEEDS, "float32")
    epochs = [batches(number) for number in range(len(SEEDS))]
    list(stacked.train_epochs_stacked(stack, build_optimiser(recipe, stack.parameters()), recipe, epochs, steps))
    for number, (net, copied) in enumerate(zip(nets(), nets(), strict=True)):
        list(train_epochs(net, build_optimiser(recipe, net.parameters()), recipe, batches(number), steps))
        stack.copy_run(number, copied)
        for (name, wanted), parameter in zip(net.named_parameters(), copied.parameters(), strict=True):
            assert (parameter - wanted).abs().max() <= ROUNDING * wanted.abs().max().clamp(min=1), name


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_run_that_diverges_ends_as_it_does_alone_and_leaves_the_others_as_they_are(
    value, run_spec, train_both, monkeypatch
):
    def spoilt(spec, *arguments):
        model = first_model(spec, *arguments)
        if spec.seed == 3:
            with torch.no_grad():
                model.head[-1].weight.mul_(value)
        return model

    for module in ("run", "stacked"):
        monkeypatch.setattr(f"stages.train.{module}.first_model", spoilt)
    folders = train_both(run_spec(), seeds=(0, 3, 4))
    alone, together = folders[3]
    assert [file.name for file in together.iterdir()] == ["metrics.json"]
    diverged = paths.read_json(together / "metrics.json")
    assert diverged == paths.read_json(alone / "metrics.json")
    assert diverged["diverged"] == 1
    for seed in (0, 4):
        assert_same(*folders[seed])


def test_runs_that_do_not_fit_into_the_memory_together_are_trained_in_parts(run_spec, train_both, monkeypatch):
    sizes, train_together = [], stacked._train_together

    def limited(runs, *arguments):
        sizes.append(len(runs))
        if len(runs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        train_together(runs, *arguments)

    monkeypatch.setattr(stacked, "_train_together", limited)
    for folders in train_both(run_spec(epochs=1), seeds=(0, 1, 2, 3, 4)).values():
        assert_same(*folders)
    assert sizes == [5, 2, 3, 1, 2]


def test_a_run_that_does_not_fit_alone_is_an_error(run_spec, prepared, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(stacked, "_train_together", full)
    with pytest.raises(torch.OutOfMemoryError):
        train_stack([StackedRun(run_spec(), tmp_path, lambda _: None)], prepared, CPU)


# --- what a GPU's processes are given


def planned(variant, seeds, spec, **changes):
    return [
        PlannedRun(variant, seed, f"{variant}{seed}", spec.model_copy(update={"seed": seed, **changes}))
        for seed in seeds
    ]


def test_a_gpu_is_given_all_seeds_of_a_variant_and_a_core_one(run_spec):
    runs = [run for variant in "ab" for run in planned(variant, range(3), run_spec(), device="cuda")]
    assert [[run.digest for run in task.runs] for task in local.tasks_of(runs, 1)] == [
        ["a0", "a1", "a2"],
        ["b0", "b1", "b2"],
    ]
    on_cpu = [run for variant in "ab" for run in planned(variant, range(3), run_spec())]
    assert [len(task.runs) for task in local.tasks_of(on_cpu, 1)] == [1] * 6


def test_several_gpus_share_the_variants_and_the_seeds_of_a_single_one(run_spec):
    runs = [run for variant in "abc" for run in planned(variant, range(2), run_spec(), device="cuda")]
    assert [task.gpu for task in local.tasks_of(runs, 2)] == [0, 1, 0]
    alone = planned("a", range(5), run_spec(), device="cuda")
    tasks = local.tasks_of(alone, 4)
    assert [([run.seed for run in task.runs], task.gpu) for task in tasks] == [
        ([0, 4], 0),
        ([1], 1),
        ([2], 2),
        ([3], 3),
    ]


def test_a_net_of_ones_own_trains_singly(run_spec):
    own = with_net(run_spec(), connectivity="module", module=OwnModule(file="net.py", **{"class": "Net"}))
    assert [len(task.runs) for task in local.tasks_of(planned("own", range(3), own, device="cuda"), 1)] == [1, 1, 1]


def test_training_on_a_gpu_gives_every_run_its_record(run_spec, train, prepared, tmp_path, monkeypatch):
    """All but the device and the processes: the GPU is the CPU here, and the tasks run in this process."""

    def in_turn(task, items, total_work, title, most, fork):
        assert (most, fork) == (local.PROCESSES_PER_GPU, False)
        done = []
        results = [task(item, lambda work, _: done.append(work)) for item in items]
        assert sum(done) == pytest.approx(total_work)
        return results

    monkeypatch.setattr(local, "run_parallel", in_turn)
    monkeypatch.setattr(local, "_count_gpus", lambda: 1)
    monkeypatch.setattr(stacked, "gpu", lambda number, processes: CPU)
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    runs = planned("cnn", SEEDS, run_spec(), device="cuda")
    seconds = local.train(
        runs, prepared, lambda run, folder: shutil.copytree(folder, tmp_path / "found" / str(run.seed))
    )
    assert len(set(seconds)) == 1, "an equal share"
    for run in runs:
        train(run.spec.model_copy(update={"device": "cpu"}), tmp_path / "alone" / str(run.seed))
        record = tmp_path / "found" / str(run.seed) / "record.json"
        assert paths.read_json(record)["digest"] == run.digest
        record.unlink()
        assert_same(tmp_path / "alone" / str(run.seed), tmp_path / "found" / str(run.seed))
