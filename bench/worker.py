"""A contestant's process: of the net that a line of its input names it trains an epoch, and prints the time."""

import argparse
import json
import os
import resource
import sys

from bench.contestants import trainer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contestant")
    parser.add_argument("nets", help="JSON: the images of an epoch of each")
    parser.add_argument("--core", type=int, help="stay on this core, with one thread")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    trains = {net: trainer(arguments.contestant, net, images) for net, images in json.loads(arguments.nets).items()}
    for train in trains.values():
        train()  # compiles, allocates, fills caches
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        before = _cpu_seconds()
        seconds = trains[line.strip()]()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            json.dumps({"seconds": seconds, "cpu_seconds": _cpu_seconds() - before, "memory_mib": memory}),
            file=answers,
            flush=True,
        )


def _cpu_seconds() -> float:
    """Of all threads, and of loader workers that have ended."""
    return sum(
        use.ru_utime + use.ru_stime for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
