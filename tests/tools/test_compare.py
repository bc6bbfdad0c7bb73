"""Two revisions side by side: by hand where the numbers can be read, in an invented repository, and after a real `dvc exp run`."""

import hashlib
import json
import math
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import fake_results
import numpy as np
import pandas as pd
import pytest
from fake_results import REPOSITORY
from safetensors.numpy import load_file, save_file
from test_pipeline import clone

from stages.shared import params, paths
from stages.shared.stage_command import StageError
from stages.tools.compare import (
    cache,
    figures,
    page,
    read,
    revisions,
    sentences,
    settings,
    side_by_side,
    tables,
    terminal,
)
from stages.tools.compare.cache import Cache
from stages.tools.compare.read import Images, Result, Runs
from stages.tools.compare.revisions import Revision

INFERENCE = params.load(REPOSITORY / "params.yaml").inference
TEN = range(10)


def runs(correct, consistency=None):
    """correct, consistency: seed → of each image. The digest is that of the answers."""
    arms = {seed: np.array(images, dtype=np.uint8) for seed, images in correct.items()}
    measured = [{"seed": seed, "train_accuracy": 0.9, "val_accuracy": 0.8, "test_loss": 0.3} for seed in arms]
    metrics = {"runs": measured, "parameters": 1234, "macs": 5678}
    rows = [
        {"seed": seed, "epoch": epoch, "train_loss": 1 / epoch, "val_accuracy": 0.5}
        for seed in arms
        for epoch in (1, 2)
    ]
    curves = pd.DataFrame(rows, columns=["seed", "epoch", "train_loss", "val_accuracy"])
    return Runs(
        str(correct), metrics, arms, curves, {seed: np.array(shares) for seed, shares in (consistency or {}).items()}
    )


def result(name, variants, raw=None, code=None, test=None, shift=None, margin=(2, 2)):
    """variants: key → seed → answers. shift: the same of the shares that agree."""
    n_images = len(next(iter(next(iter(variants.values())).values())))
    test = test or Images("same", np.zeros((n_images, 1, 2, 2), np.uint8), np.zeros(n_images, int))
    made = {key: runs(correct, (shift or {}).get(key)) for key, correct in variants.items()}
    revision = Revision(name, "0" * 40, "0000000 of 2026-01-02")
    return Result(revision, raw or {"protocol": {"name": "p"}}, code or {}, "Digits", test, margin, made)


def compare(*results, **changes):
    return side_by_side.compare(results, INFERENCE.model_copy(update=changes))


def rows(made, pair=0):
    return rows_of(made.pairs[pair])


def rows_of(pair):
    return {row.variant: row for row in pair.rows}


def test_the_difference_is_the_other_minus_the_first_over_the_seeds_that_both_have():
    first = result("a", {"cnn": {0: [0, 0, 0, 0], 1: [1, 1, 0, 0], 2: [1, 1, 0, 0]}})
    other = result("b", {"cnn": {1: [1, 1, 1, 0], 2: [1, 1, 0, 1], 3: [0, 0, 0, 0]}})
    row = rows(compare(first, other))["cnn"]
    assert row.comparison.n_seeds == 2
    assert row.differences == (0.25, 0.25)
    assert (row.comparison.difference, row.comparison.low, row.comparison.high) == (0.25, 0.25, 0.25)
    assert (row.first.mean, row.other.mean) == (pytest.approx(1 / 3), pytest.approx((0.75 + 0.75 + 0) / 3))
    assert row.comparison.p == 0.5  # two of the four sign patterns of two equal differences


def test_answers_are_paired_by_image_too():
    """As many right answers in both, on other images: no difference, but an interval for new images that has a width."""
    first = result("a", {"cnn": {seed: [1, 1, 0, 0] * 3 for seed in TEN}})
    other = result("b", {"cnn": {seed: [0, 1, 1, 0] * 3 for seed in TEN}})
    made = rows(compare(first, other))["cnn"].comparison
    assert made.difference == 0
    assert made.low == made.high == 0
    assert made.total_low < 0 < made.total_high


