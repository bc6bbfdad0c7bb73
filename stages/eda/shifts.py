"""Which shifts of an image the train data show, from where the bounding boxes of their objects lie."""

import math

import pandas as pd

from stages.eda.outputs import Finding, Table, joined, share
from stages.shared.drawing import numbers

# Direction → the column of position.measure, and the sign of a shift that way.
DIRECTIONS = {"left": ("box_x", -1), "right": ("box_x", 1), "up": ("box_y", -1), "down": ("box_y", 1)}


def measure(measures: pd.DataFrame, margin: tuple[int, int]) -> pd.DataFrame:
    """Share of the images as far from the median as a shift would move one: a row a shift in pixels, 1 to the margin.

    measures: of position.measure. margin: rows above and below, columns left and right; how far the probe of a trained
    net shifts an image. The centre of an image's bounding box says where it is: unlike the centroid, it does not move
    with the shape. NaN for shifts beyond the margin of that axis, and where no image has an object.
    """
    shares = pd.DataFrame(index=range(1, max(margin) + 1), columns=list(DIRECTIONS), dtype=float)
    for direction, (column, sign) in DIRECTIONS.items():
        away = sign * (measures[column] - measures[column].median()).dropna().to_numpy(dtype=float)
        for shift in range(1, margin[column == "box_x"] + 1):
            shares.loc[shift, direction] = float((away >= shift).mean()) if len(away) else math.nan
    return shares


def table(shares: pd.DataFrame) -> Table:
    """A row for each shift, a column for each direction."""
    strings = {"Shift, pixels": [str(shift) for shift in shares.index]}
    strings |= {
        f"{direction.capitalize()}, %": [numbers.percent(value) for value in shares[direction]] for direction in shares
    }
    caption = (
        "Share of the train images whose bounding box lies as far from the median one, or further, as a shift by so "
        "many pixels would move it."
    )
    return Table(pd.DataFrame(strings), caption, shares.rename_axis("shift").reset_index())


def finding(shares: pd.DataFrame, measures: pd.DataFrame, rare_share: float) -> Finding:
    """Which of the probed shifts fewer images than `rare_share` show."""
    sds = {axis: float(measures[column].std(ddof=0)) for axis, column in (("across", "box_x"), ("down", "box_y"))}
    facts = {"shifts_sentence": _boxes_sentence(sds) + " " + _shifts_sentence(shares, rare_share)}
    return Finding(facts, {"share_as_far": shares.to_dict(), "box_sd": sds, "rare_share": rare_share})


def first_outside(shares: pd.DataFrame, rare_share: float) -> dict[str, int | None]:
    """Direction → the least shift that fewer images show than `rare_share`, None if all are shown.

    A direction in which no image is shifted is left out.
    """
    outside: dict[str, int | None] = {}
    for direction in shares:
        known = shares[direction].dropna()
        if len(known):
            rare = known.index[known < rare_share]
            outside[str(direction)] = int(rare[0]) if len(rare) else None
    return outside


def _boxes_sentence(sds: dict[str, float]) -> str:
    known = {axis: sd for axis, sd in sds.items() if not math.isnan(sd)}
    if not known:
        return "No image has a bounding box."
    moves = joined([f"{numbers.plain(sd, 2).lstrip('+')} pixels {axis}" for axis, sd in known.items()])
    return f"A centroid also moves with the shape; the centre of the bounding box has an SD of {moves}."


def _shifts_sentence(shares: pd.DataFrame, rare_share: float) -> str:
    outside = first_outside(shares, rare_share)
    if not outside:
        return "No shift is probed, so that there is none to compare with the data."
    rule = (
        f"A shift lies outside what the train data show if fewer than {share(rare_share)} of the images have a box as "
        f"far from the median one"
    )
    farthest = numbers.plural(int(shares.index[-1]), "pixel")
    beyond = [
        f"of {numbers.plural(shift, 'pixel')}{' or more' * (shift < shares.index[-1])} {direction}"
        for direction, shift in outside.items()
        if shift is not None
    ]
    if not beyond:
        return f"{rule}: none of the probed shifts of up to {farthest} lies outside."
    return f"{rule}: of the probed shifts of up to {farthest}, those {joined(beyond)} lie outside."
