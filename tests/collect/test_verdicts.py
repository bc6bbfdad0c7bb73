"""From per-image answers to verdicts: pairing, adjustment within families, outcomes, and the A/A comparison."""

import math

import numpy as np
import pandas as pd
import pytest

from stages.collect import tables, verdicts
from stages.shared import params
from stages.shared.inference.multiplicity import benjamini_hochberg, holm
from stages.shared.inference.sign_flip import p_value
from stages.shared.params import Contrast, Hypothesis
from stages.shared.run_files import VariantResults

SETTINGS = params.load()
IMAGES = 400


def results(key, correct, predicted=None, probes=None, by_image=None):
    """A variant with these answers: seed → (images,)."""
    metrics = {seed: {"seed": seed} for seed in correct}
    probes = probes or {seed: {} for seed in correct}
    empty = pd.DataFrame()
    return VariantResults(key, {}, metrics, probes, empty, empty, predicted or correct, correct, by_image or {}, {})


def variant(key, accuracy, seeds=range(10), metric=None, by_image=None):
    """A net that answers the first accuracy·N images rightly, one more or less under each seed.

    metric: name → values by seed.
    """
    correct = {}
    for seed in seeds:
        correct[seed] = np.zeros(IMAGES, dtype=np.uint8)
        correct[seed][: round(accuracy * IMAGES) + (1 if seed % 2 else -1)] = 1
    values = metric or {}
    probes = {seed: {name: values[name][place] for name in values} for place, seed in enumerate(seeds)}
    return results(key, correct, probes=probes, by_image=by_image)


def hypothesis(
    variant, reference, direction="above", family="kernel", metric="accuracy", minus=None, smallest_effect=0.005
):
    contrast = Contrast(
        variant=variant, reference=reference, minus=minus and Contrast(variant=minus[0], reference=minus[1])
    )
    return Hypothesis(
        statement="…",
        family=family,
        contrast=contrast,
        metric=metric,
        direction=direction,
        smallest_effect=smallest_effect,
        source="",
    )


def judged(variants, **declared):
    return verdicts.hypotheses(SETTINGS, declared, variants).set_index("hypothesis")


@pytest.mark.parametrize(
    ("direction", "outcome"), [("above", "supported"), ("below", "contradicted"), ("alike", "contradicted")]
)
def test_a_clear_lead_supports_only_the_hypothesis_that_expects_it(direction, outcome):
    row = judged([variant("cnn", 0.9), variant("kernel_1", 0.8)], lead=hypothesis("cnn", "kernel_1", direction)).loc[
        "lead"
    ]
    assert row["difference"] == pytest.approx(0.1)
    assert (row["verdict"], row["outcome"], row["n_seeds"], row["n_images"]) == ("better", outcome, 10, IMAGES)


@pytest.mark.parametrize(("direction", "outcome"), [("above", "contradicted"), ("alike", "supported")])
def test_the_same_answers_are_equivalent_where_so_many_images_can_show_it(direction, outcome):
    """On 400 images √2/400 = 0.35 points are the least standard error: 2 points are excluded, half a point is not."""
    arms = [variant("cnn", 0.9), variant("kernel_1", 0.9)]
    row = judged(arms, same=hypothesis("cnn", "kernel_1", direction, smallest_effect=0.02)).loc["same"]
    assert (row["verdict"], row["outcome"], row["difference"]) == ("equivalent", outcome, 0)
    row = judged(arms, same=hypothesis("cnn", "kernel_1", direction, smallest_effect=0.005)).loc["same"]
    assert (row["verdict"], row["outcome"], row["p"]) == ("inconclusive", "undecided", 1)
    assert row["total_high"] == -row["total_low"] == pytest.approx(1.96 * math.sqrt(2) / 400, rel=0.02)
    assert row["detectable"] > 0.009  # 2.8 standard errors


