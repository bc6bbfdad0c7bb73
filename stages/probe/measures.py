"""All probes of one net but its predictions under shifts: calibration, field, equivariance, position, pictures."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Num, Shaped
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from stages.probe.calibration import (
    class_accuracy,
    error_by_sampling_alone,
    expected_calibration_error,
    logits_of_all,
    negative_log_likelihood,
    reliability,
)
from stages.probe.effective_receptive_field import (
    effective_receptive_field,
    effective_size,
    size_by_luo,
    size_of_even_field,
    support,
)
from stages.probe.equivariance import equivariance_error, first_layer_error, pixel_errors
from stages.probe.feature_maps import feature_maps, first_filters, one_of_each_class
from stages.probe.geometry import Unmeasurable
from stages.probe.layers import last_map
from stages.probe.position_leak import ReadOut, position_share, read_out_of_position, without_position
from stages.shared.params import Probe
from stages.shared.random_streams import stream

Array = Shaped[np.ndarray, "..."]
DIVERGED = "the net has diverged: not all of its logits are finite"


class Measures(NamedTuple):
    """scalars: None where a probe has no meaning for the net; `reasons` then says why, under the same name.

    arrays: `reliability` (bins, 3), `effective_field` (H, W), `filters`, `class_accuracy` (classes,), and of a few
    images their pixels, their labels, and the maps of each layer as `map_<layer>` (images, channels, h, w).
    """

    scalars: dict[str, float | None]
    arrays: dict[str, Array]
    reasons: dict[str, str]


def measures(
    model: nn.Sequential,
    untrained: nn.Sequential,
    images: Num[Tensor, "batch channel height width"],
    labels: Int[Tensor, " batch"],
    seed: int,
    settings: Probe,
) -> Measures:
    """All probes of one net. It and `untrained`, the same net before its training, are in evaluation mode.

    images: the test images as the net sees them, (N, C, H, W); permuted, if the net was trained on permuted ones.
    labels: (N,). seed: of the streams that shuffle pixels and draw answers. A net whose logits are not finite has no
    scalar, but it has pictures, and a reliability of NaN. If torch has one thread, the bits do not depend on the number
    of cores.
    """
    scalars: dict[str, float | None] = {}
    reasons: dict[str, str] = {}

    def measure(probe: Callable[[], float | tuple[float, ...]], *names: str) -> None:
        """Record what the probe returns under these names, or why it has no value."""
        scalars.update(dict.fromkeys(names))
        try:
            if not finite:
                raise Unmeasurable(DIVERGED)
            values = probe()
            values = values if isinstance(values, tuple) else (values,)
            if not np.isfinite(values).all():
                raise Unmeasurable("the value is not finite")
            scalars.update(zip(names, values, strict=True))
        except Unmeasurable as reason:
            reasons.update(dict.fromkeys(names, str(reason)))

    logits = logits_of_all(model, images)
    finite = bool(torch.isfinite(logits).all())
    bins = reliability(logits, labels, settings.bins) if finite else np.full((settings.bins, 3), np.nan)
    measure(lambda: expected_calibration_error(bins), "ece")
    draws = stream("calibration", seed), settings.calibration_draws
    measure(lambda: error_by_sampling_alone(logits, settings.bins, *draws), "ece_by_sampling")
    measure(lambda: negative_log_likelihood(logits, labels), "nll")

    few = images[: settings.images]
    field = cache(lambda: effective_receptive_field(model, few))
    measure(lambda: effective_size(field(), settings.field_share), "effective_field")
    measure(lambda: size_of_even_field(field(), settings.field_share), "effective_field_even")
    measure(lambda: size_by_luo(field(), settings.luo_share), "effective_field_luo")
    measure(lambda: support(field()), "field_height", "field_width")

    measure(lambda: first_layer_error(model, few), "equivariance_error_first")
    measure(lambda: equivariance_error(model, few), "equivariance_error_last")
    of_a_pixel = ("equivariance_error_pixel", "equivariance_error_still", "equivariance_error_unrelated")
    measure(lambda: pixel_errors(model, few), *of_a_pixel)
    measure(lambda: pixel_errors(untrained, few).shifted, "equivariance_error_untrained")

    shuffled = without_position(few, stream("probe", seed))

    def read_out(of: Num[Tensor, "batch channel height width"]) -> ReadOut:
        maps = last_map(model, of)
        return read_out_of_position(maps, settings.folds, settings.ridge_penalty, settings.active_share)

    with threadpool_limits(1):  # more threads would add in another order
        measure(lambda: read_out(few), "position_r2", "position_channels")
        measure(lambda: read_out(shuffled), "position_r2_shuffled", "position_channels_shuffled")
    measure(lambda: last_map(model, few[:1]).shape[1], "map_channels")
    measure(lambda: position_share(last_map(model, shuffled)), "position_share")

    _, channels, height, width = images.shape
    chosen = one_of_each_class(labels, settings.drawn_images)
    drawn = images[chosen]
    maps = feature_maps(model, drawn, settings.drawn_channels)
    arrays: dict[str, Array] = {
        "class_accuracy": class_accuracy(logits, labels),
        "reliability": bins,
        "effective_field": _or_nan(field, (height, width)),
        "filters": first_filters(model, (channels, height, width), settings.drawn_channels, settings.drawn_places),
        "drawn_images": drawn.numpy(),
        "drawn_labels": labels[chosen].numpy(),
        **{f"map_{name}": array for name, array in maps.items()},
    }
    return Measures(scalars, arrays, reasons)


def _or_nan(probe: Callable[[], Array], shape: tuple[int, int]) -> Array:
    """What the probe returns; NaN of this shape where it has no meaning."""
    try:
        return probe()
    except Unmeasurable:
        return np.full(shape, np.nan)
