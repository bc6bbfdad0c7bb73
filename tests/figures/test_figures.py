"""The whole stage, from invented results of every kind of run: what it writes, how it looks, and what it refuses."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import fake_results
import numpy as np
import pandas as pd
import pytest
from fake_results import REPOSITORY, RUNS, reached, results_of, settings, three
from matplotlib.text import Text
from ruamel.yaml import YAML

from stages.figures import (
    accuracy,
    costs,
    families,
    family_pictures,
    ladder,
    learning,
    names,
    scoreboard,
    shifts,
    topics,
)
from stages.figures.results import load
from stages.shared.drawing import numbers, style
from stages.shared.stage_command import StageError

pytestmark = pytest.mark.slow


def draw(name, drawn=topics.TOPICS):
    """Write what these topics make of one of RUNS: path below data/figures → bytes, and figure → (size, texts).

    size: width and height in inches. texts: (text, its box in points) of all that is level or upright.
    """
    layouts, boxes, draw_text, save = {}, {}, Text.draw, style.save

    def record(text, renderer, *arguments, **options):
        if text.get_visible() and text.get_text().strip() and text.get_rotation() in (0, 90):
            boxes[text] = text.get_text(), text.get_window_extent(renderer)  # of the last time that it is drawn
        return draw_text(text, renderer, *arguments, **options)

    def save_and_record(figure, path):
        boxes.clear()
        save(figure, path)
        layouts[path.stem] = tuple(figure.get_size_inches()), list(boxes.values())

    style.use_style()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(topics, "TOPICS", drawn)
        patch.setattr(style, "save", save_and_record)
        patch.setattr(Text, "draw", record)
        topics.write(results_of(name), Path(folder))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}, layouts


drawing = cache(draw)
FIGURES = "accuracy answer calibration confusion confusion-differences cost feature-maps fields filters forest gallery"
FIGURES += " convolution-aliasing convolution-fields convolution-matrices convolution-padding convolution-slide"
FIGURES += " convolution-windows scoreboard leaks learning-curves lengths rates roadmap shift sizes structure try-it"
TABLES = (
    "at-scale.md "
    "convergence.csv convergence.md diverged.md fields.csv fields.md hypotheses.csv hypotheses.md history.md lengths.md"
)
TABLES += " own_nets.md probes.csv probes.md results.csv results.md"
FILES = {f"figures/{name}.svg" for name in FIGURES.split()} | {f"tables/{name}" for name in TABLES.split()}
FILES |= {"answer.md", "facts.yml", "families.md", "families-numbers.md", "replication.md", "scoreboard.md"}
FILES |= {"try-it.json"} | {f"{name}.md" for name in ("at-scale", "few", "lengths", "outcomes", "rates")}
# What each run cannot draw. Runs that are not named here draw nothing that these do not.
SEVERAL_NEEDED = {"lengths", "forest", "roadmap", "scoreboard", "structure", "sizes", "rates", "confusion-differences"}
NOTES = {
    "default": {"rates"},
    "signal": {"lengths", "structure", "sizes", "rates"},
    "MLP alone": SEVERAL_NEEDED | {"feature-maps", "leaks"},
    "one seed": {"lengths", "structure", "sizes", "rates"},
    "no margin": {"lengths", "shift", "structure", "sizes", "rates"},
    "100 classes, RGB": {"lengths", "structure", "sizes", "rates", "confusion-differences"},
    "no family": {"lengths", "scoreboard", "structure", "sizes", "rates", "confusion-differences"},
    "a class never right": {"lengths", "structure", "sizes", "rates", "confusion-differences"},
    "perfect": {"lengths", "gallery", "structure", "sizes", "rates", "confusion-differences"},
}


def assert_readable(layouts):
    """No text covers another or leaves the figure, and no figure the page."""
    for figure, ((width, height), texts) in layouts.items():
        assert (width, height <= style.TALLEST) == (style.WIDTH, True), figure
        for (text, box), (other_text, other_box) in combinations(texts, 2):
            assert not box.padded(-0.5).overlaps(other_box.padded(-0.5)), f"{figure}: {text!r} and {other_text!r}"
        for text, box in texts:
            inside = min(box.x0, box.y0, 72 * width - box.x1, 72 * height - box.y1)
            assert inside >= -1, f"{figure}: {text!r}"


def pictures_of(results):
    """The files of the families' small pictures."""
    drawn = [key for key in results.families if family_pictures.kind_of(results, key)]
    return {f"figures/picture-{key}.svg" for key in drawn if family_pictures.panels_of(results, key)}


@pytest.mark.parametrize("name", ["sixty", "tuning"])  # of sixty, the other topics draw what they draw by default
def test_no_text_covers_another_or_leaves_the_figure_or_the_page(name):
    assert_readable(draw(name, (accuracy, costs, learning) if name == "sixty" else topics.TOPICS)[1])


