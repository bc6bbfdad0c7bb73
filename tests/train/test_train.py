"""Training: bits that repeat, schedules by hand, every image counted, and faults that leave nothing behind."""

import json
import math
import os
import platform
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from small_data import write_prepared

from stages.shared import params, paths, process_pool, run_records
from stages.shared.pixel_order import permutation
from stages.shared.stage_command import StageError
from stages.train import run as training
from stages.train.data import Split, load_splits
from stages.train.evaluate import accuracy, evaluate
from stages.train.local import train_ahead, train_seeds
from stages.train.optimiser import UPDATES, Optimiser
from stages.train.recipe import ORDERS, schedule
from stages.train.run import train_run
from stages.train.variant import gather, summary

SETTINGS = params.load()
SAMPLE = SETTINGS.sample


def run_spec(sample=None, **recipe):
    run = SETTINGS.variants["cnn"].run
    architecture = run.architecture.model_copy(update={"channels": (4, 8)})
    return run.model_copy(
        update={
            "architecture": architecture,
            "recipe": run.recipe.model_copy(update=recipe),
            "sample": sample or SAMPLE,
        }
    )


def planned(run, seeds, epochs=2):
    return params.TrainPlan(run=run, epochs=epochs, seeds=seeds)


def sampled(**changes):
    return SAMPLE.model_copy(update=changes)


@pytest.fixture(autouse=True)
def _own_finished_seeds(tmp_path, monkeypatch):
    """What a user's interrupted training keeps must outlast the tests."""
    monkeypatch.setattr(paths, "FINISHED_SEEDS", tmp_path / "finished")


@pytest.fixture
def prepared(tmp_path):
    write_prepared(tmp_path / "prepared")
    return tmp_path / "prepared"


def trained(prepared, out, seed=0, epochs=3, run=None):
    out.mkdir(parents=True)
    said = []
    train_run(run or run_spec(), epochs, seed, prepared, out, said.append)
    return said


