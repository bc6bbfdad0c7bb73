"""Compare results: `python -m stages.tools.compare [A [B …]] [--out FILE]`."""

import argparse
from pathlib import Path

from stages.shared import params, paths, stage_command

ABOUT = """
Compare the results of two or more DVC experiments or git revisions, each with the first: settings, code and accuracy,
with differences paired by seed and test image, intervals and verdicts as in the report. Nothing is checked out or trained.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.tools.compare", description=ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    what = "an experiment's name, a branch, tag or commit, or `workspace`;\nbeside one alone stands the workspace, and none means HEAD"
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help=what)
    where = paths.COMPARISON.relative_to(paths.ROOT)
    parser.add_argument(
        "--out", type=Path, default=paths.COMPARISON, metavar="FILE", help=f"the page (default: {where})"
    )
    given = parser.parse_args()
    if given.out.is_dir():
        raise stage_command.StageError(
            f"--out {given.out} is a folder; name a file in it, such as {given.out / paths.COMPARISON.name}"
        )
    names = given.revisions or ["HEAD"]
    from stages.tools.compare import read, revisions, side_by_side

    inference = params.load().inference
    found = revisions.resolve(names if len(names) > 1 else [*names, revisions.WORKSPACE])
    from stages.tools.compare import page, terminal

    made = side_by_side.compare(read.results(found), inference)
    print(terminal.text(made))
    with paths.whole_file(given.out) as partial:
        partial.write_text(page.html(made), encoding="utf-8")
    print(f"\ncompare: {given.out.relative_to(paths.ROOT) if given.out.is_relative_to(paths.ROOT) else given.out}")


if __name__ == "__main__":
    stage_command.run(main)
