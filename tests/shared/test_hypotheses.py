"""hypotheses.yaml: what is accepted, and the one message for each kind of mistake."""

import re

import pytest

from stages.shared import params, paths
from stages.shared.params import Contrast

TEXT = paths.HYPOTHESES.read_text()
SETTINGS = params.load()
HYPOTHESES = params.load_hypotheses(SETTINGS)


def load(text, folder):
    (folder / "hypotheses.yaml").write_text(text)
    return params.load_hypotheses(SETTINGS, folder / "hypotheses.yaml")


def edited(old, new):
    assert old in TEXT, old
    return TEXT.replace(old, new, 1)


def test_some_protocol_runs_every_variant_of_a_hypothesis():
    protocols = [set(protocol.variants) for protocol in SETTINGS.protocols.values()]
    needed = {key: set(hypothesis.contrast.variants) for key, hypothesis in HYPOTHESES.items()}
    assert [key for key, variants in needed.items() if not any(variants <= protocol for protocol in protocols)] == []


def test_every_source_is_in_the_list_of_references_and_only_the_labs_own_claims_have_none():
    known = set(re.findall(r"^@\w+\{(\w+),", (paths.REPORT_SOURCES / "references.bib").read_text(), re.MULTILINE))
    without = {key: hypothesis for key, hypothesis in HYPOTHESES.items() if hypothesis.source not in known}
    assert {(hypothesis.source, hypothesis.family) for hypothesis in without.values()} == {("", "replication")}


# Direction → words of which a statement has one, and which no statement of another direction has.
CLAIMS = {
    "above": ("is above", "are above", "buys more", "takes a part", "raises", "can be read", "keeps its", "is larger"),
    "below": ("is below", "are below", "lowers", "lower the accuracy", "hurts"),
    "alike": ("no difference that matters",),
    "not_above": ("buys nothing that matters", "no lead over the MLP that matters"),
    "not_below": ("is as good as", "are as good as"),
}
CLAIMS["above"] += ("is the best of", "beat the")  # the published lab's own words
CLAIMS["above"] += ("buy the", "shortcuts buy", "takes more", "more consistent", "lessens what")


@pytest.mark.parametrize("key", HYPOTHESES)
def test_a_statement_claims_what_its_direction_claims(key):
    statement = HYPOTHESES[key].statement
    claimed = {direction for direction, words in CLAIMS.items() if any(word in statement for word in words)}
    assert claimed == {HYPOTHESES[key].direction}, statement


def test_a_contrast_is_the_same_with_its_arms_in_each_others_place_or_its_differences_sorted_anew():
    def contrast(variant, reference, *minus):
        other = Contrast(variant=minus[0], reference=minus[1]) if minus else None
        return Contrast(variant=variant, reference=reference, minus=other)

    assert contrast("a", "b").weights == contrast("b", "a").mirrored == {"a": 1, "b": -1}
    assert contrast("a", "b", "c", "d").weights == contrast("a", "c", "b", "d").weights
    assert contrast("a", "b", "c", "a").weights == {"a": 2, "b": -1, "c": -1}


def test_a_difference_of_differences_needs_all_four_variants():
    plain, crossed = (HYPOTHESES[key].contrast for key in ("gap_original", "permutation_takes_the_lead"))
    assert plain.variants == ("cnn", "fully_connected")
    assert crossed.variants == ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")


def test_a_difference_may_be_taken_off_a_difference_that_is_taken_off():
    """Locality minus its control, minus sharing minus its own."""
    pairs, contrast = [], HYPOTHESES["locality_over_sharing"].contrast
    while contrast is not None:
        pairs.append((contrast.variant, contrast.reference))
        contrast = contrast.minus
    net, local, permuted = "fully_connected", "locally_connected", "locally_connected_permuted"
    assert pairs == [(local, net), (permuted, f"{net}_permuted"), (local, "cnn"), (permuted, "cnn_permuted")]


def test_a_number_may_be_written_as_dvc_reads_it(tmp_path):
    locality = load(edited("smallest_effect: 0.005", "smallest_effect: 1e-3"), tmp_path)["locality"]
    assert locality.smallest_effect == 0.001


def test_there_may_be_no_hypothesis_at_all(tmp_path):
    assert load("{}\n", tmp_path) == {}


