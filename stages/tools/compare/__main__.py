"""Compare results: `python -m stages.tools.compare [A [B …]] [--format markdown] [--out FILE]`."""

import argparse
import sys
from pathlib import Path

from stages.shared import params, paths, stage_command

DESCRIPTION = """
Compare the results of two or more DVC experiments or git revisions, each with the first: settings, code and accuracy,
with differences paired by seed and test image, intervals and verdicts as in the report.
Nothing is checked out or trained.
"""
REVISION = """an experiment's name, a branch, tag or commit, or `workspace`;
one alone is compared with the workspace, and none means HEAD"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.tools.compare", description=DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help=REVISION)
    default = paths.COMPARISON.relative_to(paths.ROOT)
    parser.add_argument(
        "--out", type=Path, default=paths.COMPARISON, metavar="FILE", help=f"the page (default: {default})"
    )
    parser.add_argument(
        "--format", choices=("text", "markdown"), default="text", help="what is printed (default: %(default)s)"
    )
    arguments = parser.parse_args()
    page = arguments.out
    if page.is_dir():
        raise stage_command.StageError(
            f"--out {page} is a folder; name a file in it, such as {page / paths.COMPARISON.name}"
        )
    inference = params.load().inference
    # DVC and matplotlib take a second to import: --help and a mistake in the settings do not wait for them.
    from stages.tools.compare import results, revisions

    names = arguments.revisions or ["HEAD"]
    if len(names) == 1:
        names = [*names, revisions.WORKSPACE]
    compared = [results.read(revision) for revision in revisions.resolve(names)]
    from stages.tools.compare import markdown, output, side_by_side

    sides = side_by_side.compare(compared, inference)
    print(markdown.markdown(sides) if arguments.format == "markdown" else output.text(sides))
    with paths.whole_file(page) as partial:
        partial.write_text(output.html(sides), encoding="utf-8")
    where = page.relative_to(paths.ROOT) if page.is_relative_to(paths.ROOT) else page
    print(f"\ncompare: {where}", file=sys.stderr if arguments.format == "markdown" else sys.stdout)


if __name__ == "__main__":
    stage_command.run(main)
