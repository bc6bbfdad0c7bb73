"""Two revisions side by side: by hand where the numbers can be read, then in a repository, then after a real run."""

import json
import math
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import fake_results
import numpy as np
import pytest
from fake_results import REPOSITORY
from safetensors.numpy import load_file
from small_compared import result

from stages.shared import params, paths
from stages.shared.run_records import file_digest
from stages.shared.stage_command import StageError
from stages.tools.compare import figures, output, results, revisions, side_by_side, wording
from stages.tools.compare.results import Images

pytestmark = pytest.mark.slow

INFERENCE = params.load(REPOSITORY / "params.yaml").inference
TEN = range(10)
ONE_RIGHT, TWO_RIGHT = (dict.fromkeys(TEN, images) for images in ([1, 0, 0, 0], [1, 1, 0, 0]))
UP_AND_DOWN = {seed: [1, 1, 0, 0] if seed % 2 else [0, 0, 0, 0] for seed in TEN}  # against ONE_RIGHT: no difference
GREY = np.arange(2 * 1 * 4 * 4, dtype=np.uint8).reshape(2, 1, 4, 4)


def compare(*compared):
    return side_by_side.compare(compared, INFERENCE)


def pair(*compared):
    return compare(*compared).pairs[0]


def rows(pair):
    return {row.variant: row for row in pair.accuracy}


def test_the_difference_is_the_other_minus_the_first_over_the_seeds_that_both_have():
    first = result("a", {"cnn": {0: [0, 0, 0, 0], 1: [1, 1, 0, 0], 2: [1, 1, 0, 0]}})
    other = result("b", {"cnn": {1: [1, 1, 1, 0], 2: [1, 1, 0, 1], 3: [0, 0, 0, 0]}})
    row = rows(pair(first, other))["cnn"]
    assert row.comparison.n_seeds == 2
    assert row.differences == (0.25, 0.25)
    half = 12.7062 * math.sqrt(2) / 8  # t of one degree of freedom, and two of 2 · 4 answers
    comparison = (row.comparison.difference, row.comparison.low, row.comparison.high)
    assert comparison == pytest.approx((0.25, 0.25 - half, 0.25 + half), rel=1e-5)
    assert (row.first.mean, row.other.mean) == (pytest.approx(1 / 3), pytest.approx((0.75 + 0.75 + 0) / 3))
    assert row.comparison.p == 0.5  # two of the four sign patterns of two equal differences


def test_answers_are_paired_by_image_too():
    """As many right answers, but on other images: no difference, and yet an interval for new images."""
    first = result("a", {"cnn": {seed: [1, 1, 0, 0] * 3 for seed in TEN}})
    other = result("b", {"cnn": {seed: [0, 1, 1, 0] * 3 for seed in TEN}})
    comparison = rows(pair(first, other))["cnn"].comparison
    assert comparison.difference == 0
    assert (
        comparison.high == -comparison.low == pytest.approx(2.262157 * math.sqrt(2) / 120)
    )  # of the seeds, which agree
    assert comparison.total_low < 0 < comparison.total_high


def test_p_values_are_adjusted_over_the_rows_whose_runs_differ_alone():
    """Ten seeds that all move one way have p = 2/2^10. Beside a row with p = 1 it doubles."""
    first = result("a", dict.fromkeys(["changed", *(f"same_{i}" for i in range(8))], ONE_RIGHT))
    same = dict.fromkeys(first.variants, ONE_RIGHT)
    one_changed = pair(first, result("b", {**same, "changed": TWO_RIGHT}))
    assert rows(one_changed)["changed"].p_adjusted == 2 / 2**10
    two_changed = rows(pair(first, result("b", {**same, "changed": TWO_RIGHT, "same_0": UP_AND_DOWN})))
    assert two_changed["changed"].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert two_changed["same_0"].p_adjusted == 1


def test_all_pairs_of_one_comparison_are_one_family():
    answers = {"a": ONE_RIGHT, "b": TWO_RIGHT, "c": UP_AND_DOWN}
    sides = compare(*(result(name, {"cnn": arm}) for name, arm in answers.items()))
    assert rows(sides.pairs[0])["cnn"].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert [pair.other.revision.name for pair in sides.pairs] == ["b", "c"]
    assert all(pair.first.revision.name == "a" for pair in sides.pairs)


