"""What the bench counts and divides, on numbers worked out by hand."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bench import flops, rounds, table
from bench.contestants import LAB, OURS, PEAK
from bench.contestants.matrix_product import FLOPS
from bench.rounds import DEFAULT, EACH_CORE, ONE_CORE, Block, Worker, WorkerDied
from stages.shared import params, paths
from stages.shared.stage_command import StageError

IMAGE = (1, 28, 28)


def test_training_counts_three_products_a_layer_and_two_of_the_first():
    variants = params.load().variants
    cnn, mlp = (variants[key].run.architecture for key in ("lab_cnn_3", "lab_mlp"))
    first, rest = 28 * 28 * 9 * 32, 14 * 14 * 9 * 32 * 64 + 3136 * 128 + 128 * 10
    assert flops.training_flops(cnn, IMAGE, 10) == 2 * (2 * first + 3 * rest)
    assert flops.training_flops(mlp, IMAGE, 10) == 2 * (2 * 784 * 256 + 3 * (256 * 128 + 128 * 10))


def block(contestant, mode, number, seconds, processes=1):
    measured = {"images": 1000, "seconds": seconds, "cpu_seconds": 2.0 * processes, "memory_mib": 500}
    return Block("lab_cnn_3", number, contestant, mode, processes, **measured)


BLOCKS = [
    *(block(OURS, ONE_CORE, number, seconds) for number, seconds in enumerate([1.0, 2.0, 1.0])),
    *(block(OURS, EACH_CORE, number, seconds, 2) for number, seconds in enumerate([1.0, 2.0, 1.0])),
    *(block(LAB, DEFAULT, number, seconds) for number, seconds in enumerate([4.0, 10.0, 5.0])),
    *(block(LAB, EACH_CORE, number, 5.0, 2) for number in range(3)),
    *(block("Keras on JAX", DEFAULT, number, 2.0) for number in range(3)),
    *(block(PEAK, ONE_CORE, number, 1.0) for number in range(3)),
    *(block(PEAK, EACH_CORE, number, 1.0, 2) for number in range(3)),
]


def test_ratios_are_taken_within_each_round_with_the_better_way_of_each():
    rates = table.rates_of(BLOCKS)
    assert table.best_mode(rates, LAB) == (LAB, EACH_CORE)  # 400 images a second against 200
    assert table.best_other(rates) == ("Keras on JAX", DEFAULT)  # 500
    assert table.ratio(rates[OURS, EACH_CORE], rates[LAB, DEFAULT]) == (10.0, 8.0, 10.0)  # 2000/250, 1000/100, 2000/200
    ours = dict(zip(table.HEADER, table.rows_of(BLOCKS, flops=FLOPS // 4000)[0], strict=True))
    assert ours["× the lab's loop"] == "10.00 (8.00–10.00)"
    assert ours["× the best other"] == "4.00 (2.00–4.00)"
    assert ours[ONE_CORE] == "1,000 (500–1,000)"
    assert ours["of the peak, one core"] == ours["of the peak, all cores"] == "25 %"


def test_a_contestant_that_does_not_start_is_named_with_its_last_words(tmp_path):
    (tmp_path / "log.txt").write_text("Traceback\nModuleNotFoundError: No module named 'keras'\n")
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process, pytest.raises(WorkerDied, match=r"^ModuleNotFoundError: No module named 'keras'$"):
        Worker(process, tmp_path / "log.txt").wait_until_ready()


def test_without_anybody_else_the_bench_ends_in_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "OTHERS_PYTHON", "false")  # the command that fails
    monkeypatch.setattr(rounds, "MODULES", {"Lightning": rounds.MODULES["Lightning"]})
    monkeypatch.setattr(rounds, "OUT", tmp_path)
    messages = []
    with pytest.raises(StageError, match="none of the others started"):
        list(rounds.run_rounds({"lab_mlp": 128}, 1, lambda *words: messages.append(words)))
    assert messages == [("Lightning", "did not start: exit code 1")]


def test_another_dataset_is_refused_by_name(tmp_path, monkeypatch):
    from bench import data

    monkeypatch.setattr(paths, "RAW", tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "digits"}))
    with pytest.raises(StageError, match=r"'digits'; the bench trains on fashion_mnist: set data\.dataset"):
        data.arrays()


def test_torchvision_reads_the_files_that_the_bench_writes(tmp_path, monkeypatch):
    from torchvision.datasets import FashionMNIST

    from bench import data

    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 3), ("test", 2)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(n)
    monkeypatch.setattr(data, "arrays", lambda: arrays)
    monkeypatch.setattr(data, "OUT", tmp_path)
    root = str(data.torchvision_root())
    for split in ("train", "test"):
        read = FashionMNIST(root, train=split == "train")
        assert np.array_equal(read.data.numpy(), arrays[f"{split}_images"])
        assert read.targets.tolist() == arrays[f"{split}_labels"].tolist()


@pytest.mark.parametrize("net", ["lab_cnn_3", "lab_mlp"])
def test_the_lab_s_net_has_as_many_parameters_as_ours_and_ours_its_recipe(net):
    from bench.contestants.lab import net_of
    from bench.data import BATCH, LR

    variant = params.load().variants[net]
    assert sum(p.numel() for p in net_of(net).parameters()) == variant.published.parameters
    recipe = variant.run.recipe
    assert (recipe.optimizer, recipe.schedule, recipe.batch_size) == ("adam", "constant", BATCH)
    assert (recipe.lr, recipe.weight_decay) == (LR, 0)


def test_loader_workers_are_not_timed_on_one_core():
    assert LAB in rounds.PINNED
    assert "PyTorch loop, 2 loader workers" not in rounds.PINNED