def test_p_values_are_adjusted_over_the_rows_whose_runs_differ_alone():
    """Ten seeds that all move one way have p = 2/2^10; of m such rows every adjusted p is the same, for any m. One with p = 1 doubles it."""
    base = {seed: [1, 0, 0, 0] for seed in TEN}
    better, mixed = (
        {seed: [1, 1, 0, 0] for seed in TEN},
        {seed: [1, 1, 0, 0] if seed % 2 else [0, 0, 0, 0] for seed in TEN},
    )
    first = result("a", dict.fromkeys(["changed", *(f"same_{i}" for i in range(8))], base))
    assert (
        rows(compare(first, result("b", {**dict.fromkeys(first.runs, base), "changed": better})))["changed"].p_adjusted
        == 2 / 2**10
    )
    made = rows(compare(first, result("b", {**dict.fromkeys(first.runs, base), "changed": better, "same_0": mixed})))
    assert made["changed"].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert made["same_0"].p_adjusted == 1


def test_all_pairs_of_one_comparison_are_one_family():
    base, better = (dict.fromkeys(TEN, images) for images in ([1, 0, 0, 0], [1, 1, 0, 0]))
    mixed = {seed: [1, 1, 0, 0] if seed % 2 else [0, 0, 0, 0] for seed in TEN}
    made = compare(result("a", {"cnn": base}), result("b", {"cnn": better}), result("c", {"cnn": mixed}))
    assert rows(made, 0)["cnn"].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert [pair.other.revision.name for pair in made.pairs] == ["b", "c"]
    assert all(pair.first.revision.name == "a" for pair in made.pairs)


def test_ten_seeds_on_many_images_state_a_verdict_and_nine_do_not():
    images = [1] * 60 + [0] * 340
    base, better = dict.fromkeys(TEN, images), {seed: [1] * 100 + [0] * 300 for seed in TEN}
    assert rows(compare(result("a", {"cnn": base}), result("b", {"cnn": better})))["cnn"].verdict.name == "better"
    assert rows(compare(result("a", {"cnn": better}), result("b", {"cnn": base})))["cnn"].verdict.name == "worse"
    nine = [result(name, {"cnn": {seed: arm[seed] for seed in range(9)}}) for name, arm in (("a", base), ("b", better))]
    made = compare(*nine)
    assert rows(made)["cnn"].verdict.name == "not stated"
    assert sentences.reasons(made.pairs[0]) == ["Not stated: 9 of the 10 seeds that a verdict needs."]
    assert "1 is without a verdict (cnn)" in sentences.summary(made.pairs[0])


def test_runs_that_are_the_same_are_not_tested_and_nothing_differs():
    made = compare(*[result(name, {"cnn": {0: [1, 0]}, "mlp": {0: [0, 0]}}) for name in "ab"])
    assert [row.verdict.name for row in made.pairs[0].rows] == ["same runs", "same runs"]
    assert made.pairs[0].changed == []
    assert tables.beside(made).rows == []
    assert made.nothing_differs
    assert "Nothing differs: the settings, the code and the runs are the same." in terminal.text(made)
    assert "Nothing differs" in page.html(made)


def test_other_settings_with_the_same_runs_are_a_difference():
    made = compare(
        *[
            result(name, {"cnn": {0: [1, 0]}}, {"protocol": {"name": "p"}, "eda": {"images": n}})
            for name, n in (("a", 1), ("b", 2))
        ]
    )
    assert not made.nothing_differs
    assert "All runs are the same, byte for byte." in terminal.text(made)


def test_variants_of_one_revision_alone_are_listed_with_their_owner():
    made = compare(
        result("a", {"cnn": {0: [1, 0]}, "old": {0: [1, 1]}}),
        result("b", {"cnn": {0: [1, 0]}, "new": {0: [0, 1], 1: [0, 0]}}),
    )
    assert tables.alone(made.pairs[0]).rows == [["old", "a", "100.00", "1"], ["new", "b", "25.00", "2"]]
    assert [row.variant for row in made.pairs[0].rows] == ["cnn"]
    assert (
        sentences.summary(compare(result("a", {"x": {0: [1]}}), result("b", {"y": {0: [1]}})).pairs[0])
        == "They have no variant in common."
    )