@pytest.mark.parametrize("name", NOTES)
def test_every_file_exists_can_be_read_and_is_a_note_where_nothing_can_be_drawn(name):
    """A note is 0.7 inches high, which no figure is."""
    compared, (files, layouts) = results_of(name).families, drawing(name)
    of_families = {f"figures/family-{key}.svg" for key in compared}
    of_families |= {f"tables/family-{key}.{ending}" for key in compared for ending in ("md", "csv")}
    of_families |= pictures_of(results_of(name))
    notes = {path for path, text in files.items() if b'height="50.4pt"' in text}
    of_lengths = set() if "figures/lengths.svg" in notes else {"tables/lengths.csv"}
    pages = {f"figures/{page}.svg" for page, _ in scoreboard.figures(results_of(name))}
    assert files.keys() == FILES | of_families | of_lengths | pages
    assert notes == {f"figures/{figure}.svg" for figure in NOTES[name] | {"try-it"}}  # invented runs have no weights
    assert_readable(layouts)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "sixty"])  # whose sentences are those of the default
def test_every_reference_of_the_texts_resolves_and_none_is_defined_twice(name):
    results = results_of(name)
    texts = {path: text for path, text in topics.texts(results).items() if path.endswith(".md")}
    chapter = texts["families.md"]
    repeated = ("tables/family", "tables/published")  # also part of families-numbers.md and replication.md
    included = [text for path, text in texts.items() if not path.startswith(repeated)]
    drawn = {f"figures/family-{key}.svg" for key in results.families} | pictures_of(results)
    assert set(re.findall(r"\]\((figures/.*?)\)", chapter)) == drawn
    ids = [identifier for text in included for identifier in re.findall(r"\{#([\w-]+)", text)]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"@([\w-]+)", chapter)) <= set(ids)
    assert "nan" not in "".join(included)
    if not results.families:
        assert chapter == "No family of variants has two levels in this run, so there is nothing to compare.\n"


def test_writing_again_gives_the_same_bytes_and_the_facts_are_yaml_that_reads_as_they_are():
    files, _ = drawing("signal")
    assert draw("signal")[0] == files
    facts = topics.facts(results_of("signal"))
    assert YAML(typ="safe", pure=True).load(files["facts.yml"].decode()) == {"facts": facts}


def test_a_variant_has_one_colour_in_every_figure_and_every_protocol():
    results, quick = results_of("default"), results_of("quick")
    colours = {variant: results.names.colour(variant) for variant in results.variants.index}
    assert len(set(colours.values())) == len(colours)
    assert {variant: quick.names.colour(variant) for variant in quick.variants.index}.items() <= colours.items()
    assert {variant: accuracy.row(results, variant, "").colour for variant in colours} == colours
    assert {point.colour for point in costs.points(results, "macs")} == {colours[net] for net in results.nets}
    panel = learning.learning_curves(results).axes[0]
    assert [line.get_color() for line in panel.lines] == [colours[key] for key in results.names.levels("connectivity")]


def curves(**means):
    """Columns variant, epoch and mean, from the means of each epoch."""
    rows = [(variant, epoch, mean) for variant, values in means.items() for epoch, mean in enumerate(values, 1)]
    return pd.DataFrame(rows, columns=["variant", "epoch", "mean"])


@pytest.mark.parametrize(
    ("measure", "most", "slow", "low", "high"),
    [
        # 60 points behind the best, where the others are within 10: the axis ends at 1.3 times 10.
        ("val_accuracy", [0.8, 0.9], [0.3, 0.4], 90 - 1.3 * 10, 90 + 0.06 * 13),
        # Not far behind: all is shown.
        ("val_accuracy", [0.8, 0.9], [0.75, 0.9], 90 - 1.06 * 15, 90 + 0.06 * 15.9),
        # A loss far above the others is cut at the top.
        ("train_loss", [1.0, 0.5], [2.5, 2.0], 0.5 - 0.06 * 0.65, 0.5 + 1.3 * 0.5),
    ],
)
def test_a_net_far_behind_does_not_flatten_the_learning_curves_of_the_others(measure, most, slow, low, high):
    table = curves(a=most, b=most, c=most, slow=slow)
    assert learning.axis_limits(table, measure) == pytest.approx((low, high))


