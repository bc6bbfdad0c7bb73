"""Widths solved by hand, and the equal costs that params.yaml promises."""

import pytest

from stages.check.matching import deviation, matched_widths
from stages.shared import params
from stages.shared.architectures.closed_form import ClosedForm, closed_form

SETTINGS = params.load()
FASHION = (1, 32, 32), 10  # the canvas of a 28×28 image with a margin of 2, and the classes
THREE_PIXELS = (1, 1, 3), 2


def spec(**changes):
    return params.Architecture.model_validate(SETTINGS.architecture.model_dump() | changes)


def units(*channels):
    return spec(connectivity="fully_connected", channels=channels)


def costs(parameters=1, macs=1, field=(1, 1)):
    return ClosedForm(parameters, macs, [], field)


PROMISES = [(key, *promise) for key, variant in SETTINGS.variants.items() for promise in variant.matched.items()]


@pytest.mark.parametrize(("key", "quantity", "other"), PROMISES)
def test_a_variant_has_the_cost_that_it_is_meant_to_share(key, quantity, other):
    one, target = (closed_form(SETTINGS.variants[name].run.architecture, *FASHION) for name in (key, other))
    if quantity == "receptive_field":
        assert one.receptive_field == target.receptive_field is not None
    else:
        assert getattr(one, quantity) == pytest.approx(getattr(target, quantity), rel=0.02)


def test_the_width_of_one_layer_by_hand():
    # k units on 3 pixels with 2 classes: 4k + 2(k + 1) = 6k + 2 parameters and 3k + 2k = 5k multiply-accumulates.
    assert matched_widths("channels", "parameters", units(5), costs(parameters=50), *THREE_PIXELS, 0.02) == (8,)
    assert matched_widths("channels", "macs", units(5), costs(macs=45), *THREE_PIXELS, 0.02) == (9,)


def test_of_several_exact_widths_the_one_in_the_proportions_that_it_began_with():
    # w and v units: 4w + (w + 1)v + 2(v + 1) = 4w + wv + 3v + 2 parameters: 30 of them with (1, 6) and with (2, 4).
    assert [closed_form(units(*widths), *THREE_PIXELS).parameters for widths in ((1, 6), (2, 4))] == [30, 30]
    assert matched_widths("channels", "parameters", units(1, 2), costs(parameters=30), *THREE_PIXELS, 0.02) == (2, 4)
    assert matched_widths("channels", "parameters", units(1, 6), costs(parameters=30), *THREE_PIXELS, 0.02) == (1, 6)


def test_a_hidden_layer_by_hand():
    # A 1×1 convolution of one filter: 2; pooled, h hidden units, two classes: 2h + 2(h + 1). In all 4h + 4.
    pooled = spec(channels=(1,), kernel=1, reduce_at=(), head="global_average", hidden=(3,))
    assert matched_widths("hidden", "parameters", pooled, costs(parameters=44), *THREE_PIXELS, 0.02) == (10,)


def test_no_width_within_the_tolerance_is_refused_naming_the_nearest():
    # 6k + 2 is 50 or 56, and 56 / 54 = 1.037.
    with pytest.raises(ValueError, match=r"no channels come within 2 %; the nearest are \[9\], with \+3\.7 %"):
        matched_widths("channels", "parameters", units(5), costs(parameters=54), *THREE_PIXELS, 0.02)
    assert matched_widths("channels", "parameters", units(5), costs(parameters=54), *THREE_PIXELS, 0.04) == (9,)
    with pytest.raises(ValueError, match=r"the nearest are \[1\], with \+60\.0 %"):  # 8 instead of 5
        matched_widths("channels", "parameters", units(5), costs(parameters=5), *THREE_PIXELS, 0.02)


WITHOUT_WIDTHS = {
    "linear": ("channels", units()),
    "resnet18": ("channels", spec(connectivity="resnet18")),
    "no hidden layer": ("hidden", spec()),
}


@pytest.mark.parametrize(("field", "architecture"), WITHOUT_WIDTHS.values(), ids=WITHOUT_WIDTHS)
def test_what_has_no_width_is_refused(field, architecture):
    with pytest.raises(ValueError, match=f"it has no {field} to widen or narrow"):
        matched_widths(field, "parameters", architecture, costs(parameters=50), *FASHION, 0.02)


@pytest.mark.parametrize(
    ("quantity", "value", "target", "expected"),
    [
        ("parameters", 90, 100, -0.1),
        ("macs", 130, 100, 0.3),
        ("field", (10, 10), (10, 10), 0),
        ("field", (10, 12), (10, 10), 0.2),  # of both axes, the one that is further off
        ("field", (11, 7), (10, 10), -0.3),
        ("field", None, (10, 10), float("inf")),
        ("field", None, None, 0),
    ],
)
def test_a_deviation_is_relative_and_signed(quantity, value, target, expected):
    name = "receptive_field" if quantity == "field" else quantity
    assert deviation(name, costs(**{quantity: value}), costs(**{quantity: target})) == pytest.approx(expected)
