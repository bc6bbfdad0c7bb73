"""Numbers, pipe tables, the style, rows of dots and the placing of labels."""

import dataclasses
import io
import json
import math
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pypandoc
import pytest
from matplotlib.colors import to_rgb
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stages.shared.drawing import numbers, pictures, placing, rows, style, tables

INF = math.inf
NAN = math.nan


pytestmark = pytest.mark.usefixtures("report_style")


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        (numbers.percent(0.9162), "91.62"),
        (numbers.percent(1), "100.00"),
        (numbers.percent(-0.0123), "−1.23"),
        (numbers.percent(-0.00001), "0.00"),
        (numbers.percent(-0.0001), "−0.01"),
        (numbers.percent(0.5, 0), "50"),
        (numbers.percent(NAN), "–"),
        (numbers.percent_sign(0.0216, 1), "2.2\u00a0%"),
        (numbers.points(0.0042), "+0.42"),
        (numbers.points(-0.0042), "−0.42"),
        (numbers.points(0.0), "0.00"),
        (numbers.points(0.00004), "0.00"),
        (numbers.points(-0.00004), "0.00"),
        (numbers.points(NAN), "–"),
        (numbers.interval(-0.00001, 0.0074), "[0.00, 0.74]"),
        (numbers.interval(-0.0049, -0.00001), "[−0.49, 0.00]"),
        (numbers.interval(NAN, NAN), "[–, –]"),
        (numbers.points_interval(-0.0114, -0.0137, -0.0091), "−1.14 [−1.37, −0.91]"),
        (numbers.points_interval(0.0042, NAN, NAN), "+0.42 [–, –]"),
        (numbers.points_interval(NAN, NAN, NAN), "–"),
        (numbers.half_width(0.001, 0.0074), "± 0.32"),
        (numbers.half_width(NAN, NAN), "± –"),
        (numbers.points_half_width(0.0042, 0.001, 0.0074), "+0.42 ± 0.32"),
        (numbers.points_half_width(NAN, NAN, NAN), "–"),
        (numbers.p_value(0.0039), "0.004"),
        (numbers.p_value(0.0004), "<0.001"),
        (numbers.p_value(1.0), "1.000"),
        (numbers.p_value(NAN), "–"),
        (numbers.plain(0.0412), "+0.041"),
        (numbers.plain(-0.0412), "−0.041"),
        (numbers.plain(0.0001), "0.000"),
        (numbers.plain_interval(-0.01, 0.0702), "[−0.010, 0.070]"),
        (numbers.plain_interval(NAN, NAN), "[–, –]"),
        (numbers.mean_sd(0.9054, 0.0009), "90.54 ± 0.09"),
        (numbers.mean_sd(0.9054, NAN), "90.54 ± –"),
        (numbers.mean_sd(NAN, NAN), "–"),
        (numbers.count(421642.0), "421,642"),
        (numbers.count(NAN), "–"),
        (numbers.short_count(0), "0"),
        (numbers.short_count(999), "999"),
        (numbers.short_count(999.6), "1k"),
        (numbers.short_count(421642), "422k"),
        (numbers.short_count(999_600), "1M"),
        (numbers.short_count(1_234_567), "1.23M"),
        (numbers.short_count(5e9), "5G"),
        (numbers.short_count(1e15), "1000T"),
        (numbers.short_count(NAN), "–"),
        (numbers.size(14.0, 5.0), "14×5"),
        (numbers.size(NAN, 5.0), "–"),
        (numbers.plural(1, "seed"), "1 seed"),
        (numbers.plural(0, "seed"), "0 seeds"),
        (numbers.plural(1200, "image"), "1,200 images"),
    ],
)
def test_a_number_reads_as(drawn, text):
    assert drawn == text


AWKWARD = [
    "a | b", "$x_1$ costs $5", "*stars* and _lines_", "<b>bold</b> & &amp;", "[link](x) ![image](y)",
    "{{< var x >}} {#id}", "`code` ~sub~ ^sup^", "@cite #tag", "back\\slash \\$", "-- and --- and ...",
    "\"double\" and 'single'", "1. one", "+ plus", "- minus", "= equals", "== two", "/ slash: x", "-1",
    "+0.42 [0.10, 0.74]",
]  # fmt: skip


def strings(block):
    """The text of a piece of pandoc's JSON, with plain spaces; a construct other than plain text fails."""
    spaces = {"Space": " ", "SoftBreak": " "}
    words = [inline["c"] if inline["t"] == "Str" else spaces[inline["t"]] for inline in block]
    return "".join(words).replace("\u00a0", " ")


