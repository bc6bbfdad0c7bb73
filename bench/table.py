"""From the blocks of all rounds to the printed tables: medians, ranges, ratios within a round, shares of the peak."""

from collections.abc import Sequence
from statistics import median

from bench.contestants import LAB, OTHERS, OURS, OURS_BFLOAT16, PEAK
from bench.contestants.matrix_product import FLOPS
from bench.rounds import DEFAULT, EACH_CORE, ONE_CORE, Block

Rates = dict[tuple[str, str], list[float]]
HEADER = [
    "",
    ONE_CORE,
    DEFAULT,
    EACH_CORE,
    "× the lab's loop",
    "× the best other",
    "of the peak, one core",
    "of the peak, all cores",
    "images / CPU s",
    "MiB a process",
]


def rates_of(blocks: Sequence[Block]) -> Rates:
    """(contestant, mode) → images a second in each round, in order."""
    rates: Rates = {}
    for block in sorted(blocks, key=lambda one: one.round):
        rates.setdefault((block.contestant, block.mode), []).append(block.rate)
    return rates


def best_mode(rates: Rates, name: str) -> tuple[str, str]:
    """The mode in which the contestant trains most images a second on the whole machine."""
    return max(
        ((name, mode) for mode in (DEFAULT, EACH_CORE) if (name, mode) in rates), key=lambda key: median(rates[key])
    )


def best_other(rates: Rates) -> tuple[str, str]:
    return max(
        (best_mode(rates, name) for name in OTHERS if (name, DEFAULT) in rates), key=lambda key: median(rates[key])
    )


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and greatest of the ratios within each round."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def peak(blocks: Sequence[Block], mode: str) -> float:
    """FLOP/s of matrix products, of all processes of the mode together: the median over the rounds."""
    return median(
        block.processes * FLOPS / block.seconds for block in blocks if (block.contestant, block.mode) == (PEAK, mode)
    )


def rows_of(blocks: Sequence[Block], flops: int) -> list[list[str]]:
    """One row a contestant, ours first. flops: of training with one image."""
    rates = rates_of(blocks)
    return [
        _row(blocks, rates, name, flops)
        for name in (OURS, OURS_BFLOAT16, *OTHERS)
        if any(key[0] == name for key in rates)
    ]


def _row(blocks: Sequence[Block], rates: Rates, name: str, flops: int) -> list[str]:
    whole = best_mode(rates, name)
    of_contestant = [block for block in blocks if block.contestant == name]
    best = [block for block in of_contestant if block.mode == whole[1]]
    return [
        name,
        *(_spread(rates.get((name, mode))) for mode in (ONE_CORE, DEFAULT, EACH_CORE)),
        _times(ratio(rates[whole], rates[LAB, DEFAULT])) if (LAB, DEFAULT) in rates else "",
        _times(ratio(rates[whole], rates[best_other(rates)])),
        f"{100 * median(rates[name, ONE_CORE]) * flops / peak(blocks, ONE_CORE):.0f} %"
        if (name, ONE_CORE) in rates
        else "",
        f"{100 * median(rates[whole]) * flops / peak(blocks, EACH_CORE):.0f} %",
        f"{median(block.processes * block.images / block.cpu_seconds for block in best):,.0f}",
        f"{max(block.memory_mib for block in of_contestant):,}",
    ]


def _spread(rates: Sequence[float] | None) -> str:
    return f"{median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})" if rates else ""


def _times(ratios: tuple[float, float, float]) -> str:
    return "{:.2f} ({:.2f}–{:.2f})".format(*ratios)