def shifted(name, shares, **about):
    """Three seeds of one variant with these shares of agreeing pairs for each of four images."""
    return result(
        name,
        {"cnn": {seed: [len(name) % 2, 0, 1, 1] for seed in range(3)}},
        shift={"cnn": dict.fromkeys(range(3), shares)},
        **about,
    )


def test_shift_consistency_is_paired_as_accuracy_is():
    """0.25 against 0.5 in every seed; the images differ by 0, 0.5, 0 and 0.5 (variance 1/12), so new ones: ± t(3 d.f.) √(1/48)."""
    (pair,) = compare(shifted("a", [0.0, 0.5, 0.5, 0.0]), shifted("bb", [0.0, 1.0, 0.5, 0.5])).pairs
    (row,) = pair.shift
    assert (row.first.mean, row.other.mean, row.differences) == (0.25, 0.5, (0.25, 0.25, 0.25))
    assert (row.comparison.low, row.comparison.high) == (0.25, 0.25)
    assert row.comparison.total_high - 0.25 == pytest.approx(3.182446 * math.sqrt(1 / 48), rel=1e-6)
    assert rows_of(pair)["cnn"].comparison.difference == -0.25


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (shifted("bb", [0.5] * 4, margin=(1, 2)), "the shifts differ: a margin of 2×2 pixels and of 1×2"),
        (shifted("bb", [0.5] * 3), "4 images were shifted and 3"),
        (
            shifted("bb", [0.5] * 4, test=Images("x", np.zeros((1, 1, 2, 2), np.uint8), np.zeros(1, int))),
            "the test sets differ: 4 images and 1",
        ),
    ],
)
def test_shift_consistency_of_other_images_or_shifts_is_not_paired(other, said):
    (row,) = compare(shifted("a", [0.5] * 4), other).pairs[0].shift
    assert row.comparison is None
    assert row.verdict.reason == said


def test_the_p_values_of_the_two_measures_are_families_of_their_own():
    base, better = ({"cnn": dict.fromkeys(TEN, images)} for images in ([1, 0, 0, 0], [1, 1, 0, 0]))
    half, mixed = (
        {"cnn": {seed: [share, 0, 0, 0] for seed, share in enumerate(shares)}}
        for shares in ([0.5] * 10, [0.0, 1.0] * 5)
    )
    (pair,) = compare(result("a", base, shift=half), result("b", better, shift=mixed)).pairs
    assert rows_of(pair)["cnn"].p_adjusted == 2 / 2**10
    assert pair.shift[0].p_adjusted == 1


def test_variants_that_one_of_the_two_did_not_probe_have_no_row_of_shift_consistency():
    made = compare(shifted("a", [0.5] * 4), result("bb", {"cnn": {0: [1, 1, 1, 1]}}))
    assert made.pairs[0].shift == []
    assert "Shift consistency" not in terminal.text(made)
    both = compare(shifted("a", [0.5] * 4), shifted("bb", [0.25] * 4))
    assert (
        "cnn        50.00 ± 0.00  25.00 ± 0.00  −25.00 ± 0.00" in terminal.text(both).partition("Shift consistency")[2]
    )
    assert 'id="tbl-shift-1"' in page.html(both)


def test_without_a_seed_in_common_nothing_is_paired_and_the_seeds_are_named():
    made = compare(result("a", {"cnn": {0: [1, 0], 1: [1, 0]}}), result("b", {"cnn": {2: [1, 1]}}))
    row = rows(made)["cnn"]
    assert row.comparison is None
    assert math.isnan(row.p_adjusted)
    assert row.verdict.reason == "no seed in common: 0, 1 and 2"


