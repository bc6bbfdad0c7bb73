"""The report's figures and tables, drawn from invented results of every kind of run, and what `figures` refuses to draw."""

import os
import re
import subprocess
import sys
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import fake_results
import numpy as np
import pandas as pd
import pytest
from fake_results import REPOSITORY, RUNS, finished, reached, results_of, settings, three
from matplotlib.text import Text

from stages.figures import (
    chapter,
    confusion,
    cost,
    curves,
    dots,
    draw,
    hypotheses,
    inside,
    names,
    rates,
    results,
    roadmap,
    shift,
    sizes,
    structure,
    tables,
)
from stages.shared.drawing import numbers, style
from stages.shared.stage_command import StageError


@pytest.fixture(autouse=True)
def _style():
    style.use_style()
    yield
    style.plt.close("all")


def fresh(name):
    """File's name → bytes, of every figure of one of RUNS."""
    with TemporaryDirectory() as folder:
        draw.write(results_of(name), Path(folder, "figures"))
        return {file.name: file.read_bytes() for file in Path(folder, "figures").iterdir()}


drawn = cache(fresh)
STEMS = (
    "accuracy",
    "learning-curves",
    "cost",
    "confusion",
    "forest",
    "roadmap",
    "shift",
    "hypotheses",
    "structure",
    "sizes",
    "rates",
)
ALWAYS = {f"{stem}.svg" for stem in (*STEMS, *inside.FIGURES)}


@pytest.mark.parametrize("name", [name for name in RUNS if name != "sixty"])  # whose sentences are those of the default
def test_everything_is_written_and_every_reference_of_the_chapter_resolves(name, tmp_path):
    found = results_of(name)
    figures = {f"family-{key}.svg" for key in found.families}
    if name in (
        "one variant",
        "MLP alone",
        "one seed",
        "no margin",
        "signal",
        "100 classes, RGB",
        "no family",
    ):  # the others show nothing new
        assert drawn(name).keys() == ALWAYS | figures
    tables.write(found, tmp_path / "tables")
    text = chapter.families(found)
    assert set(re.findall(r"\]\(figures/(.*?)\)", text)) == figures
    written = [(tmp_path / f"tables/{stem}.md").read_text() for stem in ("results", "hypotheses", "convergence")]
    ids = [name for part in (text, *written) for name in re.findall(r"\{#([\w-]+)", part)]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"@([\w-]+)", text)) <= set(ids)
    assert "nan" not in text
    if not found.families:
        assert text == "No family of variants has two levels in this run, so there is nothing to compare.\n"


def test_drawing_again_writes_the_same_bytes():
    again = fresh("signal")
    assert again.keys() == ALWAYS | {
        f"family-{key}.svg" for key in ("connectivity", "structure", "kernel")
    }  # and none that varies nothing
    assert again == drawn("signal")


NOTES = {
    "one variant": {"forest.svg", "roadmap.svg", "hypotheses.svg", "structure.svg", "sizes.svg", "rates.svg"},
    "MLP alone": {"forest.svg", "roadmap.svg", "hypotheses.svg", "structure.svg", "sizes.svg", "rates.svg"},
    "no margin": {"shift.svg", "structure.svg", "sizes.svg", "rates.svg"},
    "signal": {"structure.svg", "sizes.svg", "rates.svg"},
}


@pytest.mark.parametrize("name", NOTES)
def test_what_cannot_be_drawn_is_a_note_that_says_why(name):
    """A note is 0.7 inches high, which no figure is."""
    of_probes = {f"{stem}.svg" for stem in inside.FIGURES}
    assert {file for file, text in drawn(name).items() if b'height="50.4pt"' in text} - of_probes == NOTES[name]


def figures_of(found):
    yield "accuracy", dots.accuracy(found)
    yield "cost", cost.cost(found)
    yield "learning curves", curves.learning_curves(found)
    if len(found.variants) > 60:  # the others do not grow with the variants, or as accuracy does
        return
    yield "forest", dots.forest(found)
    yield "roadmap", roadmap.roadmap(found)
    yield "confusion", confusion.confusion(found)
    yield "shift", shift.shift(found)
    yield "hypotheses", hypotheses.forest(found)
    for what, of, made in (
        ("structure", structure, structure.structure),
        ("sizes", sizes, sizes.sizes),
        ("rates", rates, rates.rates),
    ):
        if of.arms(found):
            yield what, made(found)
    yield "family", dots.family(found, found.families[0])