def test_prose_and_tables_show_every_text_as_it_stands_and_typst_reads_no_list_or_heading():
    prose = "\n\n".join(f"x{tables.escape(text)}" for text in AWKWARD)
    frame = pd.DataFrame({"Name": [tables.cell(text) for text in AWKWARD], "n": ["1"] * len(AWKWARD)})
    markdown = tables.pipe_tables(frame, "tbl-x", "A caption.")
    document = json.loads(pypandoc.convert_text(f"{prose}\n\n{markdown}", "json", format="markdown"))
    *paragraphs, table = document["blocks"]
    assert [strings(block["c"]) for block in paragraphs] == [f"x{text}" for text in AWKWARD]
    body = table["c"][4][0][3]
    assert [strings(row[1][0][4][0]["c"]) for row in body] == AWKWARD
    typst = pypandoc.convert_text(markdown, "typst", format="markdown", extra_args=["--columns=9999"])
    cells = re.findall(r"^ +\[(.*)\], \[1\],$", typst, re.MULTILINE)
    assert len(cells) == len(AWKWARD)
    assert [text for text in cells if re.match(r"([+/-]|=+|\d+\.)\s", text)] == []
    assert tables.cell(" two\n lines ") == "two lines"


def test_a_wide_table_is_split_and_every_part_repeats_the_first_column():
    frame = pd.DataFrame({"Level": ["a", "b"]} | {f"column {i}": [str(i), "x" * 12] for i in range(5)})
    text = tables.pipe_tables(frame, "tbl-x", "Caption", width=40)  # 5 + 2 beside, then 12 + 2 a column: two fit
    parts = [part for part in text.split("\n\n") if part.startswith("|")]
    headings = [[cell.strip() for cell in part.splitlines()[0].strip("|").split("|")] for part in parts]
    assert headings == [["Level", "column 0", "column 1"], ["Level", "column 2", "column 3"], ["Level", "column 4"]]
    assert all(part.splitlines()[2].startswith("| a ") for part in parts)
    assert re.findall(r"^: (.*)$", text, re.MULTILINE) == [
        "Caption {#tbl-x}",
        "Caption (continued) {#tbl-x--2}",
        "Caption (continued) {#tbl-x--3}",
    ]


@pytest.mark.parametrize(
    ("cells", "width", "first", "parts"),
    [
        # 22 + 4 + 8 and two beside each make 40; a backslash is not read.
        (("a" * 22, "1234", "12345678"), 40, None, 1),
        (("a" * 23, "1234", "12345678"), 40, None, 2),
        ((r"\|" * 22, "1234", "12345678"), 40, None, 1),
        # The first column wraps at 36, and 36 + 4 + 8 + 6 make 54.
        (("a" * 300, "1234", "12345678"), 54, None, 1),
        (("a" * 300, "1234", "12345678"), 53, None, 2),
        # 40 wraps at 36 or at 24; with 40 beside it and six between, the row takes 82 or 70 characters.
        (("a" * 40, "b" * 20, "c" * 20), 70, None, 2),
        (("a" * 40, "b" * 20, "c" * 20), 70, 24, 1),
    ],
)
def test_the_width_is_that_of_the_text_as_read_with_a_first_column_that_wraps(cells, width, first, parts):
    frame = pd.DataFrame({"FGH"[i]: [cell] for i, cell in enumerate(cells)})
    options = {} if first is None else {"first": first}
    assert tables.pipe_tables(frame, "tbl-x", "C", width, **options).count("{#tbl-x") == parts


def cloud(seed, n, same=0, inches=3.0):
    """n random points of which the last `same` lie on one another, on axes of a fixed layout."""
    rng = np.random.default_rng(seed)
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, inches))
    places = np.vstack([rng.normal(0, 1, (n - same, 2)), np.zeros((same, 2))])
    axes.scatter(*places.T)
    axes.set_xlim(-4, 4)
    axes.set_ylim(-4, 4)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    points = [placing.Point(x, y, y - 0.1, y + 0.1, f"label {i}", style.BLUE) for i, (x, y) in enumerate(places)]
    return figure, axes, points


def overlapping(boxes, pixels=0.1):
    return [
        (a, b)
        for (a, one), (b, other) in combinations(boxes.items(), 2)
        if one.padded(-pixels).overlaps(other.padded(-pixels))
    ]


