"""Draw and write everything that the report includes: data/figures/: `python -m stages.figures`."""

import argparse

from stages.figures import results, topics
from stages.shared import paths, stage_command
from stages.shared.drawing import numbers, style
from stages.shared.params import Params


def main(settings: Params) -> None:
    description = "Draw and write everything that the report includes, into data/figures/."
    argparse.ArgumentParser(prog="python -m stages.figures", description=description).parse_args()
    with stage_command.timed("figures"), paths.whole_folder(paths.FIGURES) as folder:
        style.use_style()
        n_figures, n_tables = topics.write(results.load(settings), folder)
    counts = f"{numbers.plural(n_figures, 'figure')}, {numbers.plural(n_tables, 'table')}"
    print(f"figures: {counts} → {paths.FIGURES.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    stage_command.run_stage(main)