@pytest.mark.parametrize("name", ["default", "sixty", "tuning"])
def test_no_text_covers_another_or_leaves_the_figure_or_the_page(name, monkeypatch):
    drawn = []
    original = Text.draw

    def record(text, renderer, *arguments, **options):
        if text.get_visible() and text.get_text().strip() and text.get_rotation() in (0, 90):
            drawn.append((text.get_text(), text.get_window_extent(renderer)))
        return original(text, renderer, *arguments, **options)

    monkeypatch.setattr(Text, "draw", record)
    found = (
        finished(settings(lambda raw: raw.update(protocol=raw["protocols"]["tuning"])), n_test=200)
        if name == "tuning"
        else results_of(name)
    )
    for what, figure in figures_of(found):
        drawn.clear()
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        assert (width, height <= style.TALLEST) == (style.WIDTH, True)
        for (one, box), (other, another) in combinations(drawn, 2):
            assert not box.padded(-0.5).overlaps(another.padded(-0.5)), f"{what}: {one!r} and {other!r}"
        for text, box in drawn:
            assert box.x0 >= -1, f"{what}: {text!r}"
            assert box.y0 >= -1, f"{what}: {text!r}"
            assert box.x1 <= figure.bbox.x1 + 1, f"{what}: {text!r}"
            assert box.y1 <= figure.bbox.y1 + 1, f"{what}: {text!r}"
        style.plt.close(figure)


def test_a_variant_has_one_colour_in_every_figure_and_every_protocol():
    found, quick = results_of("default"), results_of("quick")
    own = {key: found.names.colour(key) for key in found.variants.index}
    assert len(set(own.values())) == len(own)
    assert {key: quick.names.colour(key) for key in quick.variants.index}.items() <= own.items()
    assert {key: dots.row(found, key, "", "accuracy").colour for key in own} == own
    assert {point.colour for point in cost.points(found, "macs")} == {own[key] for key in found.nets}
    panel = curves.learning_curves(found).axes[0]
    assert [line.get_color() for line in panel.lines] == [own[key] for key in found.names.levels("connectivity")]


def curve(variant, *means):
    return [{"variant": variant, "epoch": epoch, "mean": mean} for epoch, mean in enumerate(means, 1)]


@pytest.mark.parametrize(
    ("slow", "low", "high"),
    [
        ([0.3, 0.4], 90 - 1.3 * 10, 90 + 0.06 * 13),  # 60 points behind the best, where the others are within 10
        ([0.75, 0.9], 90 - 1.06 * 15, 90 + 0.06 * 15.9),  # not far: all is shown
    ],
)
def test_a_net_far_behind_does_not_flatten_the_learning_curves_of_the_others(slow, low, high):
    rows = [row for key in "abc" for row in curve(key, 0.8, 0.9)] + curve("slow", *slow)
    assert curves._limits(pd.DataFrame(rows), "val_accuracy") == pytest.approx((low, high))


def test_a_loss_far_above_the_others_is_cut_at_the_top():
    rows = [row for key in "abc" for row in curve(key, 1.0, 0.5)] + curve("slow", 2.5, 2.0)
    assert curves._limits(pd.DataFrame(rows), "train_loss") == pytest.approx((0.5 - 0.06 * 0.65, 0.5 + 1.3 * 0.5))


def test_names_that_several_variants_share_bear_the_key(tmp_path):
    raw = settings(lambda raw: fake_results.only(raw, "cnn", "kernel_1", "kernel_5", "kernel_7", "padding_valid"))
    for key, level in {"kernel_1": "valid", "kernel_5": "large", "kernel_7": "large"}.items():
        raw["variants"][key]["families"]["kernel"] = level
    made = names.Names(fake_results.write_params(tmp_path, raw))
    assert made.levels("kernel") == {
        "cnn": "3×3",
        "kernel_1": "valid",
        "kernel_5": "large (kernel_5)",
        "kernel_7": "large (kernel_7)",
    }
    assert made.kinds(["cnn", "kernel_1"]) == ["baseline", "Kernel size: valid"]
    assert made.kinds(["cnn"]) == ["CNN"]
    assert (made.label("cnn"), made.label("kernel_5")) == ("CNN (baseline)", "Kernel size: large (kernel_5)")
    assert (made.short("kernel_1"), made.short("padding_valid")) == ("Kernel size: valid", "Padding: valid")
    assert len({made.short(key) for key in raw["variants"]}) == 5