def test_arms_with_other_numbers_of_seeds_are_paired_on_those_they_share_and_too_few_state_no_verdict():
    row = judged(
        [variant("cnn", 0.9), variant("kernel_1", 0.8, seeds=(1, 3, 5))], lead=hypothesis("cnn", "kernel_1")
    ).loc["lead"]
    assert row["n_seeds"] == 3
    assert row["mean"] == pytest.approx(0.9 + 1 / IMAGES)  # of seeds 1, 3 and 5 alone
    assert (row["verdict"], row["outcome"]) == ("not stated", "not stated")
    assert row["reason"] == "3 of the 10 seeds that a verdict needs"


def test_a_hypothesis_about_a_variant_that_was_left_out_has_its_row_and_says_so():
    table = judged(
        [variant("cnn", 0.9), variant("kernel_1", 0.8)],
        here=hypothesis("cnn", "kernel_1"),
        gone=hypothesis("cnn", "kernel_5"),
    )
    assert table["outcome"].to_dict() == {"here": "supported", "gone": "not run"}
    assert math.isnan(table.loc["gone", "difference"])
    assert table.loc["here", "p_adjusted"] == table.loc["here", "p"]  # what did not run counts for nothing


def test_a_difference_of_differences_is_the_gap_minus_the_other_gap():
    arms = [
        variant("cnn", 0.9),
        variant("fully_connected", 0.8),
        variant("cnn_permuted", 0.82),
        variant("fully_connected_permuted", 0.8),
    ]
    declared = hypothesis("cnn", "fully_connected", minus=("cnn_permuted", "fully_connected_permuted"))
    row = judged(arms, lead=declared).loc["lead"]
    assert (row["mean"], row["reference_mean"], row["difference"]) == pytest.approx((0.1, 0.02, 0.08))


def test_p_values_are_adjusted_within_each_family_by_holm():
    rng = np.random.default_rng(0)
    arms = [
        variant(key, 0.9, metric={"position_r2_shuffled": rng.normal(centre, 0.1, 10)})
        for key, centre in (("cnn", 0.3), ("kernel_1", 0.2), ("kernel_5", 0.25))
    ]
    declared = {
        "a": hypothesis("cnn", "kernel_1", metric="position_r2_shuffled"),
        "b": hypothesis("cnn", "kernel_5", metric="position_r2_shuffled"),
        "other": hypothesis("kernel_1", "kernel_5", metric="position_r2_shuffled", family="depth"),
    }
    table = judged(arms, **declared)
    assert table.loc[["a", "b"], "p_adjusted"].tolist() == pytest.approx(holm(table.loc[["a", "b"], "p"]).tolist())
    assert table.loc["other", "p_adjusted"] == table.loc["other", "p"]


def test_the_outcome_is_also_that_of_an_adjustment_over_all_families():
    """Nine of ten seeds agree, by as much: p is 22/1024, below .05 alone, but not the smallest of four."""
    lead = {"position_r2_shuffled": [0.1] * 9 + [-0.1]}
    families = {"kernel_1": "kernel", "kernel_5": "padding", "depth_1": "depth", "stride_2": "head"}
    arms = [variant("cnn", 0.9, metric={"position_r2_shuffled": [0.0] * 10})]
    arms += [variant(key, 0.9, metric=lead) for key in families]
    claims = {
        key: hypothesis(key, "cnn", metric="position_r2_shuffled", family=family) for key, family in families.items()
    }
    table = judged(arms, **claims)
    assert table["p_adjusted"].tolist() == pytest.approx([22 / 1024] * 4)
    assert table["outcome"].tolist() == ["supported"] * 4
    assert table["outcome_together"].tolist() == ["undecided"] * 4
    assert judged(arms, kernel_1=claims["kernel_1"]).loc["kernel_1", "outcome_together"] == "supported"


def test_a_metric_with_one_number_a_seed_is_judged_over_seeds():
    values = {"cnn": np.linspace(0.30, 0.34, 10), "kernel_1": np.linspace(0.10, 0.15, 10)}
    arms = [variant(key, 0.9, metric={"position_r2_shuffled": numbers}) for key, numbers in values.items()]
    row = judged(arms, leak=hypothesis("cnn", "kernel_1", metric="position_r2_shuffled", smallest_effect=0.02)).loc[
        "leak"
    ]
    differences = values["cnn"] - values["kernel_1"]
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p"] == p_value(differences)
    assert (row["low"], row["high"]) == (row["total_low"], row["total_high"])
    assert (row["verdict"], row["n_images"]) == ("better", 1)