def test_runs_that_diverged_are_named_and_a_variant_without_another_is_paired_with_nothing(monkeypatch):
    def with_diverged(name, variants, diverged):
        made = result(name, variants)
        for key, seeds in diverged.items():
            made.runs[key].metrics["diverged"] = [{"seed": seed, "diverged": 1} for seed in seeds]
        return made

    first = with_diverged("a", {"cnn": {0: [1, 0], 2: [1, 0]}, "lost": {0: [1, 1]}}, {"cnn": [1]})
    other = with_diverged("b", {"cnn": {0: [1, 1], 1: [1, 1]}, "lost": {}, "new": {}}, {"lost": [0], "new": [0, 1]})
    made = compare(first, other)
    assert rows(made)["cnn"].comparison.n_seeds == 1
    assert rows(made)["lost"].verdict.reason == "no seed in common: 0 and none that finished"
    said = ["Diverged in a, and therefore without an accuracy: cnn under seed 1."]
    said += ["Diverged in b, and therefore without an accuracy: lost under seed 0; new under seeds 0, 1."]
    assert sentences.diverged(made) == said
    for shown in (" ".join(terminal.text(made).split()), page.html(made)):
        assert all(sentence in shown for sentence in said)
        assert "nan" not in shown


def test_one_seed_has_a_difference_and_no_interval():
    made = compare(result("a", {"cnn": {0: [1, 0]}}), result("b", {"cnn": {0: [1, 1]}}))
    assert tables.compared(made.pairs[0], made.pairs[0].rows).rows == [
        ["cnn", "50.00 ± –", "100.00 ± –", "+50.00 ± –", "not stated", "± –", "1", "1.000"]
    ]
    assert "<svg" not in page.html(made)  # figures are images of their own


GREY = np.arange(2 * 1 * 4 * 4, dtype=np.uint8).reshape(2, 1, 4, 4)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Images("file", GREY + 1, np.array([1, 1])), ""),  # the digest says enough
        (Images("padded", GREY.copy(), np.array([0, 1])), ""),
        (Images("x", GREY[:1], np.array([0])), "the test sets differ: 2 images and 1"),
        (
            Images("x", GREY[::-1], np.array([0, 1])),
            "the test sets differ: as many images, but not the same ones in the same order",
        ),
        (
            Images("x", GREY, np.array([1, 0])),
            "the test sets differ: as many images, but not the same ones in the same order",
        ),
        (
            Images("x", GREY[..., :3], np.array([0, 1])),
            "the test sets differ: as many images, but not the same ones in the same order",
        ),
    ],
)
def test_test_sets_are_paired_where_they_are_the_same_images_in_the_same_order(other, said):
    assert side_by_side.why_unpaired(Images("file", GREY, np.array([0, 1])), other) == said


def test_other_test_images_are_not_paired_and_the_reason_is_given():
    other = Images("other", np.ones((2, 1, 2, 2), np.uint8), np.zeros(2, int))
    made = compare(result("a", {"cnn": {0: [1, 0]}}), result("b", {"cnn": {0: [1, 1]}}, test=other))
    assert rows(made)["cnn"].comparison is None
    assert rows(made)["cnn"].other.mean == 1
    for text in (terminal.text(made), page.html(made)):
        assert "Not paired: the test sets differ: as many images, but not the same ones in the same order." in text


def test_settings_that_differ_are_those_in_use():
    one = {
        "protocol": {"name": "p", "epochs": 4, "variants": ["cnn"]}, "protocols": {"full": {"epochs": 10}},
        "recipe": {"lr": 0.01, "same": 1}, "variants": {"cnn": {"run": {}}, "idle": {"run": {"a": 1}}},
    }  # fmt: skip
    two = {
        "protocol": {"name": "p", "epochs": 5, "variants": ["cnn", "new"]}, "protocols": {"full": {"epochs": 20}},
        "recipe": {"lr": 0.02, "same": 1}, "variants": {"cnn": {"run": {"architecture": {"channels": [4, 8]}}}, "idle": {"run": {"a": 2}}},
    }  # fmt: skip
    found = settings.differing([result("a", {"cnn": {0: [1]}}, one), result("b", {"cnn": {0: [1]}}, two)])
    assert found == {
        "protocol.epochs": ["4", "5"],
        "recipe.lr": ["0.01", "0.02"],
        "variants.cnn.run": ["{}", ""],
        "variants.cnn.run.architecture.channels": ["", "[4, 8]"],
    }


