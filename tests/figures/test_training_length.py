"""What longer training changes: which nets had converged, and which verdicts hold, worked out by hand."""

import dataclasses

import pandas as pd
import pytest
from fake_results import finished, only, seeds, settings
from report_content import spaced

from stages.figures import training_length
from stages.figures.results import Results

NETS = ("cnn", "kernel_1", "kernel_5", "fully_connected")


def longer(times: int = 4, n: int = 10, **changes: float) -> Results:
    """Four nets at 90 % and with `changes` of their mean accuracy when they train longer."""
    means = dict.fromkeys(NETS, 0.9) | {"kernel_1": 0.8, "fully_connected": 0.85}
    means |= {f"{key}_longer": means[key] + changes.get(key, 0.0) for key in NETS}

    def change(raw):
        only(raw, *NETS)
        seeds(n)(raw)
        raw["protocols"]["default"]["longer"] = {"times": times, "variants": list(NETS)}

    return finished(settings(change), n_test=200, spread=0.004, means=means)


@pytest.fixture(scope="module")
def results() -> Results:
    return longer(kernel_1=0.12, kernel_5=-0.04)


def test_a_net_that_gains_had_not_converged_and_one_that_loses_memorises(results):
    text = spaced(training_length.convergence_sentence(results))
    assert text == (
        "This run trained 4 variants again, 4 times as long. On the validation images, *Kernel size: 1×1* is then more "
        "accurate, so it had not converged; *Kernel size: 5×5* is then less accurate, so longer training overfits it; "
        "no change is shown for *CNN (baseline)* and *Connectivity: fully connected* (@tbl-convergence)."
    )
    gains = results.longer["val_gain"]
    assert gains[["kernel_1", "kernel_5"]].tolist() == pytest.approx([0.12, -0.04], abs=0.005)


def test_a_net_without_a_longer_run_that_finished_is_named(results):
    lost = dataclasses.replace(results, longer=results.longer.drop(index="kernel_5"))
    facts = [training_length.facts(one)["converged"] for one in (results, lost)]
    assert [text.endswith(" No longer run of *Kernel size: 5×5* finished.") for text in facts] == [False, True]


def with_last_gain(results, **gains):
    """The results with a second epoch, in which these variants gain so much and the others nothing."""
    first = results.curves.groupby(["variant", "seed"], as_index=False).first().assign(epoch=1)
    more = first["variant"].map(gains).fillna(0.0)
    second = first.assign(epoch=2, val_accuracy=first["val_accuracy"] + more)
    return dataclasses.replace(results, curves=pd.concat([second, first]))


def test_the_report_says_which_nets_still_gain_in_their_last_epoch(results):
    limit = "0.125 points, a quarter of the smallest effect of interest"
    still = training_length.last_epoch_sentence(with_last_gain(results, cnn=0.0012))
    assert still == f"In its last epoch no net gains more than {limit}, on the validation images."
    some = training_length.last_epoch_sentence(with_last_gain(results, kernel_1=0.004, kernel_5=0.0013))
    assert some == (
        f"In their last epoch *Kernel size: 1×1* (+0.40) and *Kernel size: 5×5* (+0.13), and no other net, gain more "
        f"than {limit}."
    )
    by_number = with_last_gain(results, **dict.fromkeys(NETS, 0.01) | {"kernel_1": 0.02})
    one = training_length.last_epoch_sentence(by_number)
    assert one.startswith("In their last epoch *Kernel size: 1×1* (+2.00), ")
    once = dataclasses.replace(results, curves=results.curves.groupby(["variant", "seed"], as_index=False).first())
    assert training_length.last_epoch_sentence(once).startswith("Each net was scored after its last epoch alone")


def test_a_gain_is_paired_by_seed(results):
    """By pandas: the mean over seeds of the difference of the two runs' validation accuracies."""
    row, low, high = (results.longer.loc["kernel_1", f"val_gain{end}"] for end in ("", "_low", "_high"))
    assert low < row < high
    first = results.mean("kernel_1", "val_accuracy").mean
    assert results.longer.loc["kernel_1", "val_accuracy"] - first == pytest.approx(row)


def test_a_verdict_holds_changes_or_turns_its_sign(results):
    table = training_length.both_lengths(results).set_index("hypothesis")
    # 1×1 − 3×3: −10 points, then +2; 5×5 − 3×3: 0, then −4; CNN − MLP: +5 at both lengths.
    assert table["difference"].round(2).to_dict()["kernel_1_worst"] == -0.1
    assert table["longer_difference"].round(2).to_dict()["kernel_1_worst"] == 0.02
    assert table.loc[["kernel_1_worst", "gap_original"], "holds"].tolist() == ["sign turns", "same verdict"]
    text = spaced(training_length.lengths_sentence(results))
    assert text.startswith("Of 3 verdicts, 1 is the same with nets trained 4 times as long; ")
    assert f"{results.number('kernel_1_worst')} has the other sign then" in text