def test_shift_consistency_is_taken_image_by_image_and_left_out_where_it_was_not_probed():
    table = np.tile([0.5, 1.0], (10, 30))
    probed = variant(
        "cnn", 0.9, metric={"shift_consistency": [0.75] * 10}, by_image={"consistency": dict(enumerate(table))}
    )
    still = variant("kernel_1", 0.9, metric={"shift_consistency": [None] * 10})
    arms = verdicts.arms_of([probed, still], "shift_consistency")
    assert list(arms) == ["cnn"]
    assert arms["cnn"][3].tolist() == table[3].tolist()


def test_what_can_be_detected_grows_with_the_spread_of_the_difference():
    rng = np.random.default_rng(1)
    quiet, loud = (rng.normal(0, sd, 10) for sd in (0.01, 0.1))
    effects = []
    for noise in (quiet, loud):
        arms = [
            variant("cnn", 0.9, metric={"position_r2_shuffled": 0.3 + noise}),
            variant("kernel_1", 0.9, metric={"position_r2_shuffled": [0.3] * 10}),
        ]
        effects.append(
            judged(arms, leak=hypothesis("cnn", "kernel_1", metric="position_r2_shuffled")).loc["leak", "detectable"]
        )
    assert effects[1] / effects[0] == pytest.approx(np.std(loud) / np.std(quiet))
    # Of a t test with 9 degrees of freedom: noncentrality 3.16 for a power of .8 (G*Power), times SD/√10.
    assert effects[0] == pytest.approx(3.16 * np.std(quiet, ddof=1) / math.sqrt(10), rel=0.01)


def test_a_one_sided_claim_is_supported_where_the_two_sided_one_is_open_or_contradicted():
    """Kernel 1 is far below: "buys nothing that matters" holds, "makes no difference that matters" does not."""
    arms = [variant("cnn", 0.9), variant("kernel_1", 0.8)]
    for direction, outcome in {"not_above": "supported", "alike": "contradicted", "not_below": "contradicted"}.items():
        row = judged(arms, claim=hypothesis("kernel_1", "cnn", direction)).loc["claim"]
        assert (row["verdict"], row["outcome"]) == ("worse", outcome)
    # A mean of −0.005 with a standard error of 0.005: below +0.01 by three of them, above −0.01 by one.
    noisy = variant("kernel_1", 0.9, metric={"position_r2_shuffled": np.linspace(-0.03, 0.02, 10)})
    still = variant("cnn", 0.9, metric={"position_r2_shuffled": [0.0] * 10})
    for direction, expected in {
        "not_above": ("no better", "supported"),
        "alike": ("inconclusive", "undecided"),
    }.items():
        declared = hypothesis("kernel_1", "cnn", direction, metric="position_r2_shuffled", smallest_effect=0.01)
        row = judged([still, noisy], claim=declared).loc["claim"]
        assert (row["verdict"], row["outcome"]) == expected
        assert row["small_p"] == row["not_above_p" if direction == "not_above" else "equivalence_p"]


def effects(variants, **declared):
    return verdicts.effects(SETTINGS, variants, declared, verdicts.hypotheses(SETTINGS, declared, variants))


def test_a_contrast_has_one_verdict_wherever_it_stands():
    """Declared as cnn − MLP, it is the MLP − cnn of other families: the same verdict, seen from the other arm."""
    keys = ("cnn", "fully_connected", "locally_connected", "kernel_1", "kernel_5")
    arms = [variant(key, accuracy) for key, accuracy in zip(keys, (0.9, 0.8, 0.85, 0.9, 0.85), strict=True)]
    for direction in ("above", "not_below"):
        declared = {
            "lead": hypothesis("cnn", "fully_connected", direction),
            "same": hypothesis("kernel_1", "cnn", "alike"),
        }
        (lead, same), table = judged(arms, **declared).to_dict("records"), effects(arms, **declared)
        rows = table.query("variant == 'fully_connected' and reference == 'cnn'")
        of_both = {"connectivity", "structure", "sample_size", "learning_rate", "augmentation", "attention"}
        assert set(rows["family"]) == of_both
        assert lead["verdict"] == "better"
        assert set(rows["verdict"]) == {"worse"}
        assert set(rows["p_adjusted"]) == {lead["p_adjusted"]}
        (row,) = table.query("variant == 'kernel_1'").to_dict("records")
        assert [row[name] for name in verdicts.JUDGED] == ["same", *(same[name] for name in verdicts.JUDGED[1:])]
    assert set(table["hypothesis"].dropna()) == {"lead", "same"}