def test_the_pareto_front_by_hand():
    """(1, 0.5) and (2, 0.7) are on it; (2, 0.6) costs as much for less, (3, 0.7) more for the same, (4, 0.9) is on it."""
    front = cost.pareto_front(np.array([4, 2, 1, 2, 3]), np.array([0.9, 0.6, 0.5, 0.7, 0.7]))
    assert front.tolist() == [2, 3, 0]


def test_every_difference_beyond_the_axis_has_an_arrow():
    found = reached(
        cnn=0.9,
        kernel_1=0.895,
        kernel_5=0.905,
        kernel_7=0.91,
        depth_1=0.895,
        depth_3=0.89,
        stride_2=0.875,
        global_average=0.4,
    )
    (axes,) = dots.forest(found).axes
    arrows = [line for line in axes.lines if line.get_marker() in "<>"]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert axes.get_xlim()[0] == pytest.approx(-1.3)  # five of seven reach one point, and 0.3 further
    marked = [(labels[int(line.get_ydata()[0])], line.get_marker()) for line in arrows]
    assert marked == [("Downsampling: stride 2", "<"), ("Connectivity: convolutional + global average", "<")]
    assert "beyond the axis" in axes.get_xlabel()
    (axes,) = dots.forest(reached(cnn=0.9, kernel_5=0.9)).axes  # no difference at all
    assert "beyond" not in axes.get_xlabel()


def test_a_class_without_images_has_a_row_of_zeros():
    assert confusion.row_shares(np.array([[3, 1], [0, 0]])).tolist() == [[0.75, 0.25], [0, 0]]


def test_the_map_is_the_mean_over_seeds_by_shift():
    made = shift.accuracy_map(results_of("signal"), "cnn")
    table = results_of("signal").shifts["cnn"]
    assert made.shape == (1, 5)
    assert made[0, 4] == pytest.approx(100 * table[table["dx"] == 2]["accuracy"].mean())