def test_code_that_differs_is_named():
    first = result("a", {"cnn": {0: [1]}}, code={"stages/train": "1", "stages/shared/random_streams.py": "2"})
    other = result("b", {"cnn": {0: [1]}}, code={"stages/train": "3"})
    assert settings.differing_code([first, other]) == ["stages/shared/random_streams.py", "stages/train"]
    assert settings.differing_code([first, first]) == []


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
    made = compare(*[result(odd, {"cnn": arm, odd: arm}) for arm in arms], result("c", {"cnn": arms[0]}))
    text = page.html(made)
    parsed = Page(text)
    assert parsed.open == []
    assert all(address.startswith("data:") for address in parsed.addresses)
    assert text.startswith("<!DOCTYPE html>")
    assert odd in parsed.text
    assert "<b>" not in text
    assert text == page.html(made)  # byte for byte


def test_many_variants_are_spread_over_several_figures(monkeypatch):
    monkeypatch.setattr(figures, "ROWS", 2)
    monkeypatch.setattr(figures, "PANELS", 2)
    made = compare(*[result(name, {f"v{i}": {0: [n, 0], 1: [n, 1]} for i in range(3)}) for n, name in enumerate("ab")])
    assert page.html(made).count("data:image/svg+xml") == 2 + 2 * 2


# In a repository


WHO = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]