def test_names_that_several_variants_share_bear_the_key(tmp_path):
    raw = settings(lambda raw: fake_results.only(raw, "cnn", "kernel_1", "kernel_5", "kernel_7", "padding_valid"))
    for variant, level in {"kernel_1": "valid", "kernel_5": "large", "kernel_7": "large"}.items():
        raw["variants"][variant]["families"]["kernel"] = level
    named = names.Names(fake_results.write_params(tmp_path, raw))
    levels = {"cnn": "3×3", "kernel_1": "valid", "kernel_5": "large (kernel_5)", "kernel_7": "large (kernel_7)"}
    assert named.levels("kernel") == levels
    assert named.nets_with_heads(["cnn", "kernel_1"]) == ["baseline", "Kernel size: valid"]
    assert named.nets_with_heads(["cnn"]) == ["CNN"]
    assert (named.label("cnn"), named.label("kernel_5")) == ("CNN (baseline)", "Kernel size: large (kernel_5)")
    assert (named.short("kernel_1"), named.short("padding_valid")) == ("Kernel size: valid", "Padding: valid")
    assert len({named.short(variant) for variant in raw["variants"]}) == 5


def test_the_pareto_front_by_hand():
    """(1, 0.5), (2, 0.7) and (4, 0.9) are on it; (2, 0.6) costs as much for less, and (3, 0.7) more for the same."""
    front = costs.pareto_front(np.array([4, 2, 1, 2, 3]), np.array([0.9, 0.6, 0.5, 0.7, 0.7]))
    assert front.tolist() == [2, 3, 0]


def test_every_difference_beyond_the_axis_has_an_arrow():
    near = {"kernel_1": 0.895, "kernel_5": 0.905, "kernel_7": 0.91, "depth_1": 0.895, "depth_3": 0.89}
    (axes,) = accuracy.forest(reached(cnn=0.9, **near, stride_2=0.875, global_average=0.4)).axes
    arrows = [line for line in axes.lines if line.get_marker() in "<>"]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert axes.get_xlim()[0] == pytest.approx(-1.3 * 1.393, rel=1e-3)  # five of seven reach 1 + 2.776 · √2/1,000
    marked = [(labels[int(line.get_ydata()[0])], line.get_marker()) for line in arrows]
    assert marked == [("Downsampling: stride 2", "<"), ("Connectivity: convolutional + global average", "<")]
    assert "beyond the axis" in axes.get_xlabel()
    (axes,) = accuracy.forest(reached(cnn=0.9, kernel_5=0.9)).axes  # no difference at all
    assert "beyond" not in axes.get_xlabel()


def test_the_map_is_the_mean_over_seeds_by_shift():
    results = results_of("signal")
    accuracies = shifts.accuracy_map(results, "cnn")
    assert accuracies.shape == (1, 5)
    two_right = results.shifts.query("variant == 'cnn' and dx == 2")["accuracy"]
    assert accuracies[0, 4] == pytest.approx(100 * two_right.mean())
    never_drawn = results.shifts.assign(accuracy=results.shifts["accuracy"].where(results.shifts["dx"] != 1))
    assert np.isnan(shifts.accuracy_map(replace(results, shifts=never_drawn), "cnn")[0]).tolist() == [0, 0, 0, 1, 0]


def test_the_csv_of_a_family_has_each_column_once_and_the_numbers_of_the_tables(tmp_path):
    results = results_of("default")
    texts = families.texts(results)
    (tmp_path / "kernel.csv").write_text(texts["tables/family-kernel.csv"])
    frame, text = pd.read_csv(tmp_path / "kernel.csv"), texts["tables/family-kernel.md"]
    assert not [name for name in frame.columns if name.endswith(("_x", "_y"))]
    assert frame["level"].tolist() == ["3×3", "1×1", "5×5", "7×7", "3×3, dilated by 2"]
    effect = results.effects.query("variant == 'kernel_7' and family == 'kernel'").iloc[0]
    row = frame[frame["variant"] == "kernel_7"].iloc[0]
    compared = ["difference", "low", "shift_high", "direction"]
    assert row[compared].tolist() == effect[compared].tolist()
    assert row["shift_consistency_high"] == results.variants.loc["kernel_7", "shift_consistency_high"]
    half, total = ((effect[f"{prefix}high"] - effect[f"{prefix}low"]) / 2 for prefix in ("", "total_"))
    cells = rf"{re.escape(numbers.points(effect['difference']))} ± {100 * half:.2f} \| +± {100 * total:.2f} \| +– \|$"
    assert re.search(cells, text, re.MULTILINE)
    assert text.count("{#tbl-") == 2  # neither is split


def test_the_road_goes_from_the_net_that_assumes_least_to_the_baseline_and_on_by_validation_accuracy():
    results = results_of("default")
    path = [("fully_connected", None), ("locally_connected", "fully_connected"), ("cnn", "locally_connected")]
    assert ladder.steps(results)[:3] == path
    further = dict(ladder.steps(results)[3:])
    assert set(further.values()) == {"cnn"}
    change_more_than_the_net = {"global_average_permuted", "cnn_again", "random_labels", "linear", "cnn_300"}
    assert not change_more_than_the_net & set(further)
    val = {key: results.mean(key, "val_accuracy").mean for key in ("kernel_1", "kernel_5", "kernel_7", "dilated_3")}
    assert [variant for variant in val if variant in further] == [max(val, key=val.get)]
    means = [results.mean(variant).mean for variant in further]
    assert means == sorted(means, reverse=True)