def test_ten_seeds_on_many_images_state_a_verdict_and_nine_do_not():
    base, better = dict.fromkeys(TEN, [1] * 60 + [0] * 340), dict.fromkeys(TEN, [1] * 100 + [0] * 300)
    a, b = result("a", {"cnn": base}), result("b", {"cnn": better})
    assert rows(pair(a, b))["cnn"].verdict.name == "better"
    assert rows(pair(b, a))["cnn"].verdict.name == "worse"
    nine = [result(name, {"cnn": {seed: arm[seed] for seed in range(9)}}) for name, arm in (("a", base), ("b", better))]
    without_verdict = pair(*nine)
    assert rows(without_verdict)["cnn"].verdict.name == "not stated"
    assert wording.reasons(without_verdict) == ["Not stated: 9 of the 10 seeds that a verdict needs."]
    assert "1 is without a verdict (cnn)" in wording.summary(without_verdict)


def test_runs_that_are_the_same_are_not_tested_and_nothing_differs():
    sides = compare(*[result(name, {"cnn": {0: [1, 0]}, "mlp": {0: [0, 0]}}) for name in "ab"])
    assert (sides.pairs[0].same, sides.pairs[0].accuracy) == (["cnn", "mlp"], [])
    assert sides.nothing_differs
    assert "Nothing differs: the settings, the code and the runs are the same." in output.text(sides)
    assert "Nothing differs" in output.html(sides)


def test_other_settings_with_the_same_runs_are_a_difference():
    settings = [{"protocol": "p", "eda": {"images": n}} for n in (1, 2)]
    sides = compare(*(result(f"{n}", {"cnn": {0: [1, 0]}}, settings=one) for n, one in enumerate(settings)))
    assert not sides.nothing_differs
    assert "All runs are the same, byte for byte." in output.text(sides)


def test_variants_of_one_revision_alone_are_listed_with_it():
    first = result("a", {"cnn": {0: [1, 0]}, "old": {0: [1, 1]}})
    both = pair(first, result("b", {"cnn": {0: [1, 0]}, "new": {0: [0, 1], 1: [0, 0]}}))
    assert wording.alone_table(both).rows == [["old", "a", "100.00", "1"], ["new", "b", "25.00", "2"]]
    assert both.same == ["cnn"]
    nothing_shared = pair(result("a", {"x": {0: [1]}}), result("b", {"y": {0: [1]}}))
    assert wording.summary(nothing_shared) == "They have no variant in common."


def shifted(name, shares, **choices):
    """Three seeds of one variant; shares: of agreeing pairs of shifts, for each image. Runs differ with the name."""
    answers = {seed: [len(name) % 2, 0, 1, 1] for seed in range(3)}
    return result(name, {"cnn": answers}, {"cnn": dict.fromkeys(range(3), shares)}, **choices)


def test_shift_consistency_is_paired_as_accuracy_is():
    """0.25 against 0.5 in every seed. The images differ by 0, 0.5, 0 and 0.5, with the variance 1/12. From
    their median the four are 0.25 away, so two more, of (4 · 0.25² + 2)/6 each, add 2/3 · 0.375 = 1/4 to it."""
    both = pair(shifted("a", [0.0, 0.5, 0.5, 0.0]), shifted("bb", [0.0, 1.0, 0.5, 0.5]))
    (row,) = both.shift_consistency
    assert (row.first.mean, row.other.mean, row.differences) == (0.25, 0.5, (0.25, 0.25, 0.25))
    half = 4.302653 * math.sqrt(2) / 12
    assert (row.comparison.low, row.comparison.high) == pytest.approx((0.25 - half, 0.25 + half))
    assert row.comparison.total_high - 0.25 == pytest.approx(3.182446 * math.sqrt((1 / 12 + 1 / 4) / 4), rel=1e-6)
    assert rows(both)["cnn"].comparison.difference == -0.25


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (shifted("bb", [0.5] * 4, margin=(1, 2)), "the shifts differ: a margin of 2×2 pixels and of 1×2"),
        (shifted("bb", [0.5] * 3), "4 images were shifted and 3"),
        (
            shifted("bb", [0.5] * 4, test=Images(np.zeros((1, 1, 2, 2), np.uint8), np.zeros(1, int))),
            "the test sets differ: 4 images and 1",
        ),
    ],
)
def test_shift_consistency_of_other_images_or_shifts_is_not_paired(other, reason):
    (row,) = pair(shifted("a", [0.5] * 4), other).shift_consistency
    assert row.comparison is None
    assert row.verdict.reason == reason


