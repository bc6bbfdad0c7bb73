"""Render the report to data/report/: `python -m stages.render`; or lay out its Quarto project: `--project FOLDER`."""

import argparse
import tempfile
from pathlib import Path

from stages.shared import paths, provenance, stage_command

ABOUT = """
Render the report to data/report/index.html and data/report/report.pdf.

The environment variable REPORT_RENDERER chooses: quarto, or embedded (pandoc and typst, which pip has installed).
Without it, quarto renders where it is on PATH, else the embedded renderer.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.render", description=ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--project", type=Path, metavar="FOLDER", help="write a ready Quarto project there and render nothing"
    )
    folder = parser.parse_args().project
    from stages.render import project, renderer

    if folder is not None:
        project.lay_out(folder)
        print(
            f"render: a Quarto project in {folder}; `quarto preview {folder}` shows it. What you like there, copy to report/"
        )
        return
    chosen = renderer.choose()
    # The commit belongs here and not into the report, whose bytes must not depend on it.
    about = {"renderer": chosen, **provenance.git_commit(), "packages": provenance.packages()}
    with (
        stage_command.timed("render", **about),
        tempfile.TemporaryDirectory() as scratch,
        paths.whole_folder(paths.REPORT) as out,
    ):
        made = Path(scratch) / "project"
        project.assemble(made)
        renderer.RENDERERS[chosen](made, out)
    print(f"render: index.html and report.pdf → {paths.REPORT.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    stage_command.run(main)
