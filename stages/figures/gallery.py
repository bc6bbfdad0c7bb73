"""The test images that most runs get wrong."""

from matplotlib.figure import Figure

from stages.figures import pictures
from stages.figures.results import Results
from stages.shared.drawing import numbers, style

COLUMNS, LINES = 8, 3
TEXT = 0.42  # inches above an image
SIGNAL = 0.5  # inches of a signal


def gallery(results: Results) -> Figure | None:
    """Each with its class, the commonest wrong answer, and the share of runs that are wrong. None where no run is."""
    hard = results.hard_images[results.hard_images["failures"] > 0].head(COLUMNS * LINES)
    if hard.empty:
        return None
    classes = [style.plain(name, 15) for name in results.constants["classes"]]
    _, _, height, width = results.hard_pixels.shape
    high = SIGNAL if pictures.is_signal((height, width)) else min(1.2, (style.WIDTH / COLUMNS - 0.08) * height / width)
    lines = -(-len(hard) // COLUMNS)
    figure, grid = style.plt.subplots(lines, COLUMNS, figsize=(style.WIDTH, lines * (high + TEXT)), squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, row, image in zip(grid.ravel(), hard.to_dict("records"), results.hard_pixels, strict=False):
        pictures.show_image(axes, image)
        answer = classes[int(row["predicted"])]
        share = numbers.percent(row["failures"] / row["runs"], 0)
        axes.set_title(
            f"{classes[int(row['label'])]}\n→ {answer}\n{share} %",
            fontsize=6,
            fontweight="normal",
            loc="center",
            pad=2,
            linespacing=1.15,
        )
    return figure