def git(folder, *arguments):
    return subprocess.run(
        ["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@dataclass
class Project:
    """A repository with invented results, kept as DVC keeps them."""

    root: Path
    names: list[str] = field(default_factory=list)

    def results(self, change=None, means=None, images=None):
        """Settings, data, dvc.lock and the cache's files, as after a run. images: of the test set, with their margin."""
        shutil.rmtree(self.root / "data", ignore_errors=True)

        def small(raw):
            fake_results.only(raw, "cnn", "kernel_5")
            fake_results.seeds(3)(raw)
            if change:
                change(raw)

        loaded = fake_results.make_root(self.root, fake_results.settings(small), n_test=40, means=means)
        if images is not None:
            save_file({"images": images, "labels": np.arange(40) % 10}, paths.PREPARED / "test.safetensors")
        for key in loaded.active_variants:
            for stage, plan in (("train", params.TrainPlan), ("probe", params.ProbePlan)):
                paths.write_json(paths.plan(stage, key), plan.of(loaded, key).model_dump(mode="json"))
        stages = {
            "plan": ([paths.PARAMS], [paths.PLAN]),
            "prepare": ([], [paths.PREPARED]),
            **{
                f"probe@{key}": ([paths.plan("probe", key), paths.RUNS / key, paths.PREPARED], [paths.PROBES / key])
                for key in loaded.active_variants
            },
            **{
                f"train@{key}": ([paths.plan("train", key), paths.PREPARED], [paths.RUNS / key])
                for key in loaded.active_variants
            },
        }
        lock = {
            name: {"deps": [*map(self._entry, deps)], "outs": [*map(self._entry, outs)]}
            for name, (deps, outs) in stages.items()
        }
        paths.write_json(paths.DVC_LOCK, {"schema": "2.0", "stages": lock})

    def commit(self, name):
        (self.root / ".gitignore").write_text("data/\ncache/\n")
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", name, "--allow-empty")
        git(self.root, "tag", name)

    def edit_lock(self, change):
        lock = paths.read_json(paths.DVC_LOCK)
        change(lock["stages"])
        paths.write_json(paths.DVC_LOCK, lock)

    def _entry(self, path):
        return {"path": path.relative_to(self.root).as_posix(), "md5": self._kept(path)}

    def _kept(self, path):
        if path.is_dir():
            files = [
                {"md5": self._kept(file), "relpath": file.relative_to(path).as_posix()}
                for file in sorted(path.rglob("*"))
                if file.is_file()
            ]
            return self._stored(json.dumps(files).encode(), ".dir")
        return self._stored(path.read_bytes(), "")

    def _stored(self, content, suffix):
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
        file = self.root / "cache" / digest[:2] / digest[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """With the tag `first`: three seeds of two variants."""
    fake_results.reroot(monkeypatch, tmp_path)
    monkeypatch.setattr(paths, "REPORT_SOURCES", REPOSITORY / "report")
    monkeypatch.setattr(cache, "of_project", lambda: Cache(tmp_path / "cache"))
    git(tmp_path, "init", "-q", "-b", "main")
    made = Project(tmp_path)
    made.results()
    made.commit("first")
    return made


def read_results(*names):
    return read.results(revisions.resolve(names))


def test_a_revision_is_read_from_the_cache_and_not_from_the_folders_of_the_workspace(project):
    project.results(means={"cnn": 0.5, "kernel_5": 0.25})
    shutil.rmtree(project.root / "data")
    first, now = read_results("first", "workspace")
    assert [float(images.mean()) for images in now.runs["kernel_5"].correct.values()] == [0.25] * 3
    assert first.runs["kernel_5"].digest != now.runs["kernel_5"].digest
    assert list(now.runs) == ["cnn", "kernel_5"]
    assert now.runs["cnn"].curves["epoch"].max() == now.settings["protocol"]["epochs"]


def test_shift_consistency_is_read_where_the_probe_saw_the_nets_that_are_there_now(project):
    table = load_file(paths.PROBES / "cnn/consistency.safetensors")["consistency"]
    now = read_results("workspace")[0]
    assert now.margin == (2, 2)
    assert [arm.tolist() for arm in now.runs["cnn"].consistency.values()] == table.tolist()
    project.edit_lock(lambda stages: stages["probe@cnn"]["deps"][1].update(md5="0"))
    project.edit_lock(lambda stages: stages.pop("probe@kernel_5"))
    assert [runs.consistency for runs in read_results("workspace")[0].runs.values()] == [{}, {}]
    project.results(lambda raw: raw["protocols"]["default"].update(margin=0))
    assert read_results("workspace")[0].runs["cnn"].consistency == {}


def test_reading_changes_no_file(project):
    def files():
        return {
            path: path.stat().st_mtime_ns
            for path in project.root.rglob("*")
            if path.is_file() and ".git/" not in path.as_posix()
        }

    before, status = files(), git(project.root, "status", "--porcelain", "--ignored")
    terminal.text(compare(*read_results("first", "workspace")))
    assert files() == before
    assert git(project.root, "status", "--porcelain", "--ignored") == status


def test_another_margin_leaves_the_test_images_the_same_and_another_image_does_not(project):
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 28, 28), dtype=np.uint8)

    def made(margin, images):
        padded = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
        project.results(lambda raw: raw["protocol"].update(margin=margin), images=padded)
        return read_results("workspace")[0].test

    two, one = made(2, images), made(1, images)
    assert two.digest != one.digest
    assert side_by_side.why_unpaired(two, one) == ""
    images[39, 0, 0, 0] += 1
    assert "not the same ones" in side_by_side.why_unpaired(two, made(1, images))


def test_a_variant_that_the_protocol_left_is_not_read_though_the_lock_keeps_it(project):
    def without(raw):
        raw["protocol"]["variants"] = ["cnn"]

    kept = paths.read_json(paths.DVC_LOCK)["stages"]["train@kernel_5"]
    project.results(without)
    project.edit_lock(lambda stages: stages.update({"train@kernel_5": kept}))
    first, now = read_results("first", "workspace")
    assert list(now.runs) == ["cnn"]
    assert compare(first, now).pairs[0].alone == {"kernel_5": first}


def in_lock(change):
    return lambda project: project.edit_lock(change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda project: paths.DVC_LOCK.unlink(),
            "'workspace' has no dvc.lock: nothing was run there; run `dvc repro`",
        ),
        (
            lambda project: paths.PARAMS.write_text(paths.PARAMS.read_text() + "\n"),
            "the results of 'workspace' were made with another params.yaml",
        ),
        (in_lock(lambda stages: stages.pop("train@cnn")), "has no data/plan/train/cnn.json of stage train@cnn"),
        (
            in_lock(lambda stages: stages["train@cnn"]["deps"][0].update(md5="0")),
            "variant 'cnn' of 'workspace' was not trained with",
        ),
        (
            in_lock(lambda stages: stages["train@cnn"]["deps"][1].update(md5="0")),
            "variant 'cnn' of 'workspace' was not trained with",
        ),
        (
            in_lock(lambda stages: stages["train@cnn"]["outs"][0].update(md5="00.dir")),
            "DVC's cache lacks data/runs/cnn of 'workspace'",
        ),
        (lambda project: paths.DVC_LOCK.write_text("a: ["), "'workspace': dvc.lock is not valid YAML"),
    ],
)
def test_what_is_missing_is_named_with_what_to_run(change, said, project):
    change(project)
    with pytest.raises(StageError) as refused:
        read_results("first", "workspace")
    assert said in str(refused.value)
    assert "`dvc repro" in str(refused.value) or "dvc.lock" in said


