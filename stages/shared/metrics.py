"""Everything that is measured of a run: one entry for each metric, and all that a new one needs.

An entry makes a column of data/results/runs.csv, and a metric that hypotheses.yaml may name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """name: in sentences. unit: "points" (percentage points of a fraction) or the unit of the number itself.

    higher_is_better: None for a property of a net that is neither good nor bad. column: in runs.csv, and the key in the
    run's metrics.json or probe.json. images: the array with its value for each test image, where there is one.
    summarised: whether variants.csv has its mean and interval.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    column: str
    images: str | None = None
    summarised: bool = False


POINTS = "points"  # the unit of fractions, all of which lie in [0, 1]

METRICS = {
    "accuracy": Metric("test accuracy", POINTS, True, "test_accuracy", images="correct", summarised=True),
    "loss": Metric("test loss", "nats", False, "test_loss"),
    "train_accuracy": Metric("accuracy on the train images", POINTS, True, "train_accuracy"),
    "val_accuracy": Metric("validation accuracy", POINTS, True, "val_accuracy"),
    "shift_consistency": Metric(
        "shift consistency", POINTS, True, "shift_consistency", images="consistency", summarised=True
    ),
    "shifted_accuracy": Metric(
        "accuracy on shifted images", POINTS, True, "shifted_accuracy", images="shifted", summarised=True
    ),
    "shift_consistency_beyond_chance": Metric(
        "shift consistency beyond chance",
        "kappa",
        True,
        "shift_consistency_beyond_chance",
        images="consistency_beyond_chance",
        summarised=True,
    ),
    "ece": Metric("expected calibration error", POINTS, False, "ece"),
    "ece_by_sampling": Metric("calibration error by sampling alone", POINTS, None, "ece_by_sampling"),
    "nll": Metric("negative log-likelihood", "nats", False, "nll"),
    "effective_field": Metric("effective receptive field", "pixels", None, "effective_field"),
    "effective_field_even": Metric(
        "effective size that an even field would have", "pixels", None, "effective_field_even"
    ),
    "effective_field_luo": Metric(
        "effective receptive field by the measure of Luo et al.", "pixels", None, "effective_field_luo"
    ),
    "field_height": Metric("height of the receptive field", "pixels", None, "field_height"),
    "field_width": Metric("width of the receptive field", "pixels", None, "field_width"),
    "equivariance_error_first": Metric(
        "equivariance error of the first layer", "relative", None, "equivariance_error_first"
    ),
    "equivariance_error_last": Metric(
        "equivariance error of the last feature map", "relative", None, "equivariance_error_last"
    ),
    "position_r2": Metric("how well position can be read from the images' last feature map", "R²", None, "position_r2"),
    "position_r2_shuffled": Metric(
        "how well position can be read from the last feature map of shuffled pixels",
        "R²",
        None,
        "position_r2_shuffled",
    ),
    "equivariance_error_pixel": Metric(
        "error of the last feature map for a shift by one pixel", "relative", False, "equivariance_error_pixel"
    ),
    "equivariance_error_still": Metric(
        "how far a shift by one pixel moves the last feature map", "relative", None, "equivariance_error_still"
    ),
    "equivariance_error_unrelated": Metric(
        "distance of the last feature maps of two images", "relative", None, "equivariance_error_unrelated"
    ),
    "equivariance_error_untrained": Metric(
        "error of the last feature map for a shift by one pixel, before training",
        "relative",
        None,
        "equivariance_error_untrained",
    ),
    "map_channels": Metric("channels of the last feature map", "channels", None, "map_channels"),
    "position_channels": Metric(
        "channels of the images' last feature map from which position is read", "channels", None, "position_channels"
    ),
    "position_channels_shuffled": Metric(
        "channels of the last feature map of shuffled pixels from which position is read",
        "channels",
        None,
        "position_channels_shuffled",
    ),
    "position_share": Metric(
        "share of the last feature map's variance that position explains", "share", None, "position_share"
    ),
}


def n_images(column: str, n_test: int, probe_images: int) -> int | None:
    """How many test images a value in a column of runs.csv is a mean over; None if there is no value for each image.

    probe_images: how many are probed, where there are as many.
    """
    metric = next(metric for metric in METRICS.values() if metric.column == column)
    if metric.images is None:
        return None
    return n_test if metric.images == "correct" else min(n_test, probe_images)


def is_fraction(column: str) -> bool:
    """Whether the values in a column of runs.csv lie in [0, 1]."""
    return any(metric.column == column and metric.unit == POINTS for metric in METRICS.values())