def folder_bytes(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_bfloat16_is_of_the_products_in_training_alone(prepared, tmp_path, monkeypatch):
    evaluated = []
    monkeypatch.setattr(
        "stages.train.run.evaluate",
        lambda model, split: (evaluated.append(model(split.images[:1].float()).dtype), evaluate(model, split))[1],
    )
    single, half = {}, {}
    for precision, found in (("float32", single), ("bfloat16", half)):
        trained(prepared, tmp_path / precision, run=run_spec(precision=precision))
        found |= load_file(tmp_path / precision / "weights.safetensors")
    assert {tensor.dtype for tensor in half.values()} == {np.dtype("float32")}
    assert set(evaluated) == {torch.float32}
    differences = [np.abs(single[name] - half[name]).max() for name in single if name.startswith("features")]
    assert 0 < max(differences) < 0.1, "half as precise, and no other training"
    trained(prepared, tmp_path / "again", run=run_spec(precision="bfloat16"))
    assert folder_bytes(tmp_path / "again") == folder_bytes(tmp_path / "bfloat16")


def test_the_same_run_twice_gives_the_same_bytes_and_another_seed_does_not(prepared, tmp_path):
    trained(prepared, tmp_path / "a")
    torch.manual_seed(99)
    np.random.seed(99)
    trained(prepared, tmp_path / "b")
    trained(prepared, tmp_path / "c", seed=1)
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    assert folder_bytes(tmp_path / "a")["weights.safetensors"] != folder_bytes(tmp_path / "c")["weights.safetensors"]


def test_a_cnn_learns_lines(prepared, tmp_path):
    said = trained(prepared, tmp_path / "a", epochs=12, run=run_spec(batch_size=8, lr=0.01))
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.8
    assert len(said) == 12
    assert said[-1] == f"seed 0, epoch 12 of 12: val accuracy {metrics['val_accuracy']:.4f}"


def test_metrics_agree_with_the_saved_predictions_and_curves(prepared, tmp_path):
    trained(prepared, tmp_path / "a")
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    curves = json.loads((tmp_path / "a" / "curves.json").read_text())
    labels = load_splits(prepared, SAMPLE, seed=0)["test"].labels.numpy()
    predicted = np.load(tmp_path / "a" / "predicted.npy")
    assert metrics["test_accuracy"] == (predicted == labels).sum() / 47
    assert [row["epoch"] for row in curves] == [1, 2, 3]
    assert curves[-1]["val_loss"] == metrics["val_loss"]
    assert curves[-1]["val_accuracy"] == metrics["val_accuracy"]


# --- what a run is given


def test_every_split_has_its_pixels_in_the_layout_of_the_sample(prepared):
    original, moved = (load_splits(prepared, sampled(layout=layout), seed=0) for layout in ("original", "patches_3"))
    order = permutation("patches_3", 6, 6, (1, 1), seed=0)
    for name, split in original.items():
        assert torch.equal(moved[name].images.flatten(2), split.images.flatten(2)[:, :, torch.from_numpy(order)])
        assert torch.equal(moved[name].labels, split.labels)


def test_random_labels_are_the_train_images_own_shuffled_by_the_seed_and_val_and_test_keep_theirs(prepared):
    published, one, same, other = (
        load_splits(prepared, sampled(labels=labels), seed)
        for labels, seed in (("published", 3), ("random", 3), ("random", 3), ("random", 4))
    )
    train = published["train"].labels
    for splits in (one, other):
        assert splits["train"].labels.bincount().tolist() == train.bincount().tolist()
        assert 0.15 < (splits["train"].labels == train).float().mean() < 0.55, "a third by chance"
        assert torch.equal(splits["train"].images, published["train"].images)
        for name in ("val", "test"):
            assert torch.equal(splits[name].labels, published[name].labels)
    assert torch.equal(one["train"].labels, same["train"].labels)
    assert not torch.equal(one["train"].labels, other["train"].labels)


def test_random_labels_of_a_smaller_sample_are_those_of_its_own_images(prepared):
    published, random = (
        load_splits(prepared, sampled(labels=labels, train_size=10), seed=0)["train"]
        for labels in ("published", "random")
    )
    assert random.labels.bincount().tolist() == published.labels.bincount().tolist() == [4, 3, 3]


def test_a_smaller_sample_is_the_beginning_of_train_and_leaves_val_and_test(prepared):
    whole, few = (load_splits(prepared, sampled(train_size=size), seed=0) for size in ("protocol", 17))
    assert len(few["train"].labels) == len(few["train"].images) == 17
    assert torch.equal(few["train"].images, whole["train"].images[:17])
    assert torch.equal(few["train"].labels, whole["train"].labels[:17])
    assert [len(few[name].labels) for name in ("val", "test")] == [31, 47]


def test_a_sample_larger_than_train_is_refused_and_not_cut(prepared):
    assert len(load_splits(prepared, sampled(train_size=90), seed=0)["train"].labels) == 90
    with pytest.raises(StageError, match=r"sample\.train_size is 91, but the prepared train split has 90 images"):
        load_splits(prepared, sampled(train_size=91), seed=0)


def test_unit_pixels_reach_the_net_in_zero_to_one_and_standardised_ones_by_the_constants(prepared, tmp_path):
    for pixels, mean, std in (("unit", 0.0, 1.0), ("standardised", 0.15, 0.2)):
        trained(prepared, tmp_path / pixels, epochs=1, run=run_spec(sampled(pixels=pixels)))
        weights = load_file(tmp_path / pixels / "weights.safetensors")
        assert (weights["normalise.mean"].item(), weights["normalise.std"].item()) == pytest.approx(
            (255 * mean, 255 * std)
        )


def test_an_offset_of_1000_makes_seed_0_the_run_of_seed_1000_under_its_own_name(prepared, tmp_path):
    trained(prepared, tmp_path / "offset", seed=0, run=run_spec(sampled(seed_offset=1000, labels="random")))
    trained(prepared, tmp_path / "plain", seed=1000, run=run_spec(sampled(labels="random")))
    offset, plain = folder_bytes(tmp_path / "offset"), folder_bytes(tmp_path / "plain")
    for name in ("weights.safetensors", "predicted.npy"):
        assert offset[name] == plain[name]
    ours, theirs = json.loads(offset["metrics.json"]), json.loads(plain["metrics.json"])
    assert (ours.pop("seed"), theirs.pop("seed")) == (0, 1000)
    assert ours == theirs


# --- the recipe


@pytest.fixture
def rates(monkeypatch):
    """A list for every training that follows: the learning rate of each step of its optimiser."""
    lists = []

    class Noted(Optimiser):
        def __init__(self, recipe, parameters):
            super().__init__(recipe, parameters)
            lists.append([])

        def step(self, lr):
            lists[-1].append(lr)
            super().step(lr)

    monkeypatch.setattr("stages.train.run.Optimiser", Noted)
    return lists


def test_steps_end_in_the_middle_of_an_epoch_and_the_cycle_spans_exactly_these(prepared, tmp_path, rates):
    # 90 images in batches of 8 are 12 steps an epoch, of which the last has 2 images: 17 steps are an epoch and 5 steps.
    recipe = {"steps": 17, "batch_size": 8, "schedule": "one_cycle"}
    said = trained(prepared, tmp_path / "a", epochs=99, run=run_spec(**recipe))
    curves = json.loads((tmp_path / "a" / "curves.json").read_text())
    lr_at = schedule(SETTINGS.recipe.model_copy(update=recipe), 17)
    assert rates[0] == [lr_at(step) for step in range(17)]
    assert rates[0][-1] == pytest.approx(0)
    assert [row["epoch"] for row in curves] == [1, 2]
    assert said[-1].startswith("seed 0, epoch 2 of 2: ")
    for row, seen in zip(curves, (90, 40), strict=True):
        assert row["train_accuracy"] * seen == pytest.approx(round(row["train_accuracy"] * seen)), (
            "a mean over the epoch's own images"
        )


def test_steps_may_be_fewer_than_an_epoch_or_end_with_one(prepared, tmp_path, rates):
    for steps, epochs in ((3, 1), (12, 1), (24, 2)):
        said = trained(prepared, tmp_path / str(steps), run=run_spec(steps=steps, batch_size=8))
        assert (len(rates[-1]), len(said)) == (steps, epochs)


def test_a_recipes_own_epochs_stand_before_the_protocols(prepared, tmp_path, rates):
    trained(prepared, tmp_path / "own", epochs=3, run=run_spec(sampled(train_size=20), epochs=5, batch_size=8))
    trained(prepared, tmp_path / "protocol", epochs=3, run=run_spec(sampled(train_size=20), batch_size=8))
    assert [len(one) for one in rates] == [5 * 3, 3 * 3]


@pytest.mark.parametrize(("recipe", "reports"), [({}, 7), ({"epochs": 2}, 2), ({"steps": 4, "batch_size": 8}, 2)])
def test_the_bar_counts_the_epochs_that_are_run(recipe, reports, prepared, monkeypatch):
    asked = {}
    monkeypatch.setattr("stages.train.local.spread", lambda task, seeds, **given: asked.update(given))
    train_ahead(
        {"cnn": params.TrainPlan(run=run_spec(sampled(train_size=20), **recipe), epochs=7, seeds=(0,))}, prepared
    )
    assert asked["reports"] == reports


def test_every_epoch_holds_every_image_once_in_batches_of_which_the_last_may_be_short():
    for order in ORDERS.values():
        epochs = order(np.random.default_rng(0), 10, 4)
        for batches in (next(epochs), next(epochs)):
            assert [len(batch) for batch in batches] == [4, 4, 2]
            assert sorted(torch.cat(batches).tolist()) == list(range(10))


def test_a_fixed_order_repeats_its_batches_and_a_reshuffled_one_does_not():
    fixed, reshuffled = (ORDERS[name](np.random.default_rng(0), 90, 8) for name in ("fixed", "reshuffled"))
    one, two = ([torch.cat(next(epochs)).tolist() for _ in range(2)] for epochs in (fixed, reshuffled))
    assert one[0] == one[1] == two[0]
    assert two[0] != two[1]


def test_the_order_of_the_recipe_is_the_one_that_is_trained_in(prepared, tmp_path):
    for order in ("fixed", "reshuffled"):
        for epochs in (1, 2):
            trained(prepared, tmp_path / f"{order}{epochs}", epochs=epochs, run=run_spec(order=order))
    weights = {
        name: (tmp_path / name / "weights.safetensors").read_bytes()
        for name in ("fixed1", "reshuffled1", "fixed2", "reshuffled2")
    }
    assert weights["fixed1"] == weights["reshuffled1"], "the first epoch is alike"
    assert weights["fixed2"] != weights["reshuffled2"]


def test_an_untrained_models_first_epoch_loss_is_near_that_of_guessing(prepared, tmp_path):
    trained(prepared, tmp_path / "a", epochs=1, run=run_spec(lr=1e-9, schedule="constant"))
    (row,) = json.loads((tmp_path / "a" / "curves.json").read_text())
    assert row["train_loss"] == pytest.approx(math.log(3), abs=0.15)


class FirstPixelIsTheClass(torch.nn.Module):
    def forward(self, images):
        return 50.0 * torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 3).float()


