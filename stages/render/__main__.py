"""Render the report, or with `--project FOLDER` write its Quarto project there: `python -m stages.render`."""

import argparse
import tempfile
from pathlib import Path

from stages.render import project, renderers
from stages.shared import paths, provenance, stage_command

DESCRIPTION = """
Render the report to data/report/index.html and data/report/report.pdf.

The environment variable REPORT_RENDERER chooses: quarto, or embedded (pandoc and typst, which pip has installed).
Without it, quarto renders where it is on PATH, else the embedded renderer.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.render", description=DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--project", type=Path, metavar="FOLDER", help="write a ready Quarto project there and render nothing"
    )
    folder = parser.parse_args().project
    if folder is not None:
        project.lay_out(folder)
        print(f"render: a Quarto project in {folder}; `quarto preview {folder}` shows it.")
        print("Edit it there, and copy what you want to keep to report/.")
        return
    renderer = renderers.choose()
    # The commit is recorded here and not in the report, whose bytes must not depend on it.
    record = {"renderer": renderer, **provenance.git_commit(), "packages": provenance.packages()}
    with (
        stage_command.timed("render", **record),
        tempfile.TemporaryDirectory() as scratch,
        paths.whole_folder(paths.REPORT) as out,
    ):
        assembled = Path(scratch) / "project"
        project.assemble(assembled)
        renderers.RENDERERS[renderer](assembled, out)
    print(f"render: index.html and report.pdf → {paths.REPORT.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    stage_command.run(main)