def test_explored_levels_are_adjusted_together_once_for_a_difference_and_for_equivalence():
    keys = ("cnn", "fully_connected", "locally_connected", "kernel_1", "kernel_5")
    arms = [variant(key, accuracy) for key, accuracy in zip(keys, (0.9, 0.8, 0.85, 0.9, 0.85), strict=True)]
    table = effects(arms, lead=hypothesis("cnn", "fully_connected"))
    explored = table[table["hypothesis"].isna()].dropna(subset="p")
    once = explored.drop_duplicates("variant")
    assert len(explored) > len(once) > 1
    for name in ("p", "equivalence_p"):
        expected = dict(zip(once["variant"], benjamini_hochberg(once[name]), strict=True))
        assert explored[f"{name}_adjusted"].tolist() == [expected[variant] for variant in explored["variant"]]


def test_effects_have_a_row_for_each_level_but_the_reference_adjusted_together():
    active = [variant(key, 0.9 - 0.002 * place) for place, key in enumerate(SETTINGS.active_variants)]
    table = effects(active)
    levels = sum(len(SETTINGS.levels(family)) - 1 for family in SETTINGS.families if SETTINGS.levels(family))
    assert len(table) == levels
    assert (table["p_adjusted"] >= table["p"]).all()
    row = table.set_index(["family", "variant"]).loc[("kernel", "kernel_1")]
    assert (row["level"], row["reference"]) == ("1×1", "cnn")


def nets(rng, key, ability):
    return results(key, dict(enumerate((rng.random((10, IMAGES)) < ability).astype(np.uint8))))


def test_the_aa_rates_of_nets_that_differ_in_nothing_are_at_most_nominal():
    rng = np.random.default_rng(2)
    ability = rng.beta(8, 1, IMAGES)
    (row,) = verdicts.aa(SETTINGS, [nets(rng, "cnn", ability), nets(rng, "cnn_again", ability)]).to_dict("records")
    slack = 3 * math.sqrt(0.05 * 0.95 / row["resamples"])  # three Monte-Carlo standard errors
    assert row["resamples"] == SETTINGS.inference.resamples >= 200
    for name in ("sign_flip_rate", "interval_rate", "total_rate", "verdict_rate"):
        assert 0 <= row[name] <= 0.05 + slack, name
    assert row["interval_rate"] > 0


def test_without_a_repeated_baseline_there_is_no_aa_row():
    raw = SETTINGS.model_copy(
        update={"variants": {key: block for key, block in SETTINGS.variants.items() if key != "cnn_again"}}
    )
    assert verdicts.aa(raw, [variant("cnn", 0.9)]).empty


def test_the_hardest_images_are_counted_over_fair_runs_with_the_commonest_wrong_answer():
    def of(key, predicted):
        predicted = dict(enumerate(np.array(predicted, dtype=np.int16)))
        correct = {seed: (answers == labels).astype(np.uint8) for seed, answers in predicted.items()}
        return results(key, correct, predicted)

    labels = np.array([0, 1, 2])
    variants = [
        of("cnn", [[0, 2, 2], [0, 2, 0]]),
        of("kernel_1", [[0, 0, 2], [1, 2, 2]]),
        of("random_labels", [[1, 1, 1], [1, 1, 1]]),
    ]
    table = tables.hard_images(SETTINGS, variants, labels)
    assert table.loc[0, ["image", "label", "predicted", "failures", "runs"]].tolist() == [1, 1, 2, 4, 4]
    assert table["failures"].tolist() == [4, 1, 1]
    assert tables.hard_images(SETTINGS, variants[2:], labels)["failures"].tolist() == [2, 2, 0], (
        "all have random labels"
    )
