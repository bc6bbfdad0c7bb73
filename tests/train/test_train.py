"""One run: bits that repeat, every image counted, a length that is kept, and faults that leave no result."""

import math
import shutil
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from stages.shared import paths
from stages.shared.architectures.closed_form import closed_form
from stages.shared.run_records import PlannedRun
from stages.train import local
from stages.train.data import load_splits
from stages.train.evaluate import evaluate
from stages.train.recipe import build_optimiser, schedule


def folder_bytes(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def metrics_of(folder):
    return paths.read_json(folder / "metrics.json")


def curves_of(folder):
    return pd.read_csv(folder / "curves.csv")


def test_bfloat16_is_of_the_products_in_training_alone(run_spec, train, tmp_path, monkeypatch):
    types = set()

    def noted(model, split):
        types.add(model(split.images[:1].float()).dtype)
        return evaluate(model, split)

    monkeypatch.setattr("stages.train.run.evaluate", noted)
    for precision in ("float32", "bfloat16"):
        train(run_spec(precision=precision), tmp_path / precision)
    single, half = (load_file(tmp_path / name / "weights.safetensors") for name in ("float32", "bfloat16"))
    assert {tensor.dtype for tensor in half.values()} == {np.dtype("float32")}
    assert types == {torch.float32}
    differences = [np.abs(single[name] - half[name]).max() for name in single if name.startswith("features")]
    assert 0 < max(differences) < 0.1, "half as precise, and no other training"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_run_twice_gives_the_same_bytes_and_another_seed_does_not(precision, run_spec, train, tmp_path):
    train(run_spec(precision=precision), tmp_path / "a")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  (the global generator, which must not matter)
    train(run_spec(precision=precision), tmp_path / "b")
    train(run_spec(seed=1, precision=precision), tmp_path / "c")
    one, same, other = (folder_bytes(tmp_path / name) for name in "abc")
    assert one == same
    assert one["weights.safetensors"] != other["weights.safetensors"]


def test_a_cnn_learns_lines(run_spec, train, tmp_path):
    reports = train(run_spec(epochs=12, batch_size=8, lr=0.01), tmp_path / "a")
    metrics = metrics_of(tmp_path / "a")
    assert metrics["test_accuracy"] > 0.8
    assert len(reports) == 12
    assert reports[-1] == f"epoch 12 of 12: val accuracy {metrics['val_accuracy']:.4f}"


def test_metrics_agree_with_the_saved_predictions_curves_and_closed_forms(run_spec, train, prepared, tmp_path):
    spec = run_spec()
    train(spec, tmp_path / "a")
    metrics, curves = metrics_of(tmp_path / "a"), curves_of(tmp_path / "a")
    labels = load_splits(prepared, spec)["test"].labels.numpy()
    predictions = load_file(tmp_path / "a" / "predictions.safetensors")
    assert predictions["correct"].tolist() == (predictions["predicted"] == labels).tolist()
    assert metrics["test_accuracy"] == predictions["correct"].sum() / 47
    assert curves["epoch"].tolist() == [1, 2, 3]
    assert curves["val_loss"].iloc[-1] == pytest.approx(metrics["val_loss"], abs=1e-6)
    assert curves["val_accuracy"].iloc[-1] == pytest.approx(metrics["val_accuracy"], abs=1e-6)
    costs = closed_form(spec.architecture, (1, 8, 8), 3)
    assert (metrics["parameters"], metrics["macs"]) == (costs.parameters, costs.macs)
    assert metrics["receptive_field"] == list(costs.receptive_field)


@pytest.mark.parametrize("pixels", ["unit", "standardised"])
def test_the_net_scales_its_pixels_by_its_own_train_subset_or_not_at_all(pixels, run_spec, train, prepared, tmp_path):
    spec = run_spec(sample={"pixels": pixels, "train_size": 12}, epochs=1)
    train(spec, tmp_path / "a")
    weights = load_file(tmp_path / "a" / "weights.safetensors")
    scale = weights["normalise.mean"].item(), weights["normalise.std"].item()
    images = load_splits(prepared, spec)["train"].images.double()
    expected = (images.mean(), images.std(correction=0)) if pixels == "standardised" else (0, 255)
    assert scale == pytest.approx(tuple(map(float, expected)), rel=1e-6)


def test_an_offset_gives_other_weights_and_another_order_of_the_same_images(run_spec, train, prepared, tmp_path):
    plain, offset = run_spec(), run_spec(sample={"seed_offset": 1000})
    for spec, name in ((plain, "plain"), (offset, "offset")):
        train(spec, tmp_path / name)
    assert (
        folder_bytes(tmp_path / "plain")["weights.safetensors"]
        != folder_bytes(tmp_path / "offset")["weights.safetensors"]
    )
    same, other = (load_splits(prepared, spec) for spec in (plain, offset))
    assert all(torch.equal(same[name].images, other[name].images) for name in ("train", "val", "test"))


def test_a_run_on_few_images_is_scored_as_often_as_one_on_all(run_spec, train, tmp_path):
    """12 images in batches of 4: 3 steps an epoch, scored every 7 steps (after steps 9, 15 and 21) and at the end."""
    spec = run_spec(sample={"train_size": 12}, batch_size=4, epochs=8).model_copy(update={"score_every": 7})
    reports = train(spec, tmp_path / "a")
    assert curves_of(tmp_path / "a")["epoch"].tolist() == [3, 5, 7, 8]
    assert len(reports) == 8
    assert reports[0] == "epoch 1 of 8"


# --- how long, and at which rates


@pytest.fixture
def rates(monkeypatch):
    """A list for every training that follows: the learning rate of each step of its optimiser."""
    lists = []

    def build_noted(*arguments):
        optimiser = build_optimiser(*arguments)
        rates_of_training = []
        optimiser.register_step_pre_hook(lambda own, *_: rates_of_training.append(own.param_groups[0]["lr"]))
        lists.append(rates_of_training)
        return optimiser

    monkeypatch.setattr("stages.train.run.build_optimiser", build_noted)
    return lists


def test_steps_end_in_the_middle_of_an_epoch_and_the_cycle_spans_exactly_these(run_spec, train, tmp_path, rates):
    # 90 images in batches of 8 are 12 steps an epoch, the last with 2 images: 17 steps are an epoch and 5 steps.
    spec = run_spec(steps=17, batch_size=8, schedule="one_cycle")
    reports = train(spec, tmp_path / "a")
    lr_at = schedule(spec.recipe, 17)
    assert rates[0] == [lr_at(step) for step in range(17)]
    assert rates[0][-1] == pytest.approx(0)
    assert reports[-1].startswith("epoch 2 of 2: ")
    curves = curves_of(tmp_path / "a")
    assert curves["epoch"].tolist() == [1, 2]
    n_right = curves["train_accuracy"] * [90, 40]
    assert n_right.tolist() == pytest.approx(n_right.round().tolist(), abs=1e-3), "a mean over the epoch's own images"


@pytest.mark.parametrize(("steps", "epochs"), [(3, 1), (12, 1)])
def test_steps_may_be_fewer_than_an_epoch_or_end_with_one(steps, epochs, run_spec, train, tmp_path, rates):
    reports = train(run_spec(steps=steps, batch_size=8), tmp_path / "a")
    assert (len(rates[0]), len(reports)) == (steps, epochs)


def test_the_order_of_the_recipe_is_the_one_that_is_trained_in(run_spec, train, tmp_path):
    weights = {}
    for order, epochs in product(("fixed", "reshuffled"), (1, 2)):
        out = tmp_path / f"{order}{epochs}"
        train(run_spec(order=order, epochs=epochs, schedule="constant"), out)
        weights[order, epochs] = (out / "weights.safetensors").read_bytes()
    assert weights["fixed", 1] == weights["reshuffled", 1], "the first epoch is alike"
    assert weights["fixed", 2] != weights["reshuffled", 2]


def test_an_untrained_models_first_epoch_loss_is_near_that_of_guessing(run_spec, train, tmp_path):
    train(run_spec(epochs=1, lr=1e-9, schedule="constant"), tmp_path / "a")
    assert curves_of(tmp_path / "a")["train_loss"].tolist() == [pytest.approx(math.log(3), abs=0.15)]


@pytest.mark.parametrize(("name", "lr"), [("adamw", 0.01), ("adam", 0.01), ("sgd", 0.01), ("adadelta", 1.0)])
def test_every_optimiser_lowers_the_loss(name, lr, run_spec, train, tmp_path):
    train(run_spec(epochs=6, optimizer=name, batch_size=16, schedule="constant", lr=lr), tmp_path / "a")
    losses = curves_of(tmp_path / "a")["train_loss"].tolist()
    assert losses[-1] < losses[0]


# --- runs that diverge


def test_a_loss_that_is_not_finite_ends_the_run_which_leaves_its_epoch_and_no_result(run_spec, train, tmp_path):
    spec = run_spec(optimizer="sgd", lr=1e20, batch_size=8)
    reports = train(spec, tmp_path / "a")
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["metrics.json"]
    metrics = metrics_of(tmp_path / "a")
    assert (metrics["seed"], metrics["device"], metrics["diverged"]) == (0, "cpu", 1)
    assert metrics["parameters"] == closed_form(spec.architecture, (1, 8, 8), 3).parameters
    assert not [name for name in metrics if name.endswith(("_loss", "_accuracy"))]
    assert reports == ["diverged in epoch 1"] * 3, "as many reports as epochs, so that the bar ends"


# Scored are val after each of two epochs, then train, val and test.
@pytest.mark.parametrize(
    ("call", "epoch", "loss"),
    [(1, 1, math.inf), (2, 2, math.nan), (3, 2, math.nan), (4, 2, math.inf), (5, 2, math.inf)],
)
def test_a_loss_that_is_not_finite_on_any_split_is_a_divergence(
    call, epoch, loss, run_spec, train, tmp_path, monkeypatch
):
    calls = []

    def spoilt(model, split):
        calls.append(split)
        true_loss, predicted = evaluate(model, split)
        return (loss if len(calls) == call else true_loss), predicted

    monkeypatch.setattr("stages.train.run.evaluate", spoilt)
    train(run_spec(epochs=2), tmp_path / "a")
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["metrics.json"]
    assert metrics_of(tmp_path / "a")["diverged"] == epoch


# --- runs side by side


def copy_to(root, run, folder):
    shutil.copytree(folder, root / str(run.seed))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_processes_give_the_bytes_of_runs_trained_alone_and_one_that_diverges_disturbs_none(
    workers, run_spec, train, prepared, tmp_path, monkeypatch
):
    specs = [run_spec(seed=3), run_spec(seed=1), run_spec(seed=2, optimizer="sgd", lr=1e20)]
    runs = [PlannedRun("cnn", spec.seed, f"digest{spec.seed}", spec) for spec in specs]
    monkeypatch.setenv("MAX_WORKERS", workers)
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    seconds = local.train(runs, prepared, partial(copy_to, tmp_path))
    assert len(seconds) == 3
    for spec in specs:
        train(spec, tmp_path / "alone" / str(spec.seed))
        files = folder_bytes(tmp_path / str(spec.seed))
        assert files.pop("record.json")
        assert files == folder_bytes(tmp_path / "alone" / str(spec.seed))
    assert metrics_of(tmp_path / "2")["diverged"] == 1