def test_the_p_values_of_the_two_metrics_are_families_of_their_own():
    half, mixed = (
        {seed: [share, 0, 0, 0] for seed, share in zip(TEN, shares, strict=True)}
        for shares in ([0.5] * 10, [0.0, 1.0] * 5)
    )
    first, other = result("a", {"cnn": ONE_RIGHT}, {"cnn": half}), result("b", {"cnn": TWO_RIGHT}, {"cnn": mixed})
    both = pair(first, other)
    assert rows(both)["cnn"].p_adjusted == 2 / 2**10
    assert both.shift_consistency[0].p_adjusted == 1


def test_variants_that_one_of_the_two_did_not_probe_have_no_row_of_shift_consistency():
    sides = compare(shifted("a", [0.5] * 4), result("bb", {"cnn": {0: [1, 1, 1, 1]}}))
    assert sides.pairs[0].shift_consistency == []
    assert "Shift consistency" not in output.text(sides)
    both = compare(shifted("a", [0.5] * 4), shifted("bb", [0.25] * 4))
    table = output.text(both).partition("Shift consistency")[2]
    assert "cnn        50.00 ± 50.00  25.00 ± 37.85  −25.00 ± 50.71" in table  # t · √2/12, within 0 and 100 %
    assert 'id="tbl-shift-1"' in output.html(both)


def test_without_a_seed_in_common_nothing_is_paired_and_the_seeds_are_named():
    row = rows(pair(result("a", {"cnn": {0: [1, 0], 1: [1, 0]}}), result("b", {"cnn": {2: [1, 1]}})))["cnn"]
    assert row.comparison is None
    assert math.isnan(row.p_adjusted)
    assert row.verdict.reason == "no seed in common: 0, 1 and 2"


def test_runs_that_diverged_are_named_and_a_variant_without_another_is_paired_with_nothing():
    first = result("a", {"cnn": {0: [1, 0], 2: [1, 0]}, "lost": {0: [1, 1]}}, diverged={"cnn": [1]})
    answers = {"cnn": {0: [1, 1], 1: [1, 1]}, "lost": {}, "new": {}}
    sides = compare(first, result("b", answers, diverged={"lost": [0], "new": [0, 1]}))
    assert rows(sides.pairs[0])["cnn"].comparison.n_seeds == 1
    assert rows(sides.pairs[0])["lost"].verdict.reason == "no seed in common: 0 and none that finished"
    sentences = ["Diverged in a, and therefore without an accuracy: cnn under seed 1."]
    sentences += ["Diverged in b, and therefore without an accuracy: lost under seed 0; new under seeds 0, 1."]
    assert wording.diverged(sides) == sentences
    for text in (" ".join(output.text(sides).split()), output.html(sides)):
        assert all(sentence in text for sentence in sentences)
        assert "nan" not in text


def test_one_seed_has_a_difference_and_no_interval():
    sides = compare(result("a", {"cnn": {0: [1, 0]}}), result("b", {"cnn": {0: [1, 1]}}))
    cells = ["cnn", "50.00 ± –", "100.00 ± –", "+50.00 ± –", "not stated", "± –", "1", "1.000"]
    assert wording.difference_table(sides.pairs[0], sides.pairs[0].accuracy).rows == [cells]
    assert "<svg" not in output.html(sides)  # figures are images of their own