def test_a_file_that_the_cache_has_lost_is_named_with_the_commands_that_bring_it_back(project):
    listing = Cache(project.root / "cache").listing(
        paths.read_json(paths.DVC_LOCK)["stages"]["train@cnn"]["outs"][0]["md5"]
    )
    lost = listing["predictions.safetensors"]
    (project.root / "cache" / lost[:2] / lost[2:]).unlink()
    said = r"DVC's cache lacks data/runs/cnn/predictions.safetensors of 'first'; `dvc fetch --all-commits` .* `git checkout first`"
    with pytest.raises(StageError, match=said):
        read_results("first")


def test_a_damaged_file_is_named(project):
    listing = Cache(project.root / "cache").listing(
        paths.read_json(paths.DVC_LOCK)["stages"]["train@cnn"]["outs"][0]["md5"]
    )
    damaged = listing["predictions.safetensors"]
    (project.root / "cache" / damaged[:2] / damaged[2:]).write_bytes(b"?")
    with pytest.raises(StageError, match=f"{damaged[2:]}, in DVC's cache, cannot be read"):
        read_results("first")


def experiment(project, name, start, tree="HEAD"):
    commit = git(project.root, "commit-tree", f"{tree}^{{tree}}", "-p", start, "-m", name)
    git(project.root, "update-ref", f"refs/exps/{start[:2]}/{start[2:]}/{name}", commit)
    return commit


def test_names_are_those_of_experiments_branches_tags_and_commits(project):
    head = git(project.root, "rev-parse", "HEAD")
    made = experiment(project, "warm-fig", head)
    found = revisions.resolve(["warm-fig", "main", "first", "HEAD", head[:8], "workspace"])
    assert [revision.commit for revision in found] == [made, head, head, head, head, None]
    assert [revision.is_experiment for revision in found] == [True, *[False] * 5]
    assert found[0].about.endswith(f", experiment on {head[:7]}")


def test_an_unknown_name_is_refused_with_close_ones(project):
    experiment(project, "warm-fig", git(project.root, "rev-parse", "HEAD"))
    with pytest.raises(StageError) as refused:
        revisions.resolve(["warm-fog"])
    assert str(refused.value) == (
        "'warm-fog' is neither an experiment nor a git revision (did you mean 'warm-fig'?); there are experiments: warm-fig; git: main, first; workspace"
    )
    with pytest.raises(StageError, match="did you mean 'workspace'"):
        revisions.resolve(["workspaces"])
    with pytest.raises(StageError, match="neither an experiment"):
        revisions.resolve(["--all"])


