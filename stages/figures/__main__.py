"""Draw and write everything that the report includes: data/figures/."""

from stages.shared import params, paths, stage_command


def main() -> None:
    from stages.figures import results, topics
    from stages.shared.drawing import numbers, style

    with stage_command.timed("figures"), paths.whole_folder(paths.FIGURES) as folder:
        style.use_style()
        n_figures, n_tables = topics.write(results.load(params.load()), folder)
        counted = f"{numbers.plural(n_figures, 'figure')}, {numbers.plural(n_tables, 'table')}"
        print(f"figures: {counted} → {paths.FIGURES.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    stage_command.run(main)
