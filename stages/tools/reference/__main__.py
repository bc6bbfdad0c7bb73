"""The published results: `python -m stages.tools.reference VERB [PROTOCOL]`."""

import argparse
import sys
from pathlib import Path

from stages.shared import params, paths, stage_command
from stages.shared.stage_command import StageError
from stages.tools.reference import bundle, conform, long_run, readme, report

DESCRIPTION = """
The published results, which data/reference/ keeps in git.

report   render their report to data/reference-report/, without training anything
conform  compare what this machine trained with them, by seed and test image; exit status 1 where it differs
nets     train the nets to try that data/reference/ lacks, one seed of each
readme   write the answer and its picture in the README from them
publish  put the results of this workspace into data/reference/
make     train and probe the protocol, hours of it, and add to data/reference/ what is finished meanwhile
"""
REPORT = paths.DATA / "reference-report"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.tools.reference",
        description=DESCRIPTION,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("verb", choices=("report", "conform", "nets", "readme", "publish", "make"))
    published = ", ".join(_published()) or "none yet"
    parser.add_argument("protocol", nargs="?", help=f"published are: {published}")
    arguments = parser.parse_args()
    settings = params.load()
    of_workspace = arguments.verb in ("conform", "publish")
    protocol = arguments.protocol or (settings.protocol if of_workspace else "reference")
    if arguments.verb == "make":
        long_run.make(protocol)
        return
    if arguments.verb == "nets":
        long_run.add_nets(protocol)
        return
    if arguments.verb == "publish":
        if protocol != settings.protocol:
            raise StageError(
                f"params.yaml has protocol {settings.protocol!r}; set it to {protocol!r} and run `dvc repro`"
            )
        long_run.publish(settings)
        return
    if protocol not in _published():
        raise StageError(f"data/reference has no protocol {protocol!r}; it has {published}")
    if arguments.verb == "conform":
        if protocol not in settings.protocols:
            raise StageError(f"params.yaml has no protocol {protocol!r}, so nothing here is of it")
        rows = conform.conform(settings.model_copy(update={"protocol": protocol}))
        print(conform.text(rows))
        if any(row.outcome == conform.DIFFERS for row in rows):
            sys.exit(1)
        return
    if arguments.verb == "readme":
        readme.refresh(paths.ROOT)
        return
    report.render(protocol, REPORT)
    print(f"reference: {_shown(REPORT / 'index.html')} and report.pdf")


def _published() -> list[str]:
    return sorted(file.parent.name for file in paths.REFERENCE.glob(f"*/{bundle.DATA}"))


def _shown(path: Path) -> Path:
    return path.relative_to(paths.ROOT)


if __name__ == "__main__":
    stage_command.run(main)