MISTAKES = {
    "unknown variant": (
        ("variant: locally_connected\n", "variant: localy_connected\n"),
        "locality.contrast: variant 'localy_connected' is not in params.yaml (did you mean 'locally_connected'?)",
    ),
    "unknown variant in the second difference": (
        ("minus: {variant: cnn_permuted,", "minus: {variant: cnn_permutet,"),
        "sharing.contrast: variant 'cnn_permutet' is not in params.yaml (did you mean 'cnn_permuted'?)",
    ),
    "unknown family": (
        ("family: connectivity\n", "family: connectivty\n"),
        "locality.family: 'connectivty' is not one of connectivity,",
    ),
    "unknown metric": (
        ("metric: accuracy", "metric: acuracy"),
        "locality.metric: 'acuracy' is not one of accuracy, loss,",
    ),
    "unknown direction": (
        ("  direction: above", "  direction: up"),
        "locality.direction = 'up': should be 'above', 'below', 'alike', 'not_above' or 'not_below'",
    ),
    "effect of zero": (
        ("smallest_effect: 0.005", "smallest_effect: 0"),
        "locality.smallest_effect = 0: should be greater than 0",
    ),
    "effect in percent": (
        ("smallest_effect: 0.005", "smallest_effect: 5"),
        "locality.smallest_effect = 5: should be less than 1",
    ),
    "effect in quotes": (
        ("smallest_effect: 0.005", "smallest_effect: '5e-3'"),
        "locality.smallest_effect = '5e-3': should be a valid number (a number stands",
    ),
    "typo in a key": (
        ("metric: accuracy", "metrics: accuracy"),
        "locality.metrics = 'accuracy': unknown key (did you mean 'metric'?)",
    ),
    "published difference beside published accuracies": (
        ("published: {margin: 0.01}", "published: {margin: 0.01, difference: 0.02}"),
        "lab_3_above_5.published: its variants state the published accuracies; leave `difference` out",
    ),
    "published without a number": (
        ("  source: lecun1998\n", "  source: lecun1998\n  published: {margin: 0.01}\n"),
        "gap_original.published: cnn and fully_connected: no published accuracy of source 'lecun1998'; "
        "state it, or a `difference` here",
    ),
    "seeds of accuracies that the variants state": (
        ("published: {margin: 0.01}", "published: {margin: 0.01, seeds: 3}"),
        "lab_3_above_5.published: seeds and other_images belong to a `difference`; without one, its variants state",
    ),
    "published without a margin": (
        ("published: {margin: 0.01}", "published: {difference: 0.01}"),
        "lab_3_above_5.published.margin: missing",
    ),
    "history with another word": (
        ("kind: added", "kind: invented"),
        "ladder_with_few_parameters.history.0.kind = 'invented': should be 'added' or 'altered'",
    ),
    "typo in a contrast": (
        ("reference: fully_connected\n", "referense: fully_connected\n"),
        "locality.contrast.referense = 'fully_connected': unknown key (did you mean 'reference'?); "
        "allowed here: variant, reference, minus",
    ),
    "missing key": (("  direction: above\n", ""), "locality.direction: missing"),
    "empty statement": (
        ("statement: Seeing", "statement: '' # Seeing"),
        "locality.statement = '': should not be empty",
    ),
    "contrast that is none": (
        ("contrast: {variant: cnn_narrow, reference: fully_connected_narrow}", "contrast: cnn"),
        "ladder_with_few_parameters.contrast = 'cnn': should be a mapping",
    ),
    "badly named": (("sharing:\n", "Sharing Weights:\n"), "should be lower-case words joined by _"),
    "a variant against itself": (
        ("reference: fully_connected\n", "reference: locally_connected\n"),
        "locality.contrast: variant and reference are both 'locally_connected'; a contrast needs two",
    ),
    "a contrast minus itself": (
        (
            "minus: {variant: locally_connected_permuted, reference: fully_connected_permuted}",
            "minus: {variant: locally_connected, reference: fully_connected}",
        ),
        "locality.contrast: the contrast takes off all that it adds, so it is always 0; name other variants in minus",
    ),
    "a contrast that another hypothesis has": (
        (
            "contrast: {variant: cnn_narrow, reference: fully_connected_narrow}",
            "contrast: {variant: fully_connected, reference: cnn}",
        ),
        "gap_original.contrast: ladder_with_few_parameters has it too, in the same metric; a contrast has one verdict",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_ends_in_one_message_that_names_key_value_and_what_is_allowed(name, tmp_path):
    (old, new), expected = MISTAKES[name]
    with pytest.raises(params.ParamsError, match=r"^hypotheses\.yaml: \d mistakes?; nothing was run") as error:
        load(edited(old, new), tmp_path)
    assert expected in str(error.value)
    assert "instance of" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "hypotheses.yaml must be a mapping; restore it with `git checkout -- hypotheses.yaml`"),
        ("- locality\n", "hypotheses.yaml must be a mapping"),
        ("locality: {", "hypotheses.yaml is not valid YAML"),
        (edited("\nsharing:\n", "\nlocality:\n"), 'hypotheses.yaml is not valid YAML: .*duplicate key "locality"'),
        ("a: &a\n  b: *a\n", "hypotheses.yaml refers to itself"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(text, message, tmp_path):
    with pytest.raises(params.ParamsError, match=f"^{message}"):
        load(text, tmp_path)


def test_a_file_that_is_not_there_is_to_be_restored(tmp_path):
    with pytest.raises(params.ParamsError, match=r"no such file; restore it with `git checkout -- hypotheses\.yaml`$"):
        params.load_hypotheses(SETTINGS, tmp_path / "hypotheses.yaml")


def test_several_mistakes_are_listed_together(tmp_path):
    text = edited("  direction: above", "  direction: up").replace("metric: shift_consistency", "metric: shift", 1)
    with pytest.raises(params.ParamsError, match=r"2 mistakes(.|\n)*locality\.direction(.|\n)*stride_aliases\.metric"):
        load(text, tmp_path)
