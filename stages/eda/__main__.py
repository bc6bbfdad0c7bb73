"""Look at the images before any net is trained, into data/eda/: `python -m stages.eda`."""

import argparse

from stages.eda import notebook
from stages.shared import paths, stage_command
from stages.shared.params import Params


def main(settings: Params) -> None:
    description = "Run stages/eda/eda.ipynb on data/prepared/ and write data/eda/."
    argparse.ArgumentParser(prog="python -m stages.eda", description=description).parse_args()
    stage_command.need(paths.PREPARED, "prepare")
    with stage_command.timed("eda"), paths.whole_folder(paths.EDA) as out:
        notebook.execute(notebook.parameters(settings, out), out)
        figures, tables = len(list(out.glob("figures/*.svg"))), len(list(out.glob("tables/*.md")))
    print(f"eda: {figures} figures, {tables} tables → {paths.EDA.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    stage_command.run_stage(main)
