"""Draw and write everything that the report includes: data/figures/."""

from stages.shared import params, paths, stage_command


def main() -> None:
    from stages.figures import answer, chapter, draw, facts, inside, replication, results, tables
    from stages.shared.drawing import numbers, style

    with stage_command.timed("figures"), paths.whole_folder(paths.FIGURES) as folder:
        found = results.load(params.load())
        style.use_style()
        draw.write(found, folder / "figures")
        tables.write(found, folder / "tables")
        inside.write_tables(found, folder / "tables")
        (folder / "answer.md").write_text(answer.answer(found), encoding="utf-8")
        (folder / "replication.md").write_text(replication.section(found), encoding="utf-8")
        (folder / "families.md").write_text(chapter.families(found), encoding="utf-8")
        (folder / "facts.yml").write_text(facts.as_yaml(facts.facts(found)), encoding="utf-8")
        drawn, written = len(list((folder / "figures").iterdir())), len(list((folder / "tables").glob("*.md")))
        print(
            f"figures: {numbers.plural(drawn, 'figure')}, {numbers.plural(written, 'table')} → {paths.FIGURES.relative_to(paths.ROOT)}"
        )


if __name__ == "__main__":
    stage_command.run(main)