def test_the_road_without_a_weaker_net_is_the_baseline_and_what_it_leads_to():
    assert ladder.steps(reached(cnn=0.9, kernel_5=0.91, kernel_7=0.8)) == [("cnn", None), ("kernel_5", "cnn")]
    (axes,) = ladder.roadmap(reached(cnn=0.9, kernel_5=0.91)).axes
    assert [text.get_text() for text in axes.texts] == ["start", "+1.00 [0.61, 1.39]"]


def test_variants_and_levels_may_have_any_name(tmp_path, monkeypatch):
    """Names that a reader of CSV might take for numbers or nothing."""
    raw = settings(lambda raw: fake_results.only(raw, "cnn", "kernel_5", "kernel_7"))
    raw["variants"] = dict(zip(("1", "007", "2"), raw["variants"].values(), strict=True))
    raw["variants"]["007"]["families"], raw["variants"]["2"]["families"] = {"kernel": "NA"}, {"kernel": "2"}
    for protocol in raw["protocols"].values():
        protocol |= {"baseline": "1", "variants": ["1", "007", "2"]}
    for family in raw["families"].values():
        family["reference"] = "1"
    results = fake_results.collected(monkeypatch, tmp_path, raw, n_test=40)
    levels = results.effects.query("family == 'kernel'")[["variant", "level"]].to_numpy().tolist()
    assert levels == [["007", "NA"], ["2", "2"]]
    assert "**NA** " in families.numbers_chapter(results)


@pytest.fixture(scope="module")
def collected_root(tmp_path_factory):
    """Collected results of three variants, and figures of an earlier time."""
    folder = tmp_path_factory.mktemp("collected")
    with pytest.MonkeyPatch.context() as patch:
        fake_results.collected(patch, folder, settings(three), n_test=40)
    (folder / "data/figures").mkdir()
    (folder / "data/figures/old.svg").touch()
    return folder


@pytest.fixture
def root(collected_root, tmp_path, monkeypatch):
    """A copy that a test may change."""
    shutil.copytree(collected_root, tmp_path / "copy")
    fake_results.reroot(monkeypatch, tmp_path / "copy")
    return tmp_path / "copy"


def one_more(raw, variant, run):
    raw["variants"][variant] = {"families": {}, "run": run}
    raw["protocols"]["default"]["variants"].append(variant)


HYPOTHESES = "holds the hypotheses ['gap_original', 'kernel_5_no_better'], but the settings ask for []"
STALE = {
    "a variant more": (lambda raw: one_more(raw, "kernel_7", {"architecture": {"kernel": 7}}), "holds the variants"),
    "another order": (lambda raw: raw.update(variants=dict(reversed(raw["variants"].items()))), "holds the variants"),
    "no hypothesis": (lambda raw: None, HYPOTHESES),
}


@pytest.mark.parametrize("case", STALE)
def test_stale_results_are_refused(root, case):
    change, message = STALE[case]
    raw = settings(three)
    change(raw)
    with pytest.raises(StageError) as refused:
        load(fake_results.write_params(root, raw, {} if case == "no hypothesis" else None))
    assert message in str(refused.value)
    assert str(refused.value).endswith("; run `dvc repro collect`")


FILES_OF_STAGES = {"results/hypotheses.csv": "collect", "results/shifts.csv": "collect", "raw/dataset.json": "download"}
FILES_OF_STAGES |= {"prepared/constants.json": "prepare", "probes/kernel_5/seed_0/pictures.safetensors": "probe"}


@pytest.mark.parametrize(("file", "stage"), FILES_OF_STAGES.items())
def test_a_missing_file_is_named_with_the_stage_that_makes_it(root, file, stage):
    (root / "data" / file).unlink()
    with pytest.raises(StageError, match=f"^data/{file} is missing; `dvc repro {stage}` makes it$"):
        load(fake_results.params.load(root / "params.yaml"))


def test_the_stage_refuses_stale_results_and_keeps_the_old_figures(root):
    raw = settings(three)
    fake_results.seeds(2)(raw)
    fake_results.write_params(root, raw)
    command, environment = [sys.executable, "-m", "stages.figures"], os.environ | {"PIPELINE_ROOT": str(root)}
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    seeds = "data/results holds the seeds of cnn [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], but the settings ask for [0, 1]"
    assert ended.stderr.startswith(f"{seeds}; run ")
    assert [file.name for file in (root / "data/figures").iterdir()] == ["old.svg"]
