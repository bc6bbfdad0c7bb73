"""Which settings a level changes beside its family's choice: each is named, and no choice of a family is."""

from types import SimpleNamespace

import pytest
from fake_results import finished, settings, write_params

from stages.figures import changed_settings, costs
from stages.figures.names import Names

LARGE_KERNEL = {"title": "Large kernels", "reference": "cnn", "question": "Do they help?", "held": "Depth."}


def sentences(folder, family, **variants):
    """What is said of a family, every level of which runs; variants: name → (level, its changes, what it matches)."""

    def change(raw):
        raw["families"]["large_kernel"] = LARGE_KERNEL
        raw["variants"]["cnn"]["families"]["large_kernel"] = "3×3"
        for name, (level, run, *matched) in variants.items():
            description = {"families": {family: level}, "run": run}
            raw["variants"][name] = description | ({"matched": matched[0]} if matched else {})
        members = [name for name, one in raw["variants"].items() if family in one["families"]]
        raw["protocols"]["default"] |= {"variants": members, "longer": None}

    loaded = write_params(folder, settings(change), {})
    return changed_settings.sentences(SimpleNamespace(settings=loaded, names=Names(loaded)), family)


def net(**architecture):
    return {"architecture": architecture}


THREE = {"channels": [16, 32, 64], "norm": "batch", "activation": "gelu"}


def test_norm_and_activation_are_named_beside_a_depth(tmp_path):
    written = sentences(tmp_path, "depth", mine=("3 layers, new", net(**THREE)))
    assert written[-1] == (
        "*3 layers, new* differs from *2 layers* also in norm (batch, not none) and activation (gelu, not relu)."
    )
    assert len(written) == 2, "and one for the layer whose pooling is larger"


def test_it_is_said_in_the_report_also_where_no_other_level_runs():
    def change(raw):
        raw["protocols"]["default"] |= {"variants": ["cnn", "mine"], "longer": None}
        raw["variants"]["mine"] = {"families": {"depth": "3 layers"}, "run": net(**THREE)}

    text = costs.what_else_differs(finished(settings(change), n_test=200), "depth")
    assert text.endswith("layers* also in norm (batch, not none) and activation (gelu, not relu).")


def test_a_level_that_makes_another_choice_than_its_family_is_told(tmp_path):
    written = sentences(tmp_path, "kernel", mine=("3×3, tanh", net(activation="tanh")))
    assert written == ["*3×3, tanh* differs from *3×3* in activation (tanh, not relu) and not in kernel."]


def test_levels_that_change_the_same_are_named_together_and_a_recipe_counts(tmp_path):
    other = {"recipe": {"schedule": "cosine", "batch_size": 64}}
    written = sentences(
        tmp_path,
        "kernel",
        one=("9×9", net(kernel=9) | other),
        two=("row", net(kernel=[1, 9]) | other),
    )
    listed = "schedule (cosine, not one cycle) and batch size (64, not 32)"
    assert written == [f"*9×9* and *row* differ from *3×3* also in {listed}."]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (net(kernel=9), []),
        (net(kernel=[1, 9]) | {"recipe": {"lr": 0.01}}, []),  # the sentence on costs has the learning rate
        (
            net(kernel=[1, 9], norm="batch", reduce_at=[]),
            ["kernel (1×9, not 3), layers with a reduction (none, not 1 and 2) and norm (batch, not none) at once"],
        ),
    ],
)
def test_of_a_family_of_two_levels_all_is_named_where_it_is_more_than_one_choice(change, expected, tmp_path):
    written = sentences(tmp_path, "large_kernel", mine=("9", change))
    assert written == [f"*9* differs from *3×3* in {listed}." for listed in expected]


@pytest.mark.parametrize(("channels", "named"), [([5, 10], False), ([5, 10, 10], True)])
def test_a_width_that_matches_costs_is_no_choice_but_a_depth_is(channels, named, tmp_path):
    run = net(channels=channels, kernel=9)
    written = sentences(tmp_path, "large_kernel", mine=("9", run, {"parameters": "cnn"}))
    assert bool(written) == named


def test_what_only_one_of_two_nets_reads_is_not_compared(tmp_path):
    """Of a fully connected net, the channels are its units, and it has no kernel."""
    run = net(connectivity="fully_connected", channels=[256, 128])
    assert sentences(tmp_path, "large_kernel", mine=("MLP", run)) == []


# The families of params.yaml: what is true of their levels, and no more.
SAID = {
    "connectivity": ["*convolutional + global average* differs from *convolutional* in head (global average, not "],
    "connectivity_matched": ["*locally connected* differs from *convolutional* also in layers with a reduction (1, "],
    "depth": ["*1 layer* differs from *2 layers* also in layers with a reduction (1, not 1 and 2) and pooling size (4"],
    "depth_matched": ["*1 layer* differs from *2 layers* also in layers with a reduction (1, not 1 and 2) and pooling"],
    "kernel_field": ["*three 3×3* differs from *one 7×7* in channels (11, 11, 11, 22, 22 and 20, not 11 and 21), "],
    "replication": ["*MLP* differs from *CNN 3×3* in connectivity (fully connected, not conv) and not in kernel."],
    "replication_one_layer": ["*64 filters, padded* differs from *32 filters* also in channels (64, not 32)."],
    "translation": ["*convolutional + global average* differs from *convolutional* in head (global average, not "],
}


def test_no_choice_of_the_repositorys_families_is_called_another_one(tmp_path):
    def every_variant(raw):
        raw["protocols"]["default"] |= {"variants": list(raw["variants"]), "longer": None, "train_size": 20_000}

    loaded = write_params(tmp_path, settings(every_variant), {})
    results = SimpleNamespace(settings=loaded, names=Names(loaded))
    for family in loaded.families:
        written, expected = changed_settings.sentences(results, family), SAID.get(family, [])
        assert len(written) == len(expected), (family, written)
        for sentence, start in zip(written, expected, strict=True):
            assert sentence.startswith(start)


def test_a_rate_that_the_family_is_about_is_no_side_effect(tmp_path):
    loaded = write_params(tmp_path, settings(), {})
    alone = [family for family in loaded.families if changed_settings.is_varied_alone(loaded, family, "lr")]
    assert alone == ["learning_rate"]
    alone = [family for family in loaded.families if changed_settings.is_varied_alone(loaded, family, "train_size")]
    assert alone == ["sample_size"]