def test_evaluation_counts_the_short_last_batch_and_weighs_every_image_alike():
    images = torch.zeros(601, 1, 1, 1, dtype=torch.uint8)  # batches of 250, 250 and 101
    labels = torch.zeros(601, dtype=torch.int64)
    labels[-3:] = 1  # three wrong ones, all in the last batch; each costs 50 nats
    loss, predicted = evaluate(FirstPixelIsTheClass(), Split(images, labels))
    assert len(predicted) == 601
    assert accuracy(predicted, labels) == 598 / 601
    assert loss == pytest.approx(3 * 50 / 601, rel=1e-5)


def test_one_cycle_rises_to_its_peak_and_falls_to_zero():
    recipe = SETTINGS.recipe.model_copy(update={"schedule": "one_cycle", "lr": 2.0, "warm_up": 0.25})
    lr_at = schedule(recipe, 8)
    # Steps end at 1/8 … 8/8 of the run; the peak is at 2/8, so the first step is half way up the cosine.
    assert [lr_at(step) for step in (0, 1, 4, 7)] == pytest.approx([1.0, 2.0, 1.0, 0.0])


def test_cosine_starts_at_the_peak_and_constant_stays():
    cosine = schedule(SETTINGS.recipe.model_copy(update={"schedule": "cosine", "lr": 2.0}), 4)
    constant = schedule(SETTINGS.recipe.model_copy(update={"schedule": "constant", "lr": 2.0}), 4)
    assert [cosine(step) for step in (0, 2)] == pytest.approx([2.0, 1.0])
    assert [constant(step) for step in (0, 3)] == [2.0, 2.0]