OTHER_IMAGES = "the test sets differ: as many images, but not the same ones in the same order"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Images(GREY.copy(), np.array([0, 1])), ""),
        (Images(GREY[:1], np.array([0])), "the test sets differ: 2 images and 1"),
        (Images(GREY[::-1], np.array([0, 1])), OTHER_IMAGES),
        (Images(GREY, np.array([1, 0])), OTHER_IMAGES),
        (Images(GREY[..., :3], np.array([0, 1])), OTHER_IMAGES),
    ],
)
def test_test_sets_are_paired_where_they_are_the_same_images_in_the_same_order(other, reason):
    sides = compare(
        result("a", {"cnn": {0: [1, 0]}}, test=Images(GREY, np.array([0, 1]))),
        result("b", {"cnn": {0: [1, 1]}}, test=other),
    )
    row = rows(sides.pairs[0])["cnn"]
    assert (row.comparison is None) == bool(reason)
    assert row.other.mean == 1
    for text in (output.text(sides), output.html(sides)):
        assert (f"Not paired: {reason}." in text) == bool(reason)


def test_settings_that_differ_are_those_in_use():
    one = {
        "protocol": "p",
        "protocols": {"p": {"epochs": 4, "variants": ["cnn"]}, "idle": {"epochs": 10}},
        "recipe": {"lr": 0.01, "same": 1},
        "variants": {"cnn": {"run": {}}, "idle": {"run": {"a": 1}}},
    }
    two = {
        "protocol": "q",
        "protocols": {"q": {"epochs": 5, "variants": ["cnn", "new"]}, "idle": {"epochs": 20}},
        "recipe": {"lr": 0.02, "same": 1},
        "variants": {"cnn": {"run": {"architecture": {"channels": [4, 8]}}}, "idle": {"run": {"a": 2}}},
    }
    sides = compare(result("a", {"cnn": {0: [1]}}, settings=one), result("b", {"cnn": {0: [1]}}, settings=two))
    assert sides.settings == {
        "protocol.name": ["p", "q"],
        "protocol.epochs": ["4", "5"],
        "recipe.lr": ["0.01", "0.02"],
        "variants.cnn.run": ["{}", ""],
        "variants.cnn.run.architecture.channels": ["", "[4, 8]"],
    }


