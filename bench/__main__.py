"""Images a second of this project and of what a user would run instead: `make bench`, or `python -m bench`."""

import argparse
import dataclasses
import os
import time
from collections.abc import Iterator

import pandas as pd
from tabulate import tabulate

from bench import flops, machine, table
from bench.contestants import PEAK
from bench.data import OUT, TRAIN, arrays, torchvision_root
from bench.rounds import EACH_CORE, ONE_CORE, OTHERS_PYTHON, Block, run_rounds
from stages.shared import params, paths, stage_command
from stages.shared.params import Params

# Variant of params.yaml → how many times `--images` its epoch has, so that all epochs take about as long.
NETS = {"lab_cnn_3": 1, "lab_mlp": 5}


def main(settings: Params) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--images",
        type=int,
        default=1280,
        help=f"of one epoch of the convolutional net, at most {TRAIN} (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="in which everybody trains one epoch (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if not 128 <= arguments.images <= TRAIN or arguments.rounds < 1:
        raise stage_command.StageError(
            f"--images is {arguments.images} and --rounds {arguments.rounds}; "
            f"allowed are 128 to {TRAIN} images, and rounds from 1 up"
        )
    if not OTHERS_PYTHON.exists():
        raise stage_command.StageError(
            f"{OTHERS_PYTHON.relative_to(paths.ROOT)}, which runs the others, is missing; `make bench` installs it"
        )
    arrays()  # refuses another dataset before anything is started
    torchvision_root()
    began = time.monotonic()
    absent: list[str] = []
    nets = {net: min(TRAIN, times * arguments.images) for net, times in NETS.items()}
    bfloat16 = "bfloat16" in machine.precisions(settings)
    rounds = run_rounds(nets, arguments.rounds, lambda name, words: _started(absent, name, words), bfloat16)
    blocks = list(_tell(rounds))
    parts = ["# Images trained a second"]
    for net in nets:
        parts += [f"## {net}", _section(net, [block for block in blocks if block.net == net]), *absent]
    parts += [
        *machine.description(OTHERS_PYTHON, settings),
        flops.HOW,
        _how(arguments.rounds, time.monotonic() - began),
    ]
    table_of_blocks = pd.DataFrame([{**dataclasses.asdict(block), "rate": block.rate} for block in blocks])
    table_of_blocks.to_csv(OUT / "speed.csv", index=False)
    text = "\n\n".join(parts) + "\n"
    with paths.whole_file(OUT / "speed.md") as partial:
        partial.write_text(text, encoding="utf-8")
    print(text)


def _tell(blocks: Iterator[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.contestant != PEAK:
            print(
                f"{block.net}, round {block.round}: {block.contestant}, {block.mode}: {block.rate:,.0f} images/s",
                flush=True,
            )
        yield block


def _started(absent: list[str], name: str, words: str) -> None:
    print(f"{name}: {words}", flush=True)
    if words != "ready":
        absent.append(f"{name} {words}.")


def _section(net: str, blocks: list[Block]) -> str:
    costs = flops.training_flops(params.load().variants[net].run.architecture, (1, 28, 28), 10)
    lines = tabulate(table.rows_of(blocks, costs), table.HEADER, tablefmt="github", disable_numparse=True)
    one, all_cores = (table.peak(blocks, mode) / 1e9 for mode in (ONE_CORE, EACH_CORE))
    best = " with ".join(table.best_other(table.rates_of(blocks)))
    return (
        f"{lines}\n\nBest other: {best}. Peak, in float32: {one:.0f} GFLOP/s on one core, {all_cores:.0f} on all; "
        f"training with one image takes {costs / 1e6:.2f} MFLOP."
    )


def _how(rounds: int, seconds: float) -> str:
    return (
        f"Rates: median over {rounds} rounds, and range. In every round everybody trains one epoch, one after another, "
        "in a new order; a first epoch does not count; no evaluation, no files. One core: a process that may use only "
        "that core. Default threads: one process, as its user starts it. A process a core: "
        f"{len(os.sched_getaffinity(0))} such processes at once, for several seeds; the slowest counts. Ratios are of "
        "the whole machine, within each round, each contestant in its faster mode. CPU seconds are those of all "
        f"threads: other work on the machine changes them less. The whole bench took {seconds:.0f} s."
    )


if __name__ == "__main__":
    stage_command.run_stage(main)
