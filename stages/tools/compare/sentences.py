"""What a comparison says, in sentences that hold for every outcome; plain text."""

from stages.shared.drawing import numbers
from stages.shared.inference import verdict as verdicts
from stages.tools.compare.side_by_side import SAME, UNPAIRED, Pair, SideBySide
from stages.tools.compare.tables import name

SHIFT = "Shift consistency: the share of pairs of shifts of an image on which the prediction agrees."
NAMED = 6  # variants in a sentence; more are counted alone
SAID = {
    verdicts.BETTER: "better", verdicts.WORSE: "worse", verdicts.EQUIVALENT: "equivalent", verdicts.INCONCLUSIVE: "inconclusive",
    verdicts.NOT_STATED: "without a verdict", UNPAIRED: "not paired",
}  # fmt: skip


def overall(made: SideBySide) -> str:
    if made.nothing_differs:
        return "Nothing differs: the settings, the code and the runs are the same."
    if not made.settings and not made.code:
        return "Neither a setting nor the code that trains differs; where runs do, they were made elsewhere, or with other packages."
    return ""


def summary(pair: Pair) -> str:
    """ "Both have 3 variants. The runs of 2 are the same, byte for byte. The rest, seen from B: 1 is better (kernel_1)." """
    if not pair.rows:
        return "They have no variant in common."
    same = [row.variant for row in pair.rows if row.verdict.name == SAME]
    parts = [f"Both have {numbers.plural(len(pair.rows), 'variant')}."]
    if not pair.changed:
        return f"{parts[0]} All runs are the same, byte for byte."
    if same:
        parts.append(f"The runs of {len(same)} are the same, byte for byte{_named(same)}.")
    groups = {
        said: [row.variant for row in pair.changed if row.verdict.name == verdict] for verdict, said in SAID.items()
    }
    counts = [
        f"{len(keys)} {'is' if len(keys) == 1 else 'are'} {said}{_named(keys)}" for said, keys in groups.items() if keys
    ]
    return " ".join([*parts, f"{'The rest, seen' if same else 'Seen'} from {name(pair.other)}: {', '.join(counts)}."])


def reasons(pair: Pair) -> list[str]:
    """Why some rows have no verdict, each reason once."""
    silent = [
        row.verdict for row in (*pair.changed, *pair.shift) if row.verdict.name in (verdicts.NOT_STATED, UNPAIRED)
    ]
    return [f"{said.name[0].upper()}{said.name[1:]}: {said.reason}." for said in dict.fromkeys(silent)]


def diverged(made: SideBySide) -> list[str]:
    """Of each revision with runs that diverged, which: they have no accuracy and are compared with nothing."""
    said = []
    for result in made.results:
        lost = {key: [run["seed"] for run in runs.metrics.get("diverged", [])] for key, runs in result.runs.items()}
        named = [
            f"{key} under {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
            for key, seeds in lost.items()
            if seeds
        ]
        said += [f"Diverged in {name(result)}, and therefore without an accuracy: {'; '.join(named)}."] if named else []
    return said


def explained(made: SideBySide) -> str:
    """How to read the table."""
    inference = made.inference
    level = f"{100 * inference.confidence:g}{numbers.NBSP}%"
    small = numbers.points(inference.smallest_effect).lstrip("+")
    return (
        f"In percent, with the {level} interval over seeds; differences in percentage points, paired by seed and test image, with the interval "
        "for these test images and, beside it, the wider one for new images. "
        "p is of the sign-flip test over seeds, adjusted over all rows of the same measure whose runs differ (Benjamini–Hochberg). "
        f"A verdict needs {inference.verdict_seeds} seeds that both have, and counts less than {small} points as equivalent."
    )


def _named(variants: list[str]) -> str:
    return f" ({', '.join(variants)})" if len(variants) <= NAMED else ""