class Page(HTMLParser):
    """The tags that are open, and every address that the page asks for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_asks_for_no_other_file_and_shows_names_as_they_stand():
    odd = "<b>&'$x$"
    arms = [{seed: [seed % 2, n, 0, 1] for seed in range(3)} for n in (0, 1)]
    sides = compare(*[result(odd, {"cnn": arm, odd: arm}) for arm in arms], result("c", {"cnn": arms[0]}))
    text = output.html(sides)
    page = Page(text)
    assert page.open == []
    assert all(address.startswith("data:") for address in page.addresses)
    assert text.startswith("<!DOCTYPE html>")
    assert odd in page.text
    assert "<b>" not in text
    assert text == output.html(sides)  # byte for byte


def test_many_variants_are_spread_over_several_figures(monkeypatch):
    monkeypatch.setattr(figures, "ROWS", 2)
    monkeypatch.setattr(figures, "PANELS", 2)
    sides = compare(*[result(name, {f"v{i}": {0: [n, 0], 1: [n, 1]} for i in range(3)}) for n, name in enumerate("ab")])
    assert output.html(sides).count("data:image/svg+xml") == 2 + 2 * 2


# In a repository


def read(*names):
    return [results.read(revision) for revision in revisions.resolve(names)]


def test_a_revision_is_read_as_it_was_whatever_the_workspace_holds(project):
    project.write(means={"cnn": 0.5, "kernel_5": 0.25})
    project.track()
    first, now = read("first", "workspace")
    assert [float(images.mean()) for images in now.variants["kernel_5"].correct.values()] == [0.25] * 3
    assert [float(images.mean()) for images in first.variants["kernel_5"].correct.values()] == [0.9] * 3
    assert first.digests["kernel_5"] != now.digests["kernel_5"]
    assert list(now.variants) == ["cnn", "kernel_5"]
    assert now.variants["cnn"].curves["epoch"].max() == now.settings["protocols"]["default"]["epochs"]
    assert side_by_side.compare([first, now], INFERENCE).pairs[0].same == []


def test_the_workspace_has_the_results_that_its_dvc_lock_names_whatever_its_folders_hold(project):
    """As after `git checkout` without `dvc checkout`."""
    project.write(means={"cnn": 0.5, "kernel_5": 0.25})
    first, now = read("first", "workspace")
    assert side_by_side.compare([first, now], INFERENCE).nothing_differs


def test_reading_changes_no_file(project):
    def files():
        tracked = [path for path in project.root.rglob("*") if path.is_file()]
        hidden = (".git/", ".dvc/tmp/")
        return {path: path.stat().st_mtime_ns for path in tracked if not any(one in f"{path}" for one in hidden)}

    before = files()
    output.text(side_by_side.compare(read("first", "workspace"), INFERENCE))
    assert files() == before


def test_shift_consistency_is_read_where_the_probe_saw_the_runs_that_are_there_now(project):
    arrays = load_file(project.root / "data/probes/cnn/seed_1/by_image.safetensors")
    (now,) = read("workspace")
    assert now.margin == (2, 2)
    assert now.variants["cnn"].arm("shift_consistency")[1].tolist() == arrays["consistency"].tolist()
    project.write(means={"cnn": 0.5, "kernel_5": 0.25})
    project.track("prepare", "train")
    (now,) = read("workspace")
    assert [variant.arm("shift_consistency") for variant in now.variants.values()] == [None, None]


def test_without_a_margin_there_is_no_shift_consistency(project):
    project.write(lambda raw: raw["protocols"]["default"].update(margin=0))
    project.track()
    assert read("workspace")[0].variants["cnn"].arm("shift_consistency") is None


def test_another_margin_leaves_the_test_images_the_same_and_another_image_does_not(project):
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 28, 28), dtype=np.uint8)

    def test_set(margin):
        padded = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
        project.write(lambda raw: raw["protocols"]["default"].update(margin=margin), images=padded)
        project.track()
        return read("workspace")[0].test

    two = test_set(2)
    assert side_by_side.why_unpaired(two, test_set(1)) == ""
    images[39, 0, 0, 0] += 1
    assert "not the same ones" in side_by_side.why_unpaired(two, test_set(1))


def test_a_variant_that_the_protocol_left_is_in_the_first_alone(project):
    project.write(lambda raw: raw["protocols"]["default"].update(variants=["cnn"]))
    project.track()
    first, now = read("first", "workspace")
    assert list(now.variants) == ["cnn"]
    assert side_by_side.compare([first, now], INFERENCE).pairs[0].alone == {"kernel_5": first}


def test_code_that_trained_and_differs_is_named(project):
    (project.root / "stages/train/recipe.py").write_text("lr = 2\n")
    sides = compare(*read("first", "workspace"))
    assert sides.code == []  # nothing has run with the new code yet
    project.track("train")
    assert compare(*read("first", "workspace")).code == ["stages/train"]


def test_runs_that_diverged_have_their_epoch(project):
    project.write(diverged={"cnn": {1: 2}})
    project.track()
    (now,) = read("workspace")
    assert now.variants["cnn"].diverged == {1: 2}
    assert list(now.variants["cnn"].correct) == [0, 2]


def lose_run(project):
    shutil.rmtree(project.root / "data/runs/cnn/seed_2")
    project.track("train")


def lose_stage(project):
    text = paths.DVC_LOCK.read_text()
    start, end = text.index("  train:"), text.index("  probe:")
    paths.DVC_LOCK.write_text(text[:start] + text[end:])


def prepare_again(project):
    (project.root / "data/prepared/constants.json").write_text("{}")
    project.track("prepare")


def damage_file(project):
    copy = cached(project.root / "data/runs/cnn/seed_1/predictions.safetensors")
    copy.unlink()  # it is read-only
    copy.write_bytes(b"?")


def cached(path):
    """DVC's copy of a file."""
    digest = file_digest(path)
    copies = [path for path in (paths.ROOT / ".dvc/cache").rglob("*") if path.is_file()]
    (copy,) = [path for path in copies if file_digest(path) == digest]
    return copy


