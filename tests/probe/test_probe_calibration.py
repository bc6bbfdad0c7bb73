"""Calibration on probabilities that can be read."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from stages.probe.calibration import (
    class_accuracy,
    error_by_sampling_alone,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)


def logits(*confidences):
    """Two classes; class 0 has the given probability."""
    p = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([p, 1 - p], 1).log()


def test_calibration_error_by_hand():
    # Bin (0.4, 0.6]: 0.55 and 0.57, both right: gap 0.44. Bin (0.8, 1]: 0.95 right, 0.85 wrong: gap 0.4.
    # Half of the images are in each.
    table = reliability(logits(0.55, 0.95, 0.57, 0.85), torch.tensor([0, 0, 0, 1]), 5)
    assert table[2] == pytest.approx([2, 0.56, 1])
    assert table[4] == pytest.approx([2, 0.9, 0.5])
    assert not table[[0, 1, 3]].any()
    assert expected_calibration_error(table) == pytest.approx(0.42)


def test_bins_weigh_by_their_images():
    # Three images of confidence 0.9, all right (gap 0.1), and one of 0.6, wrong (gap 0.6).
    table = reliability(logits(0.9, 0.9, 0.6, 0.9), torch.tensor([0, 0, 1, 0]), 10)
    assert expected_calibration_error(table) == pytest.approx((3 * 0.1 + 0.6) / 4)


def test_a_bin_holds_its_upper_edge_and_the_last_holds_certainty():
    assert reliability(torch.zeros(1, 2), torch.tensor([0]), 2)[:, 0].tolist() == [1, 0], "1/2 is in (0, 1/2]"
    assert reliability(torch.tensor([[1000.0, 0.0]]), torch.tensor([0]), 7)[6].tolist() == [1, 1, 1]


def test_calibration_error_equals_a_loop_over_bins():
    generator = torch.Generator().manual_seed(0)
    scores = 2 * torch.randn(500, 4, generator=generator)
    labels = torch.randint(0, 4, (500,), generator=generator)
    p = np.exp(scores.double().numpy())
    p /= p.sum(1, keepdims=True)
    confidence, right = p.max(1), p.argmax(1) == labels.numpy()
    expected = 0.0
    for m in range(12):
        inside = (confidence > m / 12) & (confidence <= (m + 1) / 12)
        if inside.any():
            expected += inside.sum() / 500 * abs(right[inside].mean() - confidence[inside].mean())
    assert expected > 0.1
    assert expected_calibration_error(reliability(scores, labels, 12)) == pytest.approx(expected)


def test_calibration_needs_an_image():
    with pytest.raises(ValueError, match="at least one image"):
        reliability(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 5)


def test_the_error_by_sampling_alone_is_the_mean_deviation_of_a_binomial_share():
    # 40 answers of confidence 0.75 in one bin: E|k/40 − 0.75| over k ~ B(40, 0.75).
    k = np.arange(41)
    expected = binom.pmf(k, 40, 0.75) @ np.abs(k / 40 - 0.75)
    error = error_by_sampling_alone(logits(*[0.75] * 40), 10, np.random.default_rng(0), 5000)
    assert error == pytest.approx(expected, rel=0.03)


def test_the_error_by_sampling_alone_needs_no_labels_shrinks_with_images_and_is_zero_for_certainty():
    few, many = (error_by_sampling_alone(logits(*[0.7] * n), 10, np.random.default_rng(0), 500) for n in (25, 400))
    assert few == pytest.approx(4 * many, rel=0.1)
    certain = torch.tensor([[1000.0, 0.0]] * 7)
    assert error_by_sampling_alone(certain, 10, np.random.default_rng(0), 5) == 0


def test_negative_log_likelihood_by_hand():
    likelihood = negative_log_likelihood(logits(0.5, 0.2), torch.tensor([0, 1]))
    assert likelihood == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)


def test_class_accuracy_by_hand_and_is_unknown_without_images():
    scores = torch.eye(3)[[0, 1, 0, 0]]  # predicted: 0, 1, 0, 0
    share = class_accuracy(scores, torch.tensor([0, 0, 0, 1]))
    assert share[:2].tolist() == [pytest.approx(2 / 3), 0]
    assert np.isnan(share[2])
