"""Draw and write everything that the report includes: `python -m stages.figures`."""

from stages.figures import results, topics
from stages.shared import paths, stage_command
from stages.shared.drawing import numbers, style
from stages.shared.params import Params


def main(settings: Params) -> None:
    with stage_command.timed("figures"), paths.whole_folder(paths.FIGURES) as folder:
        style.use_style()
        n_figures, n_tables = topics.write(results.load(settings), folder)
        counted = f"{numbers.plural(n_figures, 'figure')}, {numbers.plural(n_tables, 'table')}"
        print(f"figures: {counted} → {paths.FIGURES.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    stage_command.run_stage(main)