def test_of_experiments_with_one_name_the_one_that_started_from_head_is_meant(project):
    old = git(project.root, "rev-parse", "HEAD")
    project.commit("second")
    head = git(project.root, "rev-parse", "HEAD")
    experiment(project, "twin", old)
    mine = experiment(project, "twin", head)
    assert revisions.resolve(["twin"])[0].commit == mine
    project.commit("third")
    with pytest.raises(StageError, match="2 experiments are named 'twin'; name one by its commit"):
        revisions.resolve(["twin"])


def test_outside_git_it_says_so(tmp_path, monkeypatch):
    fake_results.reroot(monkeypatch, tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StageError, match="is not a git repository"):
        revisions.resolve(["HEAD", "workspace"])


def test_help_names_the_defaults():
    shown = subprocess.run(
        [sys.executable, "-m", "stages.tools.compare", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "data/compare/index.html" in shown.stdout
    assert "workspace" in shown.stdout


# After a real run


@pytest.fixture(scope="module")
def experimented(tmp_path_factory):
    """A clone with results at HEAD, and an experiment in which one variant's kernel is larger; copy it, do not change it."""
    workspace = clone(tmp_path_factory.mktemp("compared"))
    workspace.repro("collect")
    for command in (["add", "dvc.lock", "data/results/metrics.json"], ["commit", "-qm", "Results"]):
        git(workspace.folder, *command)
    change = "variants.kernel_1.run.architecture.kernel=2"
    code, output = workspace.run("dvc", "exp", "run", "--temp", "--name", "larger", "--set-param", change, "collect")
    assert code == 0, output
    return workspace


@pytest.mark.slow
def test_an_experiment_is_compared_with_head_and_only_the_variant_that_it_changes_differs(experimented):
    status = git(experimented.folder, "status", "--porcelain")
    code, output = experimented.run("python", "-m", "stages.tools.compare", "HEAD", "larger")
    assert code == 0, output
    words = " ".join(output.split())
    assert "variants.kernel_1.run.architecture.kernel 1 2 " in words, output
    assert (
        "Both have 3 variants. The runs of 2 are the same, byte for byte (cnn, fully_connected). The rest, seen from larger: 1 is "
        in words
    )
    assert output.rstrip().endswith("compare: data/compare/index.html")
    assert "kernel_1" in experimented.read("data/compare/index.html")
    assert git(experimented.folder, "status", "--porcelain") == status


@pytest.mark.slow
def test_the_difference_is_that_of_the_two_metrics_files(experimented):
    _, output = experimented.run("python", "-m", "stages.tools.compare", "HEAD", "larger")
    files = [
        git(experimented.folder, "show", f"{revision}:data/results/metrics.json")
        for revision in ("HEAD", sha(experimented, "larger"))
    ]
    accuracies = [json.loads(file)["kernel_1"]["accuracy"] for file in files]
    row = next(line.split() for line in output.splitlines() if line.startswith("kernel_1 "))
    assert [float(row[1]), float(row[4])] == [round(100 * value, 2) for value in accuracies]
    assert float(row[7].replace("−", "-")) == pytest.approx(100 * (accuracies[1] - accuracies[0]), abs=0.01)


@pytest.mark.slow
def test_head_and_its_own_workspace_do_not_differ(experimented):
    code, output = experimented.run("python", "-m", "stages.tools.compare")
    assert code == 0, output
    assert "Nothing differs: the settings, the code and the runs are the same." in output


@pytest.mark.slow
def test_an_unknown_revision_is_one_message(experimented):
    code, output = experimented.run("python", "-m", "stages.tools.compare", "largr")
    assert code == 1
    assert output.startswith("'largr' is neither an experiment nor a git revision (did you mean 'larger'?)")
    assert len(output.splitlines()) == 1


def sha(workspace, name):
    lines = git(workspace.folder, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    return next(line.split()[0] for line in lines if line.endswith(f"/{name}"))