def test_the_csv_of_a_family_has_each_column_once_and_the_numbers_of_the_tables(tmp_path):
    found = results_of("default")
    tables.write(found, tmp_path / "tables")
    frame = pd.read_csv(tmp_path / "tables/family-kernel.csv")
    assert not [name for name in frame.columns if name.endswith(("_x", "_y"))]
    assert frame["level"].tolist() == ["3×3", "1×1", "5×5", "7×7", "3×3, dilated by 2"]
    effect = found.effects.query("variant == 'kernel_7' and family == 'kernel'").iloc[0]
    row = frame[frame["variant"] == "kernel_7"].iloc[0]
    assert [row[name] for name in ("difference", "low", "shift_high", "direction")] == [
        effect[name] for name in ("difference", "low", "shift_high", "direction")
    ]
    assert row["shift_consistency_high"] == found.variants.loc["kernel_7", "shift_consistency_high"]
    text = (tmp_path / "tables/family-kernel.md").read_text()
    half, total = ((effect[f"{prefix}high"] - effect[f"{prefix}low"]) / 2 for prefix in ("", "total_"))
    assert re.search(
        rf"{re.escape(numbers.points(effect['difference']))} ± {100 * half:.2f} \| +± {100 * total:.2f} \| +– \|$",
        text,
        re.MULTILINE,
    )
    assert text.count("{#tbl-") == 2  # neither is split


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Collected results of three variants, and figures of an earlier time."""
    fake_results.collected(monkeypatch, tmp_path, settings(three), n_test=40)
    (tmp_path / "data/figures").mkdir()
    (tmp_path / "data/figures/old.svg").touch()
    return tmp_path


def one_more(raw, key, run):
    raw["variants"][key] = {"families": {}, "run": run}
    raw["protocol"]["variants"].append(key)


STALE = {
    "a variant more": (lambda raw: one_more(raw, "kernel_7", {"architecture": {"kernel": 7}}), "holds the variants"),
    "another order": (lambda raw: raw.update(variants=dict(reversed(raw["variants"].items()))), "holds the variants"),
    "fewer seeds": (
        fake_results.seeds(2),
        "holds the seeds of cnn [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], but the settings ask for [0, 1]",
    ),
    "no hypothesis": (None, "holds the hypotheses ['gap_original', 'kernel_5_no_better'], but the settings ask for []"),
}


@pytest.mark.parametrize("case", STALE)
def test_stale_results_are_refused(root, case):
    change, said = STALE[case]
    raw = settings(three)
    if change is not None:
        change(raw)
    with pytest.raises(StageError) as refused:
        results.load(fake_results.write_params(root, raw, {} if case == "no hypothesis" else None))
    assert said in str(refused.value)
    assert str(refused.value).endswith("; run `dvc repro collect`")


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("results/hypotheses.csv", "collect"),
        ("probes/kernel_5/shift.csv", "probe@kernel_5"),
        ("raw/dataset.json", "download"),
        ("prepared/constants.json", "prepare"),
    ],
)
def test_a_missing_file_is_named_with_the_stage_that_makes_it(root, file, stage):
    (root / "data" / file).unlink()
    with pytest.raises(StageError, match=f"^data/{file} is missing; `dvc repro {stage}` makes it$"):
        results.load(fake_results.params.load(root / "params.yaml"))


def test_the_road_goes_from_the_net_that_assumes_least_to_the_baseline_and_on_by_validation_accuracy():
    found = results_of("default")
    path = [("fully_connected", None), ("locally_connected", "fully_connected"), ("cnn", "locally_connected")]
    assert roadmap.steps(found)[:3] == path
    further = dict(roadmap.steps(found)[3:])
    assert set(further.values()) == {"cnn"}
    assert not {"global_average_permuted", "cnn_again", "random_labels", "linear", "cnn_300"} & set(
        further
    )  # they change more than the net
    val = {key: found.mean(key, "val_accuracy").mean for key in ("kernel_1", "kernel_5", "kernel_7", "dilated_3")}
    assert [key for key in val if key in further] == [max(val, key=val.get)]
    means = [found.mean(key).mean for key in further]
    assert means == sorted(means, reverse=True)


def test_the_road_without_a_weaker_net_is_the_baseline_and_what_it_leads_to():
    assert roadmap.steps(reached(cnn=0.9, kernel_5=0.91, kernel_7=0.8)) == [("cnn", None), ("kernel_5", "cnn")]
    axes = roadmap.roadmap(reached(cnn=0.9, kernel_5=0.91)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["start", "+1.00 [1.00, 1.00]"]


def test_variants_and_levels_may_have_any_name(tmp_path, monkeypatch):
    """Names that a reader of CSV might take for numbers or nothing."""
    raw = settings(lambda raw: fake_results.only(raw, "cnn", "kernel_5", "kernel_7"))
    raw["variants"] = dict(zip(("1", "007", "2"), raw["variants"].values(), strict=True))
    raw["variants"]["007"]["families"], raw["variants"]["2"]["families"] = {"kernel": "NA"}, {"kernel": "2"}
    for protocol in raw["protocols"].values():
        protocol |= {"baseline": "1", "variants": ["1", "007", "2"]}
    for family in raw["families"].values():
        family["reference"] = "1"
    found = fake_results.collected(monkeypatch, tmp_path, raw, n_test=40)
    assert found.effects.query("family == 'kernel'")[["variant", "level"]].to_numpy().tolist() == [
        ["007", "NA"],
        ["2", "2"],
    ]
    assert "**NA** " in chapter.families(found)


def test_the_stage_refuses_stale_results_and_keeps_the_old_figures(root):
    raw = settings(three)
    fake_results.seeds(2)(raw)
    fake_results.write_params(root, raw)
    command = [sys.executable, "-m", "stages.figures"]
    ended = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"PIPELINE_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("data/results holds the seeds of cnn")
    assert [file.name for file in (root / "data/figures").iterdir()] == ["old.svg"]