def set_epochs(project):
    project.write(lambda raw: raw["protocols"]["default"].update(epochs=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda project: paths.DVC_LOCK.unlink(),
            "'workspace' has no dvc.lock: nothing was run there; run `dvc repro`",
        ),
        (set_epochs, "were not made with the settings that it has now (protocols); run `dvc repro`"),
        (lose_stage, "dvc.lock of 'workspace' has no stage train: it never finished there; run `dvc repro train`"),
        (prepare_again, "the runs of 'workspace' were not trained on the data that it has now; run `dvc repro`"),
        (lose_run, "lacks data/runs/cnn/seed_2/record.json of 'workspace'"),
        (lambda project: paths.DVC_LOCK.write_text("a: ["), "'workspace': dvc.lock is not valid YAML"),
        (damage_file, "data/runs/cnn/seed_1/predictions.safetensors of 'workspace' is damaged"),
    ],
)
def test_what_is_missing_is_named_with_what_to_run(change, message, project):
    change(project)
    with pytest.raises(StageError) as refused:
        read("workspace")
    assert message in str(refused.value)
    assert "`dvc repro" in str(refused.value) or "dvc.lock" in message


def test_a_file_that_the_cache_has_lost_is_named_with_the_commands_that_bring_it_back(project):
    lost = project.root / "data/runs/cnn/seed_1/predictions.safetensors"
    cached(lost).unlink()
    message = (
        f"lacks {lost.relative_to(project.root)} of 'first'; `dvc fetch --all-commits` .* "
        "run `git checkout first` and `dvc repro train`"
    )
    with pytest.raises(StageError, match=message):
        read("first")


def test_a_revision_of_another_layout_is_refused(project):
    project.edit_lock("protocols:", "protocols_before:")
    text = paths.PARAMS.read_text().replace("protocols:", "protocols_before:")
    paths.PARAMS.write_text(text)
    with pytest.raises(StageError, match=r"params\.yaml of 'workspace' has no `protocols`"):
        read("workspace")


def experiment(project, name, baseline):
    """As DVC keeps them: a commit under the commit that it started from."""
    commit = project.git("commit-tree", "HEAD^{tree}", "-p", baseline, "-m", name)
    project.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
    return commit


def test_names_are_those_of_experiments_branches_tags_and_commits(project):
    head = project.git("rev-parse", "HEAD")
    commit = experiment(project, "warm-fig", head)
    resolved = revisions.resolve(["warm-fig", "main", "first", "HEAD", head[:8], "workspace"])
    assert [revision.commit for revision in resolved] == [commit, head, head, head, head, None]
    assert [revision.is_experiment for revision in resolved] == [True, *[False] * 5]
    assert resolved[0].description.endswith(f", experiment on {head[:7]}")
    assert resolved[0].how_to_run() == "run `dvc exp apply warm-fig` and `dvc exp run`"


def test_an_unknown_name_is_refused_with_close_ones(project):
    experiment(project, "warm-fig", project.git("rev-parse", "HEAD"))
    with pytest.raises(StageError) as refused:
        revisions.resolve(["warm-fog"])
    assert str(refused.value) == (
        "'warm-fog' is neither an experiment nor a git revision (did you mean 'warm-fig'?); "
        "there are experiments: warm-fig; git: main, first; workspace"
    )
    with pytest.raises(StageError, match="did you mean 'workspace'"):
        revisions.resolve(["workspaces"])
    for name in ("--all", "HEAD:dvc.yaml"):
        with pytest.raises(StageError, match="neither an experiment"):
            revisions.resolve([name])


def test_of_experiments_with_one_name_the_one_that_started_from_head_is_meant(project):
    first = project.git("rev-parse", "HEAD")
    project.commit("second")
    experiment(project, "twin", first)
    commit = experiment(project, "twin", project.git("rev-parse", "HEAD"))
    assert revisions.resolve(["twin"])[0].commit == commit
    project.commit("third")
    with pytest.raises(StageError, match="2 experiments are named 'twin'; name one by its commit"):
        revisions.resolve(["twin"])


def test_without_a_commit_the_workspace_says_so(project):
    project.git("checkout", "-q", "--orphan", "empty")
    assert revisions.resolve(["workspace"])[0].description == "the files as they are, on no commit yet"


def test_outside_git_it_says_so(tmp_path, monkeypatch):
    fake_results.reroot(monkeypatch, tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StageError, match="is not a git repository"):
        revisions.resolve(["HEAD", "workspace"])
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(StageError, match="is not a git repository"):
        revisions.resolve(["HEAD", "workspace"])


def test_help_names_the_defaults():
    command = [sys.executable, "-m", "stages.tools.compare", "--help"]
    text = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert "data/compare/index.html" in text
    assert "workspace" in text