@pytest.mark.parametrize(("n", "same", "inches"), [(1, 0, 3), (30, 0, 3), (20, 6, 3), (60, 0, 1)])
def test_no_label_covers_a_label_or_a_point_or_leaves_the_frame(n, same, inches):
    figure, axes, points = cloud(n, n, same, inches)
    texts = placing.place_labels(figure, axes, points)
    renderer = figure.canvas.get_renderer()
    placed = {index: text.get_window_extent(renderer) for index, text in enumerate(texts) if text is not None}
    assert len(placed) == n if inches == 3 else 10 < len(placed) < n  # where there is room, no label is left out
    assert overlapping(placed) == []
    dots = axes.transData.transform([(point.x, point.y) for point in points])
    assert not any(box.contains(*dot) for box in placed.values() for dot in dots)
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in placed.values())
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in placed.values())
    assert [text.get_text() for text in texts if text is not None] == [points[index].label for index in placed]
    assert len(axes.texts) == len(placed)


def test_a_point_without_a_label_is_kept_clear_of_the_others():
    figure, axes, points = cloud(3, 20)
    points = [dataclasses.replace(point, label="") if number % 2 else point for number, point in enumerate(points)]
    texts = placing.place_labels(figure, axes, points)
    assert [text is not None for text in texts] == [bool(point.label) for point in points]
    dots = axes.transData.transform([(point.x, point.y) for point in points])
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in texts if text is not None]
    assert not any(box.contains(*dot) for box in boxes for dot in dots)


def test_a_lone_label_stands_beside_its_point_without_a_leader_line():
    figure, axes, points = cloud(0, 1)
    (text,) = placing.place_labels(figure, axes, points)
    assert len(axes.lines) == 0
    assert text.xyann[1] == 0
    width = text.get_window_extent(figure.canvas.get_renderer()).width * 72 / figure.dpi
    assert text.xyann[0] - width / 2 == pytest.approx(placing.DISTANCES[0], abs=0.01)


def test_a_label_that_stands_apart_has_a_leader_line_from_its_point():
    figure, axes, points = cloud(0, 8, same=8)
    placing.place_labels(figure, axes, points)
    assert len(axes.lines) > 0
    assert all(line.get_xydata()[0] == pytest.approx((0, 0)) for line in axes.lines)


@pytest.mark.parametrize("n", [1, 3, 90])
def test_rows_fit_a_page_and_their_labels_do_not_touch(n):
    figure, (axes,) = rows.figure(n, rest=0.95)
    drawn = [rows.Row(f"variant {i}", [i, i + 1.0], i + 0.5, i, i + 1.0, style.BLUE, text=str(i)) for i in range(n)]
    rows.draw(axes, drawn, rest=0.95)
    figure.canvas.draw()
    assert tuple(figure.get_size_inches()) == (style.WIDTH, min(0.95 + 0.205 * n, style.TALLEST))
    for texts in (axes.get_yticklabels(), axes.texts):
        boxes = {text.get_text(): text.get_window_extent() for text in texts}
        assert len(boxes) == n
        assert overlapping(boxes) == []
    heights = [label.get_window_extent().y0 for label in axes.get_yticklabels()]
    assert heights == sorted(heights, reverse=True), "the first is on top"


def test_a_long_label_leaves_the_dots_their_room():
    figure, (axes,) = rows.figure(1)
    rows.draw(axes, [rows.Row("long " * 60, [0.5], 0.5, NAN, NAN, style.BLUE, text="+0.50 [0.40, 0.60]")], rest=0.62)
    figure.canvas.draw()  # matplotlib would warn of axes without any width
    assert axes.get_position().width > 1 / 3


def test_a_row_has_the_intervals_and_the_band_that_it_is_to_have():
    one, two = ([0.5], 0.5, NAN, NAN), ([0.5, 0.7], 0.6, 0.2, 1.0)
    _, (axes,) = rows.figure(1)
    rows.draw(axes, [rows.Row("one seed", *one, style.BLUE)], rest=0.62)
    assert not axes.containers
    rows.draw(axes, [rows.Row("two seeds", *two, style.BLUE)], rest=0.62)
    assert len(axes.containers) == 1
    assert not axes.patches
    _, (axes,) = rows.figure(1)
    drawn = [
        rows.Row("two seeds", *two, style.BLUE, outer=(-0.5, 1.7), band=band) for band in ((-0.3, 0.3), (-0.3, INF))
    ]
    rows.draw(axes, drawn, rest=0.62)
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_linewidth() == 0.8] == [[-0.5, 1.7]] * 2
    axes.set_xlim(-0.6, 1.8)
    rows.draw_bands(axes, drawn)
    bands = [(band.get_x(), band.get_x() + band.get_width()) for band in axes.patches]
    assert bands == [(-0.3, pytest.approx(0.3)), (-0.3, pytest.approx(1.8))]
    assert axes.get_xlim() == (-0.6, 1.8)


