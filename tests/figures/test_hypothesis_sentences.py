"""The sentences on hypotheses: outcomes, evidence, counts, and how many seeds a verdict needs."""

import dataclasses
import re

from fake_results import reached, results_of
from report_content import spaced

from stages.figures import families, hypotheses, topics
from stages.shared.drawing.tables import escape


def test_few_seeds_state_no_verdict_and_say_why():
    results = results_of("quick")
    why = hypotheses.facts(results)["verdicts"]
    assert why.startswith("With 3 seeds, fewer than the 10 that a verdict asks for, none is stated: so few could not ")
    assert ", no verdict.**" in families.chapter(results)
    table, section = hypotheses.tables(results), families.numbers_chapter(results)
    assert "No verdict: 3 of the 10 seeds that a verdict needs." in table
    assert not re.search(r"\. So (better|worse|equivalent|inconclusive):", spaced(table))
    assert not re.search(r"; (better|worse|equivalent|inconclusive)\.", section)


def test_every_declared_hypothesis_is_stated_with_its_outcome():
    results = results_of("default")
    text = spaced(hypotheses.tables(results))
    for key, hypothesis in results.declared.items():
        statement, outcome = re.escape(escape(hypothesis.statement)), results.hypotheses.loc[key, "outcome"]
        row = rf"^\| {results.number(key)}: {statement}( \*\w+ later\.\*)? +\|.*\| +{outcome} \|$"
        assert re.search(row, text, re.MULTILINE), key
    left_out = "A variant that it needs was left out, or has no such metric."
    assert hypotheses.sentence(results, "lab_larger_hurts").endswith(left_out)
    locality, row = spaced(hypotheses.sentence(results, "locality")), results.hypotheses.loc["locality"]
    assert locality.startswith(f"**H1, {row['outcome']}; altered later.** *Seeing neighbouring pixels together")
    assert f"So {row['verdict']}: {row['reason']}." in locality
    small = r"[<.\d]+ of the two one-sided tests of one within ±0\.50 points\. So"
    assert re.search(rf"; adjusted p: [<.\d]+ of the sign-flip test of a difference, {small}", locality)
    no_better, as_good = (
        hypotheses.sentence(results, key) for key in ("kernel_5_no_better", "stride_as_good_when_pooled")
    )
    assert " of the one-sided test of one below +0.50 points." in spaced(no_better)
    assert " of the one-sided test of one above −0.50 points." in spaced(as_good)
    position = spaced(hypotheses.sentence(results, "zeros_leak_position"))
    assert "Measured, in how well position can be read from the last feature map of shuffled pixels: +0.2" in position
    assert ". So above: " in position, "it is neither good nor bad"
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {results.number('zeros_leak_position')}: "))
    assert re.search(r"\| +above +\| +supported", row)


def test_the_evidence_says_of_which_test_a_p_is_and_how_small_so_few_seeds_let_it_be():
    """Three seeds: 2/2³ is a quarter. Ten: 2/1024."""
    few, many = (hypotheses.tables(results_of(name)) for name in ("quick", "default"))
    assert re.search(r"\| +Sign-flip p +\| +Small p +\|", few)
    assert "p of the sign-flip test of a difference, and of the one-sided tests (one or two) of one" in few
    assert "Over 3 seeds, the sign-flip test has no p below 0.250 before the adjustment, also where" in few
    assert "Over 10 seeds, the sign-flip test has no p below 0.002 before" in many


def test_the_source_of_an_expectation_is_cited_beside_it_where_it_has_one():
    for key, hypothesis in results_of("replication").declared.items():
        sentence = hypotheses.sentence(results_of("replication"), key)
        assert (f"* [@{hypothesis.source}] " in sentence) == bool(hypothesis.source)
        assert "[@]" not in sentence


def test_it_is_counted_where_pairing_helps():
    """Over the seeds the CNN's accuracy and the MLP's move alike, the 5×5 kernel's against them."""
    up, down = [0.89, 0.90, 0.91], [0.91, 0.90, 0.89]
    text = topics.facts(reached(3, cnn=up, fully_connected=[value - 0.05 for value in up], kernel_5=down))["pairing"]
    assert text == (
        "In 1 of 2 comparisons of two variants, the difference varies less over the seeds than either accuracy."
    )


def test_what_another_unit_of_adjustment_would_change_is_listed():
    results = results_of("three")
    for family, together, expected in (
        (["supported", "undecided"], ["supported", "undecided"], "no outcome would change."),
        (
            ["supported", "undecided"],
            ["undecided"] * 2,
            "H1 would be undecided instead of supported; no other outcome ",
        ),
        (["not stated"] * 2, ["not stated"] * 2, "Without a verdict, none depends on the adjustment."),
    ):
        table = results.hypotheses.assign(outcome=family, outcome_together=together)
        assert expected in hypotheses.adjusted_together(dataclasses.replace(results, hypotheses=table))


def test_the_fewest_seeds_follow_from_the_largest_family():
    """Five hypotheses: 5 · 2/2⁸ = .039 and 5 · 2/2⁷ = .078. One: 2/2⁶ = .031 and 2/2⁵ = .0625."""
    largest = hypotheses.fewest_seeds(results_of("default"))
    assert largest.startswith("The largest family that was measured has 5 hypotheses: there, fewer than 8 seeds ")
    assert " has 1 hypothesis: there, fewer than 6 seeds " in hypotheses.fewest_seeds(results_of("three"))
    assert hypotheses.fewest_seeds(results_of("one variant")) == "No family of hypotheses was measured."


def test_the_tally_counts_every_outcome():
    results = results_of("three")
    for outcomes, expected in {
        ("supported", "supported"): "Of the 2 hypotheses, 2 are supported.",
        ("supported", "not run"): "Of the 2 hypotheses, 1 is supported and 1 is not run.",
        ("contradicted", "not stated"): "Of the 2 hypotheses, 1 is contradicted and 1 is without a verdict.",
        ("not run", "not run"): "This run has the variants of none of the 2 hypotheses.",
    }.items():
        changed = dataclasses.replace(results, hypotheses=results.hypotheses.assign(outcome=outcomes))
        assert hypotheses.tally(changed) == expected
