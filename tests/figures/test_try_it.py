"""What the page is given to run trained nets, and the picture that stands there on paper."""

import base64
import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from browser_engine import architecture, trained_net
from fake_results import results_of

from stages.figures import try_it
from stages.figures.net_answers import probabilities
from stages.figures.net_layers import read_net
from stages.figures.trained_nets import TrainedNet
from stages.shared.drawing import style


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """(shape, classes, variants with the changes of their architecture) → a net for each."""

    def make(shape, classes, variants):
        folder, trained = tmp_path_factory.mktemp("nets"), {}
        for variant, changes in variants.items():
            settings, file = architecture(**changes), folder / f"{variant}.safetensors"
            trained_net(settings, shape, classes, file)
            trained[variant] = TrainedNet(3, 0.905, read_net(settings, file))
        return trained

    return make


def with_nets(name, nets):
    """Results with nets to try: of three variants, the CNN and the MLP; else two CNNs."""
    results = results_of(name)
    other = {"fully_connected": {"connectivity": "fully_connected"}} if name == "three" else {"kernel_5": {"kernel": 5}}
    shape, classes = tuple(results.constants["shape"]), len(results.constants["classes"])
    return replace(results, trained=nets(shape, classes, {"cnn": {}, **other}))


def test_the_page_gets_the_images_the_nets_and_the_pipelines_own_order_of_shuffled_pixels(nets):
    results = with_nets("three", nets)
    page = json.loads(try_it.texts(results)["try-it.json"])
    assert page["shape"] == [1, 32, 32]
    assert sorted(page["order"]) == list(range(32 * 32))
    assert page["order"][:64] == list(range(64)), "the margin stays"
    assert page["order"] != sorted(page["order"])
    assert [image["label"] for image in page["images"]] == list(range(10))
    pixels = np.frombuffer(base64.b64decode(page["images"][4]["data"]), np.uint8).reshape(1, 32, 32)
    assert np.array_equal(pixels, results.offered_images[4])
    assert [net["accuracy"] for net in page["nets"]] == ["90.5\u00a0%"] * 2
    assert page["nets"][0]["name"] == "CNN"
    assert [layer["op"] for layer in page["nets"][0]["layers"][:3]] == ["normalise", "pad", "convolution"]


def test_numbers_of_each_type_are_stored_with_the_least_significant_byte_first():
    for array in (np.arange(3, dtype=">f2"), np.arange(3, dtype=">f8"), np.arange(3, dtype=np.int8)):
        stored = try_it.stored(array)
        numbers = np.frombuffer(base64.b64decode(stored["data"]), np.dtype(stored["type"]).newbyteorder("<"))
        assert numbers.tolist() == [0, 1, 2]
    assert try_it.stored(np.zeros(2))["type"] == "float32"


def test_the_picture_has_a_row_for_each_change_and_no_text_covers_another(nets):
    for name in ("three", "100 classes, RGB"):
        results = with_nets(name, nets)
        figure = try_it.still_picture(results)
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        assert len(figure.axes) == 3 * (1 + len(results.trained))
        words = [text for axes in figure.axes for text in [*axes.texts, axes.title] if text.get_text()]
        for one, other in combinations(words, 2):
            boxes = [text.get_window_extent(renderer).padded(-0.5) for text in (one, other)]
            assert not boxes[0].overlaps(boxes[1]), (one.get_text(), other.get_text())
        assert figure.get_size_inches()[0] == style.WIDTH


def test_the_bars_are_the_probabilities_of_the_image_in_their_row(nets):
    results = with_nets("three", nets)
    figure = try_it.still_picture(results)
    image = results.offered_images[0]
    shifted = np.zeros_like(image)
    shifted[:, 2:, 2:] = image[:, :-2, :-2]
    panel = figure.axes[3 + 2]  # of the second row, the second net
    drawn = [bar.get_width() for bar in panel.patches]
    assert np.allclose(drawn, probabilities(results.trained["fully_connected"].net, shifted))


def test_of_many_classes_the_right_one_and_the_most_probable_are_drawn():
    answers = np.zeros((1, 1, 100))
    answers[0, 0, 40:60] = np.linspace(0.01, 0.05, 20)
    assert try_it._drawn_classes(answers, 7).tolist() == [7, *range(49, 60)]
    assert try_it._drawn_classes(np.full((3, 2, 10), 0.1), 7).tolist() == list(range(10))


@pytest.mark.parametrize("name", ["signal", "three"])
def test_without_a_net_the_page_is_given_none_and_the_report_says_why(nets, name):
    results = results_of(name)
    assert json.loads(try_it.texts(results)["try-it.json"]) == {"nets": [], "images": []}
    why = "no signals" if name == "signal" else "are not there"
    assert why in try_it.facts(results)["try_rounding"]
    assert why in try_it.still_picture(results)


def test_the_sentences_name_the_nets_their_seed_and_their_rounding(nets):
    results = with_nets("three", nets)
    facts = try_it.facts(results)
    assert facts["try_nets"].startswith("They are the CNN (")
    assert facts["try_nets"].endswith(", each as seed 3 trained it.")
    assert "to 8" not in facts["try_rounding"]
    coarse = results.trained["cnn"]
    coarse = replace(coarse, seed=4, net=replace(coarse.net, bits=8))
    facts = try_it.facts(replace(results, trained=results.trained | {"cnn": coarse}))
    assert "rounded to 16 bits (those of the CNN to 8)" in facts["try_rounding"]
    assert "each as the first seed that finished trained it" in facts["try_nets"]
