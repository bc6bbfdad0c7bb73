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
        "Of 4 variants that were trained 4 times as long: *Kernel size: 1×1* is more accurate on the validation "
        "images, and had not converged; *Kernel size: 5×5* is less accurate, and had begun to memorise; "
        "*CNN (baseline)* and *Connectivity: fully connected* are not shown to be either (@tbl-convergence)."
    )
    gains = results.longer["val_gain"]
    assert gains[["kernel_1", "kernel_5"]].tolist() == pytest.approx([0.12, -0.04], abs=0.005)


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
    assert table.loc[["kernel_1_worst", "gap_original"], "holds"].tolist() == ["sign turns", "holds"]
    text = spaced(training_length.lengths_sentence(results))
    assert text.startswith("Of 3 verdicts, 1 is the same with nets trained 4 times as long; ")
    assert f"{results.number('kernel_1_worst')} has the other sign" in text


@pytest.mark.parametrize(
    ("first", "then", "holds"),
    [
        (("better", 0.02), ("better", 0.01), "holds"),
        (("better", 0.02), ("inconclusive", 0.01), "other verdict"),
        (("equivalent", 0.001), ("equivalent", -0.001), "holds"),
        (("equivalent", 0.001), ("worse", -0.02), "sign turns"),
        (("inconclusive", -0.01), ("inconclusive", 0.01), "sign turns"),
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


def test_with_few_seeds_signs_alone_are_compared():
    text = spaced(training_length.lengths_sentence(longer(n=3, kernel_1=0.12)))
    assert text == "With nets trained 4 times as long, 2 of 3 differences keep their sign (@tbl-lengths)."