@pytest.mark.parametrize(
    ("first", "then", "holds"),
    [
        (("better", 0.02), ("better", 0.01), "same verdict"),
        (("better", 0.02), ("inconclusive", 0.01), "other verdict"),
        (("equivalent", 0.001), ("equivalent", -0.001), "same verdict"),
        (("equivalent", 0.001), ("worse", -0.02), "sign turns"),
        (("inconclusive", -0.01), ("inconclusive", 0.01), "same verdict"),
        (("inconclusive", -0.01), ("better", 0.01), "sign turns"),
        (("not stated", -0.01), ("not stated", -0.02), "same sign"),
        (("not stated", -0.01), ("worse", -0.02), "same sign"),
        (("not stated", -0.01), ("not stated", 0.02), "sign turns"),
    ],
)
def test_what_holds(first, then, holds, results):
    def with_first(table: pd.DataFrame, verdict: str, difference: float) -> pd.DataFrame:
        changed = table.copy()
        changed.loc["gap_original", ["verdict", "difference"]] = [verdict, difference]
        return changed

    changed = dataclasses.replace(
        results,
        hypotheses=with_first(results.hypotheses, *first),
        longer_hypotheses=with_first(results.longer_hypotheses, *then),
    )
    table = training_length.both_lengths(changed).set_index("hypothesis")
    assert table.loc["gap_original", "holds"] == holds


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kernel_1": 0.12}, "2 of 3 differences keep their sign"),
        ({}, "all 3 differences keep their sign"),
        ({"kernel_1": 0.12, "fully_connected": 0.12}, "1 of 3 differences keeps its sign"),
    ],
)
def test_with_few_seeds_signs_alone_are_compared(changes, expected):
    text = spaced(training_length.lengths_sentence(longer(n=3, kernel_5=0.02, **changes)))
    assert text == f"With nets trained 4 times as long, {expected} (@tbl-lengths)."


def directions(results: Results, n_seeds: int, **gains: float) -> Results:
    """The results with these gains alone, each with an interval of ±1 point."""
    ends = [(gain, gain - 0.01, gain + 0.01) for gain in gains.values()]
    table = pd.DataFrame(ends, columns=list(training_length.GAIN_COLUMNS), index=pd.Index(gains, name="variant"))
    return dataclasses.replace(results, longer=table.assign(n_seeds=n_seeds))


@pytest.mark.parametrize(
    ("n_seeds", "gains", "expected"),
    [
        (10, {"cnn": 0.05}, "*CNN (baseline)* is then more accurate, so it had not converged"),
        (10, {"cnn": -0.05}, "*CNN (baseline)* is then less accurate, so longer training overfits it"),
        (10, {"cnn": 0}, "no change is shown for *CNN (baseline)*"),
        (10, dict.fromkeys("abcde", 0.05), "all 5 are then more accurate, so they had not converged"),
        (10, {"cnn": 0.05} | dict.fromkeys("abcde", 0), "so it had not converged; no change is shown for 5 of them"),
        (
            10,
            {"cnn": 0.05, "kernel_1": 0.05},
            "and *Kernel size: 1×1* are then more accurate, so they had not converged",
        ),
        (
            10,
            {"cnn": -0.05, "kernel_1": -0.05},
            "*Kernel size: 1×1* are then less accurate, so longer training overfits them",
        ),
    ],
)
def test_the_sentence_of_convergence_for_each_outcome(n_seeds, gains, expected, results):
    text = spaced(training_length.convergence_sentence(directions(results, n_seeds, **gains)))
    which = {1: "1 variant", 2: "2 variants", 5: "5 variants", 6: "6 variants"}[len(gains)]
    assert text.startswith(f"This run trained {which} again, 4 times as long. On the validation images, ")
    assert text.endswith(f"{expected} (@tbl-convergence).")


def test_what_has_too_few_seeds_is_said_apart_from_what_has_enough(results):
    none = spaced(training_length.convergence_sentence(directions(results, 1, cnn=0.05)))
    assert none == "This run trained 1 variant again, 4 times as long, with too few seeds to say what that changes."
    mixed = directions(results, 10, cnn=0.05, kernel_1=0.05)
    mixed.longer.loc["kernel_1", "n_seeds"] = 1
    assert spaced(training_length.convergence_sentence(mixed)).endswith(
        "*CNN (baseline)* is then more accurate, so it had not converged; for 1 there are too few seeds to say what "
        "that changes (@tbl-convergence)."
    )


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        (["same verdict"], "The one verdict here is the same later"),
        (
            ["other verdict"],
            "The one verdict here is not the same later; H1 has the same sign but another verdict then",
        ),
        (["sign turns"], "The one verdict here is not the same later; H1 has the other sign then"),
        (["same verdict", "same verdict"], "All 2 verdicts here are the same later"),
        (["sign turns"] * 2, "Of 2 verdicts here, none is the same later; H1 and H2 have the other sign then"),
        (["same verdict", "sign turns"], "Of 2 verdicts here, 1 is the same later; H2 has the other sign then"),
        (
            ["same verdict", "same verdict", "other verdict"],
            "Of 3 verdicts here, 2 are the same later; H3 has the same sign but another verdict then",
        ),
    ],
)
def test_verdicts_kept_for_each_outcome(holds, expected, results):
    table = pd.DataFrame({"hypothesis": list(results.declared)[: len(holds)], "holds": holds})
    assert training_length.verdicts_kept(results, table, "here", "later", "then") == expected


def test_what_has_no_verdict_is_not_counted_among_the_verdicts(results):
    key = "gap_original"
    unstated = results.hypotheses.copy()
    unstated.loc[key, "verdict"] = "not stated"
    text = training_length.lengths_sentence(dataclasses.replace(results, hypotheses=unstated))
    assert text.startswith("Of 2 verdicts, none is the same")
