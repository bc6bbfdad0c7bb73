"""Which published numbers are set beside ours, and how each is put together."""

import numpy as np
import pandas as pd
import pytest

from stages.collect.published import number_of, published
from stages.shared import params
from stages.shared.params import Contrast, Hypothesis, Published, PublishedEffect
from stages.shared.run_files import VariantResults

SETTINGS = params.load()
NETS = ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")


def net(key, right, seeds=range(4)):
    """A net that answers the first `right` of 100 images rightly, one more or fewer under each seed."""
    correct = {seed: np.arange(100) < right + (1 if seed % 2 else -1) for seed in seeds}
    correct = {seed: answers.astype(np.uint8) for seed, answers in correct.items()}
    metrics, empty = {seed: {"seed": seed} for seed in seeds}, pd.DataFrame()
    return VariantResults(key, {}, metrics, {}, empty, empty, correct, correct, {}, {})


def settings(**stated):
    """The repository's settings with published accuracies of these variants: variant → (accuracy, seeds, images)."""
    variants = dict(SETTINGS.variants)
    for key, (accuracy, seeds, images) in stated.items():
        there = Published(accuracy=accuracy, margin=0.01, seeds=seeds, other_images=images, source="x")
        variants[key] = variants[key].model_copy(update={"published": there})
    return SETTINGS.model_copy(update={"variants": variants})


def claim(variants=NETS[:2], **effect):
    contrast = Contrast(variant=variants[0], reference=variants[1])
    if len(variants) == 4:
        contrast = contrast.model_copy(update={"minus": Contrast(variant=variants[2], reference=variants[3])})
    fields = {"statement": "…", "family": "structure", "metric": "accuracy", "direction": "above"}
    fields |= {"smallest_effect": 0.005, "source": "x"}
    return Hypothesis(contrast=contrast, published=PublishedEffect(**effect) if effect else None, **fields)


def test_the_published_effect_is_the_difference_of_the_accuracies_of_the_fewest_seeds_and_images():
    there = settings(cnn=(0.92, 5, 12000), fully_connected=(0.89, 3, 10000))
    number = number_of(there, claim(margin=0.02))
    assert (number.value, number.margin, number.seeds, number.other_images) == (0.03, 0.02, 3, 10000)


def test_of_four_variants_it_is_the_difference_of_the_differences_and_one_unknown_number_of_seeds_is_unknown():
    stated = {"cnn": 0.92, "fully_connected": 0.89, "cnn_permuted": 0.86, "fully_connected_permuted": 0.88}
    seeds = {"cnn": None}
    there = settings(**{key: (accuracy, seeds.get(key, 2), None) for key, accuracy in stated.items()})
    number = number_of(there, claim(NETS, margin=0.02))
    assert (number.value, number.seeds, number.other_images) == (0.05, None, None)


def test_a_stated_difference_is_taken_as_it_stands():
    number = number_of(SETTINGS, claim(margin=0.02, difference=-0.07, seeds=2))
    assert (number.value, number.margin, number.seeds) == (-0.07, 0.02, 2)
    assert number_of(SETTINGS, claim()) is None


def test_there_is_a_row_for_each_accuracy_and_effect_of_nets_that_ran():
    there = settings(cnn=(0.92, 1, None), fully_connected=(0.85, 1, None), kernel_5=(0.9, 1, None))
    hypotheses = {
        "lead": claim(margin=0.02),
        "silent": claim(),
        "gone": claim(("kernel_5", "cnn"), margin=0.02),
    }
    ran = [net("cnn", 90), net("fully_connected", 80, seeds=(1, 2, 9))]
    table = published(there, hypotheses, ran)
    assert table[["kind", "key"]].to_numpy().tolist() == [
        ["accuracy", "cnn"],
        ["accuracy", "fully_connected"],
        ["effect", "lead"],
    ]
    lead = table.set_index("key").loc["lead"]
    assert (lead["source"], lead["value"], lead["margin"], lead["seeds"], lead["n_seeds"]) == ("x", 0.07, 0.02, 1, 2)
    assert (lead["mean"], lead["agreeing_seeds"]) == (pytest.approx(0.1), 1)  # of seeds 1 and 2, which both have
    assert lead["verdict"] == "not stated"  # two seeds
    assert table.set_index("key").loc["cnn", "mean"] == pytest.approx(0.9)
    assert published(SETTINGS, {}, ran).empty