def test_a_figure_saved_again_has_the_same_bytes_and_no_date(tmp_path):
    for name in ("one.svg", "two.svg"):
        figure, axes = style.plt.subplots()
        axes.scatter([1, 2], [3, 4], label="a")
        axes.legend()
        style.save(figure, tmp_path / name)
    style.note("Nothing to draw.", tmp_path / "note.svg")
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    assert "dc:date" not in text
    assert "<svg" in (tmp_path / "note.svg").read_text()
    assert style.plt.get_fignums() == []


def test_the_last_bits_of_the_layout_are_not_in_the_file(tmp_path, monkeypatch):
    """The solver of the layout sorts by addresses in memory, so that they differ from one process to the next."""
    solve = ConstrainedLayoutEngine.execute
    files = []
    for off in (0, 1e-15, 1e-4):

        def solve_elsewhere(engine, figure, off=off):
            solve(engine, figure)
            for axes in figure.axes:
                left, bottom, width, height = axes.get_position(original=True).bounds
                axes.set_position([left + off, bottom - off, width + off, height - off], which="original")

        monkeypatch.setattr(ConstrainedLayoutEngine, "execute", solve_elsewhere)
        figure, grid = style.plt.subplots(1, 2)
        grid[0].plot([1, 2], [3, 4])
        figure.colorbar(grid[1].imshow([[0, 1]]), ax=grid[1])
        style.save(figure, tmp_path / f"{off}.svg")
        files.append((tmp_path / f"{off}.svg").read_text())
    assert files[0] == files[1]
    assert files[0] != files[2]


@pytest.mark.parametrize(
    ("text", "longest", "label"),
    [("short", 5, "short"), ("abcdefghij", 7, "abc…hij"), ("abcdefgh", 5, "ab…gh"), ("$a$", 9, r"\$a\$")],
)
def test_the_middle_of_a_long_label_is_left_out(text, longest, label):
    assert style.plain(text, longest) == label


def test_a_label_with_dollars_is_no_mathematics():
    figure, axes = style.plt.subplots()
    axes.set_title(style.plain(r"$\frac$ and $5"))
    figure.savefig(io.BytesIO())  # mathtext would refuse \frac without arguments


@pytest.mark.parametrize(
    "colour",
    [*style.PALETTE, style.GREY, *style.shades(style.YELLOW, 6), *style.shades(style.SKY, 6), "#FFFFFF", "#000000"],
)
def test_small_text_stands_out_against_white(colour):
    """Contrast of at least 4.5 to 1. Source: WCAG 2.1, success criterion 1.4.3."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(style.readable(colour))
    ]
    assert 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05) >= 4.5


@pytest.mark.parametrize("number", [1, 2, 5, 12])
def test_shades_are_as_many_different_tones_from_dark_to_light(number):
    tones = style.shades(style.BLUE, number)
    assert len(set(tones)) == number
    assert [sum(to_rgb(tone)) for tone in tones] == sorted(sum(to_rgb(tone)) for tone in tones)


def test_a_mosaic_lays_maps_beside_and_below_each_other_and_signals_in_rows():
    nan = math.nan
    expected = [[0, 1, nan, 4, 5], [2, 3, nan, 6, 7], [nan] * 5, [8, 9, nan, nan, nan], [10, 11, nan, nan, nan]]
    mosaic = pictures.mosaic(np.arange(12.0).reshape(3, 2, 2), columns=2, gap=1)
    assert np.array_equal(mosaic, expected, equal_nan=True)
    for shape in ((2, 1, 3), (2, 3, 1)):
        assert pictures.mosaic(np.arange(6.0).reshape(shape), 2, 1).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_shortened_labels_stay_different_and_keep_what_tells_them_apart():
    labels = ["Connectivity: fully connected", "Connectivity: locally connected", "5×5"]
    assert style.shortened(labels, 24) == ["…fully connected", "…locally connected", "5×5"]
    assert style.shortened(["one two", "one $"], 10) == ["one two", r"one \$"]
    same_end = ["Alpha of the first kind", "Gamma of the first kind"]
    assert style.shortened(same_end, 14) == ["Alpha o…t kind", "Gamma o…t kind"]
    everywhere = ["a" * 10 + "x" + "b" * 10, "a" * 10 + "y" + "b" * 10]
    assert style.shortened(everywhere, 6) == everywhere
    assert style.shortened(["a" * 20, "a" * 20], 6) == ["…aaaaa", "…aaaaa"]
