"""What a family could not hold constant: costs that move with its levels, and how well the matched ones agree."""

import math

from stages.figures import sentences, sizes
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape

NOUNS = {"parameters": "parameters", "macs": "multiply-accumulates", "receptive_field": "receptive fields"}
AXES = ("receptive_field_height", "receptive_field_width")


def sentence(results: Results, family: str) -> str:
    """ "**What could be wrong.** …": what moves with the levels, what is matched and by how much it misses."""
    parts = [*_misses(results, family), *_matches(results, family), *_moves(results, family)]
    return f"**What could be wrong.** {' '.join(parts)}"


def misses(results: Results, family: str) -> dict[tuple[str, str], float]:
    """(variant, quantity) → how far it lies off the variant that it is meant to match, of the levels that ran, relative."""
    found = {}
    for key in results.names.levels(family):
        for quantity, other in results.settings.variants[key].matched.items():
            if other in results.variants.index:
                columns = AXES if quantity == "receptive_field" else (quantity,)
                ratios = [
                    float(results.variants.loc[key, name]) / float(results.variants.loc[other, name]) - 1
                    for name in columns
                ]
                found[key, str(quantity)] = max(ratios, key=abs)
    return found


def _misses(results: Results, family: str) -> list[str]:
    """One sentence for each match that fails on these images."""
    allowed = results.settings.inference.match_tolerance
    said = []
    for (key, quantity), off in misses(results, family).items():
        if abs(off) > allowed:
            other = results.settings.variants[key].matched[quantity]  # type: ignore[index]
            much = f"{abs(off):.1%}".replace("%", f"{numbers.NBSP}%") + (" more" if off > 0 else " less")
            said.append(
                f"{sentences.named(results, key)} misses its match: {NOUNS[quantity]} {much} than {sentences.named(results, other)}."
            )
    return said


def _matches(results: Results, family: str) -> list[str]:
    """The largest deviation of those that hold, by quantity."""
    allowed, said = results.settings.inference.match_tolerance, []
    for quantity, noun in NOUNS.items():
        held = [abs(off) for (_, of), off in misses(results, family).items() if of == quantity and abs(off) <= allowed]
        if held:
            how = "exactly" if max(held) == 0 else f"to within {max(held):.1%}".replace("%", f"{numbers.NBSP}%")
            said.append(f"Matched {noun} agree {how}.")
    return said


def _moves(results: Results, family: str) -> list[str]:
    """Costs and training that differ between the levels beyond what a match may miss."""
    keys = list(results.names.levels(family))
    values: dict[str, list[float]] = {
        noun: [float(results.variants.loc[key, quantity]) for key in keys] for quantity, noun in list(NOUNS.items())[:2]
    }
    values["receptive field (pixels down)"] = [float(results.variants.loc[key, AXES[0]]) for key in keys]
    values["train images"] = [float(sizes.images(results, key)) for key in keys]
    values["learning rate"] = [results.settings.variants[key].run.recipe.lr for key in keys]
    values["epochs"] = [float(epochs(results, key)) for key in keys]
    moving = []
    for noun, found in values.items():
        known = [value for value in found if not math.isnan(value)]
        if known and max(known) > (1 + results.settings.inference.match_tolerance) * min(known):
            moving.append(f"{noun} from {numbers.short_count(min(known))} to {numbers.short_count(max(known))}")
    if not moving:
        return ["Neither cost nor the amount of training differs between the levels."]
    return [f"These move with the levels: {escape(sentences.joined(moving))}."]


def epochs(results: Results, key: str) -> int:
    return int(results.curves[results.curves["variant"] == key]["epoch"].max())
