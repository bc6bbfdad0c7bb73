"""The tables and sentences of a comparison, as text that terminal and page both show. They hold for every outcome."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.shared.drawing import numbers
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.verdict import WORDS
from stages.shared.run_files import VariantResults
from stages.tools.compare.results import Results
from stages.tools.compare.revisions import WORKSPACE
from stages.tools.compare.side_by_side import UNPAIRED, Pair, Row, SideBySide

HASH = 10  # characters of a full hash in a heading
MOST_NAMES = 6  # variants in a sentence; more are counted alone
SHIFT = "Shift consistency: the share of pairs of shifts of an image on which the prediction agrees."
SUMMARIES = {name: words.summary for name, words in WORDS.items()} | {UNPAIRED: "not paired"}


@dataclass(frozen=True)
class Table:
    header: list[str]
    rows: list[list[str]]


def heading(results: Results) -> str:
    """What a revision is called in a heading: as the user called it, but for the end of a full hash."""
    name = results.revision.name
    return name[:HASH] if name == results.revision.commit else name


def revision_table(sides: SideBySide) -> Table:
    header = ["revision", "commit", "dataset", "test images", "protocol", "variants", "seeds"]
    rows = []
    for result in sides.results:
        counts = sorted({len(variant.seeds) for variant in result.variants.values()})
        rows.append(
            [
                heading(result),
                result.revision.description,
                result.dataset,
                f"{len(result.test.labels):,}",
                result.settings["protocol"],
                str(len(result.variants)),
                " or ".join(map(str, counts)),
            ]
        )
    return Table(header, rows)


def settings_table(sides: SideBySide) -> Table:
    rows = [[key, *(value or numbers.DASH for value in values)] for key, values in sides.settings.items()]
    return Table(["setting", *map(heading, sides.results)], rows)


def difference_table(pair: Pair, rows: Sequence[Row]) -> Table:
    names = heading(pair.first), heading(pair.other)
    header = ["variant", *names, "difference", "verdict", "new images", "seeds", "sign-flip p"]
    return Table(header, [_difference_cells(row) for row in rows])


def alone_table(pair: Pair) -> Table:
    """The variants that one of the two has alone."""
    rows = []
    for key, result in pair.alone.items():
        variant = result.variants[key]
        rows.append([key, heading(result), _mean_percent(variant, "test_accuracy"), str(len(variant.seeds))])
    return Table(["variant", "only in", "accuracy, %", "seeds"], rows)


def measures_table(sides: SideBySide) -> Table:
    """Costs and other measures of the variants whose runs differ; one row for each revision."""
    header = ["variant", "revision", "parameters", "MACs", "train accuracy, %", "val accuracy, %", "test loss"]
    rows = []
    for key in changed_variants(sides):
        for result in sides.results:
            if key in result.variants:
                variant = result.variants[key]
                costs = [numbers.count(variant.costs[cost]) for cost in ("parameters", "macs")]
                accuracies = [_mean_percent(variant, metric) for metric in ("train_accuracy", "val_accuracy")]
                loss = numbers.plain(_mean(variant, "test_loss")).lstrip("+")
                rows.append([key, heading(result), *costs, *accuracies, loss])
    return Table(header, rows)


def changed_variants(sides: SideBySide) -> list[str]:
    """Those of which some revisions have other runs than the first."""
    return list(dict.fromkeys(row.variant for pair in sides.pairs for row in pair.accuracy))


def overall(sides: SideBySide) -> str:
    if sides.nothing_differs:
        text = "Nothing differs: the settings, the code and the runs are the same."
        experiments = [heading(result) for result in sides.results if result.revision.is_experiment]
        if experiments and any(result.revision.name == WORKSPACE for result in sides.results):
            text += (
                f" The workspace is {experiments[0]}: `dvc exp run` leaves the results of an experiment there. "
                f"`make compare A=HEAD B={experiments[0]}` compares it with the commit."
            )
        return text
    if not sides.settings and not sides.code:
        return (
            "Neither a setting nor the code that trains differs; where runs do, they were trained on another machine, "
            "or with other packages."
        )
    return ""


def summary(pair: Pair) -> str:
    """ "Both have 3 variants. The runs of 2 are the same, byte for byte. The rest, seen from B: 1 is better (k5)." """
    n_shared = len(pair.same) + len(pair.accuracy)
    if not n_shared:
        return "They have no variant in common."
    sentences = [f"Both have {numbers.plural(n_shared, 'variant')}."]
    if not pair.accuracy:
        return f"{sentences[0]} All runs are the same, byte for byte."
    if pair.same:
        sentences.append(f"The runs of {len(pair.same)} are the same, byte for byte{_in_brackets(pair.same)}.")
    counts = []
    for verdict, words in SUMMARIES.items():
        keys = [row.variant for row in pair.accuracy if row.verdict.name == verdict]
        if keys:
            counts.append(f"{len(keys)} {'is' if len(keys) == 1 else 'are'} {words}{_in_brackets(keys)}")
    start = "The rest, seen" if pair.same else "Seen"
    return " ".join([*sentences, f"{start} from {heading(pair.other)}: {', '.join(counts)}."])


def reasons(pair: Pair) -> list[str]:
    """Why some rows have no verdict, each reason once."""
    without = (verdicts.NOT_STATED, UNPAIRED)
    rows = [row for row in (*pair.accuracy, *pair.shift_consistency) if row.verdict.name in without]
    return list(dict.fromkeys(f"{row.verdict.name.capitalize()}: {row.verdict.reason}." for row in rows))


def diverged(sides: SideBySide) -> list[str]:
    """Of each revision with runs that diverged, which: they have no accuracy and are compared with nothing."""
    sentences = []
    for result in sides.results:
        names = []
        for key, variant in result.variants.items():
            if variant.diverged:
                seeds = "seed" if len(variant.diverged) == 1 else "seeds"
                names.append(f"{key} under {seeds} {', '.join(map(str, variant.diverged))}")
        if names:
            sentences.append(f"Diverged in {heading(result)}, and therefore without an accuracy: {'; '.join(names)}.")
    return sentences


def explanation(sides: SideBySide) -> str:
    """How to read a table of differences."""
    inference = sides.inference
    level = f"{100 * inference.confidence:g}{numbers.NBSP}%"
    small = numbers.points(inference.smallest_effect).lstrip("+")
    return (
        f"In percent, with the {level} interval over seeds; differences in percentage points, paired by seed and test "
        "image, with the interval for these test images and, beside it, the wider one for new images. p is of the "
        "sign-flip test over seeds, adjusted over all rows of the same measure whose runs differ (Benjamini–Hochberg). "
        "Over n seeds it is never below 2/2ⁿ, before the adjustment, also where the interval excludes zero. "
        f"A verdict needs {inference.verdict_seeds} seeds that both have. It is equivalent where two one-sided tests, "
        f"adjusted over the same rows, show a difference of less than {small} points."
    )


def _difference_cells(row: Row) -> list[str]:
    means = [f"{numbers.percent(one.mean)} {numbers.half_width(one.low, one.high)}" for one in (row.first, row.other)]
    comparison = row.comparison
    if comparison is None:
        return [row.variant, *means, numbers.DASH, row.verdict.name, *[numbers.DASH] * 3]
    return [
        row.variant,
        *means,
        numbers.points_half_width(comparison.difference, comparison.low, comparison.high),
        row.verdict.name,
        numbers.half_width(comparison.total_low, comparison.total_high),
        str(comparison.n_seeds),
        numbers.p_value(row.p_adjusted),
    ]


def _mean(variant: VariantResults, metric: str) -> float:
    values = [metrics[metric] for metrics in variant.metrics.values()]
    return float(np.mean(values)) if values else math.nan


def _mean_percent(variant: VariantResults, metric: str) -> str:
    return numbers.percent(_mean(variant, metric))


def _in_brackets(variants: list[str]) -> str:
    return f" ({', '.join(variants)})" if len(variants) <= MOST_NAMES else ""