def test_sgd_takes_its_momentum_and_weight_decay_from_the_recipe():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    recipe = SETTINGS.recipe.model_copy(update={"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.2})
    optimiser = Optimiser(recipe, [weight])
    for _ in range(2):
        weight.grad = torch.tensor([1.0])
        optimiser.step(0.1)
    # v1 = 1 + .2·1 = 1.2, w = .88; v2 = .5·1.2 + 1 + .2·.88 = 1.776, w = .88 − .1776
    assert weight.item() == pytest.approx(0.7024)


def test_adadelta_takes_its_first_step_by_hand():
    weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimiser = Optimiser(SETTINGS.recipe.model_copy(update={"optimizer": "adadelta", "weight_decay": 0.5}), [weight])
    weight.grad = torch.tensor([0.5], dtype=torch.float64)
    optimiser.step(2.0)
    # g = .5 + .5·1 = 1; of squares, the running mean is .1 · 1, and that of the steps 0: √(0 + 1e-6) / √(.1 + 1e-6) · g, times 2.
    assert weight.item() == pytest.approx(1 - 2 * (1e-6 / 0.100001) ** 0.5, rel=1e-12)


CLASSES = {
    "adamw": lambda p: torch.optim.AdamW(p, weight_decay=0.3, fused=True),
    "adam": lambda p: torch.optim.Adam(p, weight_decay=0.3, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, weight_decay=0.3, momentum=0.8, fused=True),
    "adadelta": lambda p: torch.optim.Adadelta(p, weight_decay=0.3),
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_optimiser_is_torchs_own_class_bit_for_bit(name):
    """Over steps of changing rates, on weights in the memory format of a convolution's."""
    drawn = torch.Generator().manual_seed(0)
    ours = [
        torch.nn.Parameter(torch.randn(6, 4, 3, 3, generator=drawn).to(memory_format=torch.channels_last)),
        torch.nn.Parameter(torch.randn(5, generator=drawn)),
    ]
    theirs = [torch.nn.Parameter(p.detach().clone(memory_format=torch.preserve_format)) for p in ours]
    optimiser = Optimiser(
        SETTINGS.recipe.model_copy(update={"optimizer": name, "weight_decay": 0.3, "momentum": 0.8}), ours
    )
    reference = CLASSES[name](theirs)
    for lr in (0.1, 0.5, 0.03, 0.0):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=drawn).to(
                memory_format=torch.channels_last if a.ndim == 4 else torch.contiguous_format
            )
            b.grad = a.grad.clone(memory_format=torch.preserve_format)
        for group in reference.param_groups:
            group["lr"] = lr
        optimiser.step(lr)
        reference.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)
            assert a.grad is None


def test_training_does_not_load_torchs_compiler(prepared, tmp_path):
    """It would take longer to import than a small net takes to train."""
    code = (
        "import sys; from pathlib import Path; from stages import params; from stages.train.run import train_run; "
        f"train_run(params.load().variants['cnn'].run, 1, 0, Path({str(prepared)!r}), Path({str(tmp_path)!r}), print); "
        "import torch; sys.exit('torch._dynamo' in sys.modules or not torch.are_deterministic_algorithms_enabled())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=True)


@pytest.mark.parametrize(("name", "lr"), [("adamw", 0.01), ("adam", 0.01), ("sgd", 0.01), ("adadelta", 1.0)])
def test_every_optimiser_lowers_the_loss(name, lr, prepared, tmp_path):
    trained(prepared, tmp_path / "a", epochs=6, run=run_spec(optimizer=name, batch_size=16, schedule="constant", lr=lr))
    curves = json.loads((tmp_path / "a" / "curves.json").read_text())
    assert curves[-1]["train_loss"] < curves[0]["train_loss"]


def test_a_loss_that_is_not_finite_ends_the_run_which_leaves_its_epoch_and_no_result(prepared, tmp_path):
    said = trained(prepared, tmp_path / "a", epochs=3, run=run_spec(optimizer="sgd", lr=1e20, batch_size=8))
    assert {file.name for file in (tmp_path / "a").iterdir()} == {"metrics.json"}
    assert paths.read_json(tmp_path / "a" / "metrics.json") == {"seed": 0, "device": "cpu", "diverged": 1}
    assert said == ["seed 0 diverged in epoch 1"] * 3, "as many reports as epochs, so that the bar ends"


# Scored are val after each of two epochs, then train, val and test.
@pytest.mark.parametrize(("call", "epoch"), [(1, 1), (2, 2), (3, 2), (5, 2)])
@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_on_any_split_is_a_divergence(call, epoch, loss, prepared, tmp_path, monkeypatch):
    calls = []

    def spoilt(model, split):
        calls.append(split)
        found, predicted = evaluate(model, split)
        return (loss if len(calls) == call else found), predicted

    monkeypatch.setattr("stages.train.run.evaluate", spoilt)
    trained(prepared, tmp_path / "a", epochs=2)
    assert {file.name: file.read_text() for file in (tmp_path / "a").iterdir()} == {
        "metrics.json": f'{{\n  "device": "cpu",\n  "diverged": {epoch},\n  "seed": 0\n}}\n'
    }


def test_seeds_in_processes_give_the_bytes_of_one_process_and_a_variant_folder(prepared, tmp_path, monkeypatch):
    run = run_spec()
    (tmp_path / "many").mkdir()
    (tmp_path / "one").mkdir()
    train_seeds("cnn", planned(run, (3, 1, 2)), prepared, tmp_path / "many")
    monkeypatch.setenv("MAX_WORKERS", "1")
    run_records.forget(paths.FINISHED_SEEDS, "cnn")
    train_seeds("cnn", planned(run, (3, 1, 2)), prepared, tmp_path / "one")
    for seed in (1, 2, 3):
        assert folder_bytes(tmp_path / "many" / f"seed_{seed}") == folder_bytes(tmp_path / "one" / f"seed_{seed}")
    out = tmp_path / "out"
    out.mkdir()
    metrics = gather("cnn", run, (3, 1, 2), prepared, tmp_path / "many", out)
    saved = load_file(out / "predictions.safetensors")
    assert sorted(folder_bytes(out)) == ["curves.csv", "metrics.json", "predictions.safetensors"] + [
        f"seed_{s}.safetensors" for s in (1, 2, 3)
    ]
    assert [one["seed"] for one in metrics["runs"]] == [3, 1, 2]
    assert saved["correct"].mean(1) == pytest.approx([one["test_accuracy"] for one in metrics["runs"]])
    curves = pd.read_csv(out / "curves.csv")
    assert list(curves.columns) == ["seed", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert len(curves) == 6


def test_beside_a_seed_that_diverges_the_others_finish_as_they_would_without_it(prepared, tmp_path, monkeypatch):
    def of(name, seeds):
        for folder in ("runs", "out"):
            (tmp_path / name / folder).mkdir(parents=True)
        run_records.forget(paths.FINISHED_SEEDS, "cnn")
        train_seeds("cnn", planned(run_spec(), seeds), prepared, tmp_path / name / "runs")
        return gather(
            "cnn", run_spec(), seeds, prepared, tmp_path / name / "runs", tmp_path / name / "out"
        ), tmp_path / name / "out"

    undisturbed, without = of("without", (1, 3))

    def train_but_one(run, epochs, seed, *rest):
        recipe = run.recipe.model_copy(update={"optimizer": "sgd", "lr": 1e20} if seed == 2 else {})
        train_run(run.model_copy(update={"recipe": recipe}), epochs, seed, *rest)

    monkeypatch.setattr(training, "train_run", train_but_one)
    metrics, out = of("with", (1, 2, 3))
    assert metrics == undisturbed | {"diverged": [{"seed": 2, "device": "cpu", "diverged": 1}]}
    assert "diverged" not in undisturbed
    assert folder_bytes(out) | {"metrics.json": b""} == folder_bytes(without) | {"metrics.json": b""}
    assert re.fullmatch(
        r"train cnn: test accuracy .* over 2 seeds; diverged, .*: seed 2 in epoch 1; lower recipe.lr .*",
        summary(metrics),
    )


def test_a_variant_of_which_every_seed_diverges_leaves_files_without_rows(prepared, tmp_path):
    for folder in ("runs", "out"):
        (tmp_path / folder).mkdir()
    run = run_spec(optimizer="sgd", lr=1e20, batch_size=8)
    train_seeds("cnn", planned(run, (7, 8)), prepared, tmp_path / "runs")
    metrics = gather("cnn", run, (7, 8), prepared, tmp_path / "runs", tmp_path / "out")
    assert (metrics["runs"], [one["seed"] for one in metrics["diverged"]]) == ([], [7, 8])
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "metrics.json",
        "curves.csv",
        "predictions.safetensors",
    }
    assert {name: table.shape for name, table in load_file(tmp_path / "out" / "predictions.safetensors").items()} == {
        "predicted": (0, 47),
        "correct": (0, 47),
    }
    assert len(pd.read_csv(tmp_path / "out" / "curves.csv")) == 0
    assert summary(metrics).startswith(
        "train cnn: diverged, so that there is no accuracy: seed 7 in epoch 1, seed 8 in epoch 1; lower recipe.lr"
    )


def killed(item, report):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_ends_in_one_message_instead_of_a_wait_without_end():
    with pytest.raises(StageError, match="a worker process was killed"):
        process_pool.spread(killed, (1, 2), reports=1, title="train cnn", unit="epoch")


@pytest.mark.parametrize("value", ["0", "two", "-1", ""])
def test_max_workers_must_be_a_whole_number_from_one_up(value, monkeypatch):
    monkeypatch.setenv("MAX_WORKERS", value)
    with pytest.raises(StageError, match="MAX_WORKERS is "):
        process_pool.cores()


FAULTS_OF_BLOCKS = """
import resource, sys
from stages.shared.process_pool import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks = lambda: [bytearray(40 * 2**20) and None for _ in range(10)]
blocks()
before = faults()
blocks()
print((faults() - before) * resource.getpagesize() / 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("kept", "megabytes"), [("keep", (0, 10)), ("give back", (390, 500))])
def test_freed_memory_is_used_again_without_the_system_filling_it_with_zeros(kept, megabytes):
    done = subprocess.run([sys.executable, "-c", FAULTS_OF_BLOCKS, kept], capture_output=True, text=True, check=True)
    assert megabytes[0] <= float(done.stdout) <= megabytes[1]
