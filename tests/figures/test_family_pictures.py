"""Each family's section opens with a picture of what the family varies, and the chapter's numbers are right."""

import fake_results
import numpy as np
import pytest

from stages.figures import convolution, diagrams, families, family_pictures, level_drawings, windows
from stages.shared import params, paths
from stages.shared.architectures.closed_form import closed_form
from stages.shared.architectures.maps import map_sizes

# Of params.yaml: what its families vary. Those that are left out vary a rate, or test the benchmark.
EXPECTED = {
    family_pictures.MATRICES: "connectivity connectivity_matched connectivity_large tiles replication",
    family_pictures.LAYOUT: "structure translation",
    family_pictures.WINDOW: "kernel kernel_matched replication_lenet",
    family_pictures.FIELD: "depth depth_matched kernel_field",
    family_pictures.REDUCING: "downsampling downsampling_pooled",
    family_pictures.PADDING: "padding padding_pooled replication_one_layer",
    family_pictures.HEAD: "head",
    family_pictures.PICTURES_OF_RECIPE["sample.train_size"]: "sample_size",
    family_pictures.PICTURES_OF_RECIPE["recipe.augment_shift"]: "augmentation",
    family_pictures.PICTURES_OF_RECIPE["recipe.precision"]: "precision",
    family_pictures.READERS: "attention",
    family_pictures.CHAIN: "residual",
    family_pictures.CHANNELS: "separable separable_pooled",
}
WITHOUT = {"learning_rate", "controls"}


@pytest.fixture(scope="module")
def results():
    """Every variant of params.yaml but the largest, each under one seed."""

    def everything(raw):
        raw["variants"].pop("resnet18")
        raw["protocol"] = "full"
        raw["protocols"]["full"] |= {"train_size": 20000, "val_size": 500, "epochs": 2, "variants": [*raw["variants"]]}
        fake_results.seeds(1)(raw)

    return fake_results.finished(fake_results.settings(everything), n_test=20)


def test_every_family_of_params_yaml_has_the_picture_of_what_it_varies(results):
    expected = {family: kind for kind, names in EXPECTED.items() for family in names.split()}
    assert expected.keys() | WITHOUT == set(params.load(paths.PARAMS).families)
    for family in results.settings.families:
        assert family_pictures.kind_of(results, family) is expected.get(family), family
        drawn = family_pictures.figure(results, family)
        assert (drawn is None) == (family in WITHOUT), family
        if drawn is not None:
            assert drawn.get_size_inches()[1] <= diagrams.STRIP
            titles = [panel.get_title().replace("\n", " ") for panel in drawn.axes]
            assert len(set(filter(None, titles))) == len(titles) > 1, titles
        diagrams.style.plt.close("all")


def test_levels_that_are_drawn_alike_share_a_panel(results):
    named = {
        family: [level.name for level in family_pictures.panels_of(results, family)] for family in ("head", "kernel")
    }
    assert named["head"] == ["flatten", "global average", "global max", "global average, hidden layer"]
    assert named["kernel"] == ["3×3", "1×1", "5×5", "7×7", "3×3, dilated by 2"]
    shared = [level.name for level in family_pictures.panels_of(results, "connectivity")]
    assert shared == ["convolutional", "locally connected", "fully connected"], "the head does not change the matrix"


def test_a_section_opens_with_its_picture_and_a_family_without_one_names_none(results):
    sections = families.chapter(results).split("\n### ")
    by_family = {family: next(text for text in sections if f"sec-family-{family.replace('_', '-')}}}" in text)
                 for family in ("kernel", "learning_rate")}  # fmt: skip
    paragraphs = by_family["kernel"].split("\n\n")
    assert "@fig-picture-kernel draws the choice." in paragraphs[1]
    assert paragraphs[2].startswith("![Kernel size: the window of a filter")
    assert "fig-picture" not in by_family["learning_rate"]