# After a real run


@pytest.fixture(scope="module")
def with_experiment(finished_workspace, tmp_path_factory):
    """A clone with results at HEAD, and an experiment in which one variant's kernel is larger. Copy it or leave it."""
    from pipeline_workspace import Workspace, commit

    folder = tmp_path_factory.mktemp("compared") / "copy"
    shutil.copytree(finished_workspace.folder, folder, symlinks=True)
    workspace = Workspace(folder)
    commit(workspace, "Results")
    change = "variants.kernel_1.run.architecture.kernel=2"
    workspace.succeed("dvc", "exp", "run", "--temp", "--name", "larger", "--set-param", change, "collect")
    return workspace


@pytest.mark.slow
def test_an_experiment_differs_from_head_in_the_variant_that_it_changes_alone(with_experiment):
    status = with_experiment.git("status", "--porcelain")
    printed = with_experiment.succeed("python", "-m", "stages.tools.compare", "HEAD", "larger")
    words = " ".join(printed.split())
    assert "variants.kernel_1.run.architecture.kernel 1 2 " in words, printed
    assert "Both have 3 variants. The runs of 2 are the same, byte for byte (cnn, fully_connected). " in words
    assert "The rest, seen from larger: 1 is " in words
    assert printed.rstrip().endswith("compare: data/compare/index.html")
    assert "kernel_1" in with_experiment.read("data/compare/index.html")
    assert with_experiment.git("status", "--porcelain") == status

    of_variants = ("--targets", "data/results/variants.json")
    changes = json.loads(with_experiment.succeed("dvc", "metrics", "diff", "HEAD", "larger", *of_variants, "--json"))
    accuracy = changes["data/results/variants.json"]["kernel_1.accuracy"]
    accuracies = [accuracy["old"], accuracy["new"]]
    cells = next(line.split() for line in printed.splitlines() if line.startswith("kernel_1 "))
    assert [float(cells[1]), float(cells[4])] == [round(100 * value, 2) for value in accuracies]
    assert float(cells[7].replace("−", "-")) == pytest.approx(100 * (accuracies[1] - accuracies[0]), abs=0.01)


@pytest.mark.slow
def test_make_compare_prints_markdown_for_a_pull_request_and_nothing_else(with_experiment):
    with_experiment.pretend_environment()
    shell, command = ("bash", "-c"), "make --silent compare FORMAT=markdown"
    printed = with_experiment.succeed(*shell, f"{command} A=HEAD B=larger 2> data/log.txt")
    assert with_experiment.read("data/log.txt").strip() == "compare: data/compare/index.html"
    assert printed.startswith("**`larger` against `HEAD`, test accuracy: ")
    assert "| `variants.kernel_1.run.architecture.kernel` | `1` | `2` |" in printed
    assert printed.rstrip().endswith("</details>")
    short, _, details = printed.partition("<details>")
    assert len(short) < 1000
    assert "| `kernel_1` |" in details
    assert "Nothing differs" in with_experiment.succeed(*shell, command)


@pytest.mark.slow
def test_dvc_shows_an_experiment_on_lines_of_160_characters_with_the_setting_that_differs(with_experiment):
    command = ("dvc", "exp", "show", "--only-changed", "--drop", ".*/.*", "--no-pager")
    printed = with_experiment.succeed(*command, COLUMNS="160")
    assert max(map(len, printed.splitlines())) <= 160
    assert "…" not in printed
    (header,) = [line.split() for line in printed.splitlines() if "Experiment" in line]
    assert "variants.kernel_1.run.architecture.kernel" in header
    assert "kernel_1.accuracy" not in printed


@pytest.mark.slow
def test_head_and_its_own_workspace_do_not_differ(with_experiment):
    printed = with_experiment.succeed("python", "-m", "stages.tools.compare")
    assert "Nothing differs: the settings, the code and the runs are the same." in printed


@pytest.mark.slow
def test_an_unknown_revision_is_one_message(with_experiment):
    code, printed = with_experiment.run("python", "-m", "stages.tools.compare", "largr")
    assert code == 1
    assert printed.startswith("'largr' is neither an experiment nor a git revision (did you mean 'larger'?)")
    assert len(printed.splitlines()) == 1
