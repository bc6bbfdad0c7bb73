"""Remove finished runs from the store, those used longest ago first: `python -m stages.tools.prune [gigabytes]`."""

import argparse

from stages.cloud import settings as compute_settings
from stages.shared import run_records, stage_command


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.tools.prune",
        description="Remove the finished runs that were used longest ago, until the store of them is small enough.",
    )
    parser.add_argument(
        "gigabytes", nargs="?", type=float, help="size that may stay (default: finished_runs_gb in compute.yaml)"
    )
    gigabytes = parser.parse_args().gigabytes
    limit = compute_settings.load().finished_runs_gb if gigabytes is None else gigabytes
    store = run_records.default_store()
    n_runs, n_bytes = store.prune(limit * 1e9)
    print(f"{store.folder}: {n_runs} runs removed ({n_bytes / 1e9:.2f} GB), {len(store.entries())} stay")


if __name__ == "__main__":
    stage_command.run(main)
