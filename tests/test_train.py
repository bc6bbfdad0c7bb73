"""Training: bits that repeat, schedules by hand, every image counted, and faults that leave nothing behind."""

import json
import math
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from small_data import write_prepared

from stages import cores, params
from stages.provenance import StageError
from stages.train.compute.local import train_seeds
from stages.train.data import Split, load_splits
from stages.train.evaluate import accuracy, evaluate
from stages.train.recipe import optimiser, schedule
from stages.train.run import Diverged, train_run
from stages.train.variant import gather

SETTINGS = params.load()


def run_spec(layout="original", **recipe):
    run = SETTINGS.variants["cnn"].run
    architecture = run.architecture.model_copy(update={"channels": (4, 8)})
    return run.model_copy(update={"architecture": architecture, "recipe": run.recipe.model_copy(update=recipe), "layout": layout})


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


def test_the_same_run_twice_gives_the_same_bytes_and_another_seed_does_not(prepared, tmp_path):
    trained(prepared, tmp_path / "a")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 (global state must not matter)
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
    labels = load_splits(prepared, "original")["test"].labels.numpy()
    predicted = np.load(tmp_path / "a" / "predicted.npy")
    assert metrics["test_accuracy"] == (predicted == labels).sum() / 47
    assert [row["epoch"] for row in curves] == [1, 2, 3]
    assert curves[-1]["val_loss"] == metrics["val_loss"]
    assert curves[-1]["val_accuracy"] == metrics["val_accuracy"]


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
    recipe = SETTINGS.recipe.model_copy(update={"optimizer": "sgd", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.2})
    optimise = optimiser(recipe, [weight])
    for _ in range(2):
        weight.grad = torch.tensor([1.0])
        optimise.step()
    # v1 = 1 + .2·1 = 1.2, w = .88; v2 = .5·1.2 + 1 + .2·.88 = 1.776, w = .88 − .1776
    assert weight.item() == pytest.approx(0.7024)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimiser_lowers_the_loss(name, prepared, tmp_path):
    trained(prepared, tmp_path / "a", epochs=6, run=run_spec(optimizer=name, batch_size=16, schedule="constant", lr=0.01))
    curves = json.loads((tmp_path / "a" / "curves.json").read_text())
    assert curves[-1]["train_loss"] < curves[0]["train_loss"]


def test_a_loss_that_is_not_finite_ends_the_run_naming_epoch_and_nothing_finished_remains(prepared, tmp_path):
    with pytest.raises(Diverged, match="in epoch 1"):
        trained(prepared, tmp_path / "a", run=run_spec(optimizer="sgd", lr=1e20, batch_size=8))
    assert not (tmp_path / "a" / "metrics.json").exists()


def test_seeds_in_processes_give_the_bytes_of_one_process_and_a_variant_folder(prepared, tmp_path, monkeypatch):
    run = run_spec()
    (tmp_path / "many").mkdir()
    (tmp_path / "one").mkdir()
    train_seeds("cnn", run, 2, (3, 1, 2), prepared, tmp_path / "many")
    monkeypatch.setenv("MAX_WORKERS", "1")
    train_seeds("cnn", run, 2, (3, 1, 2), prepared, tmp_path / "one")
    for seed in (1, 2, 3):
        assert folder_bytes(tmp_path / "many" / f"seed_{seed}") == folder_bytes(tmp_path / "one" / f"seed_{seed}")
    out = tmp_path / "out"
    out.mkdir()
    metrics = gather("cnn", run, (3, 1, 2), prepared, tmp_path / "many", out)
    saved = load_file(out / "predictions.safetensors")
    assert sorted(folder_bytes(out)) == ["curves.csv", "metrics.json", "predictions.safetensors"] + [f"seed_{s}.safetensors" for s in (1, 2, 3)]
    assert [one["seed"] for one in metrics["runs"]] == [3, 1, 2]
    assert saved["correct"].mean(1) == pytest.approx([one["test_accuracy"] for one in metrics["runs"]])
    curves = pd.read_csv(out / "curves.csv")
    assert list(curves.columns) == ["seed", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert len(curves) == 6


def test_a_diverging_seed_ends_in_one_message_that_names_variant_seed_and_key(prepared, tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(StageError, match=r"variant 'cnn', seed 7: the loss is .* in epoch 1; lower recipe.lr"):
        train_seeds("cnn", run_spec(optimizer="sgd", lr=1e20, batch_size=8), 2, (7,), prepared, tmp_path / "runs")


def killed(item, report):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_ends_in_one_message_instead_of_a_wait_without_end():
    with pytest.raises(StageError, match="a worker process was killed"):
        cores.spread(killed, (1, 2), reports=1, title="train cnn", unit="epoch")


@pytest.mark.parametrize("value", ["0", "two", "-1", ""])
def test_max_workers_must_be_a_whole_number_from_one_up(value, monkeypatch):
    monkeypatch.setenv("MAX_WORKERS", value)
    with pytest.raises(StageError, match="MAX_WORKERS is "):
        cores.cores()