def test_a_family_of_a_user_is_drawn_by_the_setting_that_its_levels_vary(tmp_path, monkeypatch):
    def own(raw):
        fake_results.only(raw, "cnn", "kernel_5", "kernel_7")
        raw["families"] = {name: raw["families"]["kernel"] | {"title": name} for name in ("mine", "activation")}
        raw["variants"]["cnn"]["families"] = {"mine": "two", "activation": "relu"}
        changes = {"kernel_5": {"stride": 4, "pooling": "none"}, "kernel_7": {"activation": "tanh"}}
        for (variant, change), family in zip(changes.items(), raw["families"], strict=True):
            raw["variants"][variant] = {"families": {family: "own"}, "run": {"architecture": change}}

    results = fake_results.collected(monkeypatch, tmp_path, fake_results.settings(own), n_test=20)
    assert family_pictures.kind_of(results, "mine") is family_pictures.REDUCING
    assert family_pictures.kind_of(results, "activation") is None
    assert family_pictures.figure(results, "activation") is None


def test_the_depths_of_a_family_show_the_closed_form_of_their_fields(results):
    levels = family_pictures.panels_of(results, "depth")
    assert len(levels) > 1
    for level in levels:
        first, last, _ = windows.seen_by_one_unit(level.layers)[0]
        form = closed_form(level.architecture, (1, 32, 32), 10)
        assert last - first + 1 == form.receptive_field[1], level.name


def test_the_shuffled_picture_has_the_very_pixels_of_the_original(results):
    (level,) = [one for one in family_pictures.panels_of(results, "structure") if one.layout == "permuted"]
    image = level_drawings.example_image(results)
    _, axes = diagrams.style.plt.subplots()
    level_drawings.layout(axes, level, [level])
    drawn = np.asarray(axes.images[0].get_array())
    step = drawn.shape[0] // image.shape[1]
    shuffled = drawn[::step, ::step, 0] * 255
    assert np.sort(shuffled.ravel()) == pytest.approx(np.sort(image[0].ravel()))
    assert not np.allclose(shuffled, image[0])
    diagrams.style.plt.close("all")


def test_a_stride_makes_a_false_wave_and_a_blur_takes_it_away():
    """A crest every 2.5 pixels, of which every second pixel is kept: 0.8 cycles a step, which looks like 0.2.

    The blur keeps (1 + cos 2π/2.5) / 2 of its height.
    """
    kept = convolution.wave(convolution.FINE)[:: convolution.STRIDE]
    spectrum = np.abs(np.fft.rfft(kept[:20]))
    assert np.argmax(spectrum) == 4  # of 20 kept values, so that a crest comes every five: every ten pixels
    assert convolution.false_period() == pytest.approx(10)
    stride, blur = convolution.kept_of_fine_wave()
    assert stride == pytest.approx(1)
    assert blur == pytest.approx((1 + np.cos(2 * np.pi / 2.5)) / 2)
    coarse = convolution.wave(convolution.COARSE)
    assert windows.blurred(coarse)[1:-1] == pytest.approx(coarse[1:-1], abs=0.03)


def test_the_facts_count_the_weights_by_hand():
    """Of ten pixels: a filter of three at every position, of which the two at the ends have a weight less."""
    facts = convolution.facts(None)
    counts = [facts[f"convolution_{name}"] for name in ("pixels", "dense", "own", "shared")]
    assert counts == ["10", "100", str(3 * 10 - 2), "3"]


def test_the_feature_maps_in_the_pictures_have_the_sizes_of_the_pipeline():
    base = params.load(paths.PARAMS).architecture
    for kernel, stride, dilation in ((3, 1, 1), (5, 1, 1), (3, 2, 1), (3, 1, 2)):
        changes = {"channels": (1,), "kernel": kernel, "stride": stride, "dilation": dilation, "pooling": "none"}
        net = base.model_copy(update=changes | {"padding": "valid", "reduce_at": (1,)})
        layer = diagrams.PLAIN._replace(kernel=(kernel,) * 2, stride=(stride,) * 2, dilation=(dilation,) * 2)
        _, axes = diagrams.style.plt.subplots()
        assert [diagrams.taps(axes, layer, 9)] == map_sizes(net, (1, 9, 9))
    diagrams.style.plt.close("all")
