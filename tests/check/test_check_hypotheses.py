"""What the check says of hypotheses: unknown sources end it, and a claim that can have no verdict is warned of."""

import re

import pytest
from fake_results import declared, seeds, settings, three, write_params

from stages.check import hypotheses
from stages.shared import params, paths


def loaded(folder, change=None, **of_gap):
    """The settings with three variants, and their hypothesis gap_original with some of its fields changed."""

    def small(raw):
        three(raw)
        if change:
            change(raw)

    raw = settings(small)
    claims = {"gap_original": declared(raw)["gap_original"] | of_gap}
    written = write_params(folder, raw, claims)
    return written, params.load_hypotheses(written, folder / "hypotheses.yaml")


def test_the_repositorys_own_files_have_known_sources_and_nothing_to_warn_of():
    own = params.load()
    claims = params.load_hypotheses(own)
    hypotheses.refuse_unknown_sources(own, claims)
    assert hypotheses.warnings(own, claims) == []


def test_a_source_that_the_bibliography_lacks_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(params.ParamsError) as refused:
        hypotheses.refuse_unknown_sources(*loaded(tmp_path, source="lecunn1989"))
    assert str(refused.value) == (
        "hypotheses.yaml: 1 mistake; nothing was run\n"
        "  gap_original.source = 'lecunn1989': no entry of report/references.bib has this key "
        "(did you mean 'lecun1989'?); add the entry there"
    )
    hypotheses.refuse_unknown_sources(*loaded(tmp_path, source=""))


def test_a_source_of_a_variant_is_looked_up_too(tmp_path):
    published = {"accuracy": 0.9, "margin": 0.01, "seeds": 1, "source": "nobody2000"}

    def change(raw):
        raw["variants"]["kernel_5"]["published"] = published

    with pytest.raises(params.ParamsError, match=r"variants\.kernel_5\.published\.source = 'nobody2000'"):
        hypotheses.refuse_unknown_sources(*loaded(tmp_path, change))


def test_a_hypothesis_whose_variant_has_few_seeds_is_warned_of_with_the_line_to_add(tmp_path):
    def few(raw):
        raw["variants"]["fully_connected"]["run"].setdefault("sample", {})["seeds"] = "few"
        raw["protocols"]["default"] |= {"seeds": list(range(10)), "few_seeds": [0, 1, 2, 3, 4]}

    (line,) = hypotheses.warnings(*loaded(tmp_path, few))
    assert line == (
        "hypotheses.yaml: gap_original can have no verdict: fully_connected runs under 5 of the 10 seeds that it "
        "needs; add `sample: {seeds: all}` to variants.fully_connected.run"
    )


def test_a_protocol_with_too_few_seeds_for_any_verdict_says_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TIMINGS", tmp_path / "timings")
    settings, claims = loaded(tmp_path, seeds(3))
    assert hypotheses.warnings(settings, claims) == []
    expected = "protocol 'default': 3 variants, 9 runs; no verdicts, which need 10 seeds, and it has 3"
    assert hypotheses.plan(settings) == expected


def test_fifty_points_as_the_smallest_effect_are_warned_of(tmp_path):
    (line,) = hypotheses.warnings(*loaded(tmp_path, smallest_effect=0.5))
    assert line.startswith("hypotheses.yaml: gap_original.smallest_effect = 0.5 is 50 percentage points")
    assert hypotheses.warnings(*loaded(tmp_path, smallest_effect=0.09)) == []


def test_the_plan_counts_variants_and_runs_and_knows_the_time_where_all_were_timed(tmp_path, monkeypatch):
    settings, _ = loaded(tmp_path, seeds(10))
    monkeypatch.setattr(paths, "TIMINGS", tmp_path / "timings")
    assert hypotheses.plan(settings) == "protocol 'default': 3 variants, 30 runs"
    paths.write_json(tmp_path / "timings" / "train.json", {"runs": {"cnn": 60.0, "kernel_5": 60.0}})
    assert hypotheses.plan(settings).endswith("30 runs"), "one variant was never timed"
    times = {"cnn": 24.0, "kernel_5": 24.0, "fully_connected": 12.0}  # ten seeds: 10 minutes of one core
    paths.write_json(tmp_path / "timings" / "train.json", {"runs": times})
    monkeypatch.setattr("stages.shared.process_pool.cores", lambda: 2)
    assert "took about 5 min of training here" in hypotheses.plan(settings)


def test_a_new_family_and_a_comma_in_a_level_are_explained(tmp_path):
    text = paths.PARAMS.read_text(encoding="utf-8")
    file = tmp_path / "params.yaml"
    for old, new, hint in (
        ("families: {kernel: 5×5", "families: {my_family: 5×5", "a block my_family in `families` makes a new one"),
        ("families: {kernel: 5×5", "families: {kernel: 5×5, or so", "quote text that has one"),
    ):
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(params.ParamsError) as refused:
            params.load(file)
        assert hint in str(refused.value)


def test_the_variant_the_family_and_the_expectation_of_the_readme_are_valid_and_can_have_a_verdict(tmp_path):
    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    variant, family, claim = re.findall(r"^```yaml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    text = paths.PARAMS.read_text(encoding="utf-8")
    text = text.replace("\nvariants:\n", f"\nvariants:\n{variant}", 1)
    text = text.replace("\nfamilies:\n", f"\nfamilies:\n{family}", 1)
    text = re.sub(r"(\n  default:.*?\n    variants:\s*\[\s*)", r"\1kernel_9, ", text, count=1, flags=re.DOTALL)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "hypotheses.yaml").write_text(claim, encoding="utf-8")
    settings = params.load(tmp_path / "params.yaml")
    claims = params.load_hypotheses(settings, tmp_path / "hypotheses.yaml")
    assert set(claims["kernel_9_no_better"].contrast.variants) <= set(settings.active_variants)
    hypotheses.refuse_unknown_sources(settings, claims)
    assert hypotheses.warnings(settings, claims) == []
    assert "large_kernel" in settings.families
