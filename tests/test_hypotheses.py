"""hypotheses.yaml: what is accepted, and the one message for each kind of mistake."""

import pytest

from stages import params, paths

TEXT = paths.HYPOTHESES.read_text()
SETTINGS = params.load()


def load(text, folder):
    (folder / "hypotheses.yaml").write_text(text)
    return params.load_hypotheses(SETTINGS, folder / "hypotheses.yaml")


def test_a_difference_of_differences_needs_all_four_variants(tmp_path):
    (plain, crossed) = (load(TEXT, tmp_path)[key].contrast for key in ("locality", "permutation_takes_the_lead"))
    assert plain.variants == ("locally_connected", "fully_connected")
    assert crossed.variants == ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")


MISTAKES = {
    "unknown variant": (
        ("variant: locally_connected,", "variant: localy_connected,"),
        "locality.contrast: variant 'localy_connected' is not in params.yaml (did you mean 'locally_connected'?)",
    ),
    "unknown family": (("family: connectivity\n", "family: connectivty\n"), "locality.family: 'connectivty' is not one of connectivity,"),
    "unknown metric": (("metric: accuracy", "metric: acuracy"), "locality.metric = 'acuracy': should be 'accuracy', 'shift_consistency'"),
    "unknown direction": (("  direction: above", "  direction: up"), "locality.direction = 'up': should be 'above', 'below' or 'alike'"),
    "effect of zero": (("smallest_effect: 0.005", "smallest_effect: 0"), "locality.smallest_effect = 0: should be greater than 0"),
    "typo in a key": (("metric: accuracy", "metrics: accuracy"), "locality.metrics = 'accuracy': unknown key (did you mean 'metric'?)"),
    "third difference": (
        ("reference: fully_connected}", "reference: cnn, minus: {variant: cnn, reference: cnn, minus: {variant: cnn, reference: cnn}}}"),
        "locality.contrast: minus: stands once",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_ends_in_one_message_that_names_key_value_and_what_is_allowed(name, tmp_path):
    (old, new), expected = MISTAKES[name]
    assert old in TEXT
    with pytest.raises(params.ParamsError, match=r"^hypotheses\.yaml: \d mistakes?; nothing was run") as error:
        load(TEXT.replace(old, new, 1), tmp_path)
    assert expected in str(error.value)
