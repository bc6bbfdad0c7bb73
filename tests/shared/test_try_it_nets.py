"""Which trained nets a reader of the page may try."""

import fake_results
import numpy as np
import pytest
from browser_engine import architecture
from safetensors.numpy import save_file

from stages.shared import params, try_it_nets
from stages.shared.try_it_nets import chosen_nets, first_runs, kind_of, n_weights, shown_rows

SETTINGS = params.load()
SMALL, LARGE = try_it_nets.SMALL, try_it_nets.SMALL + 1


def test_one_net_of_each_kind_is_taken_and_a_small_one_before_a_large_one():
    sizes = {"cnn": SMALL, "kernel_5": 10, "fully_connected": LARGE, "fully_connected_narrow": SMALL}
    sizes |= {"locally_connected": LARGE + 1, "global_average": 5}
    chosen = ["cnn", "fully_connected_narrow", "locally_connected", "global_average"]
    assert chosen_nets(SETTINGS, sizes) == chosen
    assert chosen_nets(SETTINGS, {name: sizes[name] for name in chosen}) == chosen, "those that were chosen stay"
    assert chosen_nets(SETTINGS, sizes | {"locally_connected_narrow": LARGE})[2] == "locally_connected_narrow"
    assert chosen_nets(SETTINGS, {}) == []


def test_only_nets_that_differ_from_the_baseline_in_the_architecture_are_taken():
    others = (
        "cnn_permuted",
        "cnn_300",
        "fully_connected_shifted",
        "random_labels",
        "linear",
        "tile_4",
        "deep_residual",
    )
    assert chosen_nets(SETTINGS, dict.fromkeys(others, 10)) == []
    assert chosen_nets(SETTINGS, dict.fromkeys([*others, "kernel_5", "stride_2"], 10)) == ["kernel_5"]


def test_what_does_not_fit_into_the_page_is_left_out():
    """Of the last net, the pooled one, nothing fits beside three that are stored in 8 bits."""
    of_eight = 690_000
    sizes = {"cnn": of_eight, "fully_connected": of_eight, "locally_connected": of_eight, "global_average": 100_000}
    assert chosen_nets(SETTINGS, sizes) == ["cnn", "fully_connected", "locally_connected"]
    assert chosen_nets(SETTINGS, sizes | {"global_average": 10_000})[-1] == "global_average"
    assert chosen_nets(SETTINGS, {"cnn": 10_000_000}) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "convolutional"),
        ({"head": "global_max"}, "pooled"),
        ({"connectivity": "separable"}, "convolutional"),
        ({"connectivity": "locally_connected"}, "locally_connected"),
        ({"connectivity": "locally_connected", "tile": [2, 1]}, None),
        ({"layers": [{"connectivity": "locally_connected"}]}, None),
        ({"connectivity": "fully_connected"}, "fully_connected"),
        ({"connectivity": "fully_connected", "channels": []}, None),
        ({"residual": 1}, None),
        ({"connectivity": "attention", "channels": [4]}, None),
    ],
)
def test_the_kind_of_a_net(changes, kind):
    assert kind_of(architecture(**changes)) == kind


def test_the_first_seed_that_has_weights_stands_for_a_variant(tmp_path):
    for folder in ("cnn/seed_10", "cnn/seed_9", "kernel_5/seed_0"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("cnn/seed_10", "cnn/seed_9"):
        tensors = {"normalise.mean": 1, "features.0.weight": 6, "features.1.running_mean": 2, "head.1.bias": 4}
        arrays = {name: np.zeros((size, 1), np.float32) for name, size in tensors.items()}
        save_file(arrays, tmp_path / folder / "weights.safetensors")
    folders = first_runs(tmp_path, SETTINGS.variants)
    assert folders == {"cnn": tmp_path / "cnn" / "seed_9"}
    assert n_weights(folders["cnn"] / "weights.safetensors") == 10


def test_the_first_image_of_each_class_is_offered_then_the_second():
    assert shown_rows(np.array([2, 2, 0, 2, 1, 0])).tolist() == [2, 4, 0, 5, 1, 3]
    assert shown_rows(np.arange(50) % 25).tolist() == list(range(10))


def test_the_rows_depend_on_the_labels_alone(tmp_path, monkeypatch):
    """So the published images can be laid out again among test images that are not there."""
    from stages.figures.trained_nets import offered_images

    results = fake_results.collected(monkeypatch, tmp_path, fake_results.settings(fake_results.three), n_test=40)
    images, labels = offered_images()
    assert np.array_equal(images, results.offered_images)
    assert labels.tolist() == list(range(10))
