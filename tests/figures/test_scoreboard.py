"""The scoreboard: sorted by what came out, in plain statements, on pages that fit."""

from fake_results import results_of

from stages.figures import scoreboard
from stages.shared.drawing import style


def test_every_measured_hypothesis_stands_once_below_its_outcome():
    results = results_of("default")
    entries = [entry for page in scoreboard.pages_of_rows(results) for entry in page]
    outcome, claims = "", []
    for entry in entries:
        if entry in scoreboard.OUTCOMES:
            outcome = entry
        else:
            assert results.hypotheses.loc[entry, "outcome"] == outcome
            claims.append(entry)
    assert sorted(claims) == sorted(filter(results.has_run, results.declared))
    headings = [entry for entry in entries if entry in scoreboard.OUTCOMES]
    assert headings == [outcome for outcome in scoreboard.OUTCOMES if outcome in headings]


def test_a_page_holds_so_many_rows_and_ends_with_no_heading():
    results = results_of("default")
    pages = scoreboard.pages_of_rows(results)
    assert len(pages) == 2
    for page in pages:
        assert len(page) <= scoreboard.LONGEST + 1
        assert page[-1] not in scoreboard.OUTCOMES
        assert scoreboard.draw(results, page).get_figheight() <= style.TALLEST
    names = [name for name, _ in scoreboard.figures(results)]
    assert names == ["scoreboard", "scoreboard-2"]
    text = scoreboard.texts(results)["scoreboard.md"]
    assert all(f"{{#fig-{name} " in text for name in names)


def test_the_statements_are_whole_and_marked_where_they_came_later():
    results = results_of("default")
    keys = [key for key in results.declared if results.has_run(key)]
    assert {results.hypotheses.loc[key, "declared"] for key in keys} > {"altered later"}
    for key in keys:
        text = scoreboard.statement(results, key).replace("\n", " ").replace(r"\$", "$")
        whole = f"{results.number(key)}  {results.declared[key].statement}"
        assert text.removesuffix(" †") == whole, "no statement of hypotheses.yaml is cut"
        later = results.hypotheses.loc[key, "declared"] in ("added later", "altered later")
        assert text.endswith("†") == later


def test_marks_and_numbers_are_those_of_the_results():
    results = results_of("three")
    (page,) = scoreboard.pages_of_rows(results)
    keys = [entry for entry in page if entry not in scoreboard.OUTCOMES]
    assert keys
    for key in keys:
        row = scoreboard._row(results, key)
        assert row.mean == 100 * results.hypotheses.loc[key, "difference"]
        assert row.text.lstrip("+−").startswith(f"{abs(row.mean):.2f}")
