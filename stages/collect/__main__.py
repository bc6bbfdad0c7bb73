"""Read every active variant's runs and probes, and write data/results/."""

from stages.shared import params, paths, stage_command


def main() -> None:
    from stages.collect import outputs, read

    with stage_command.timed("collect"):
        settings = params.load()
        declared = params.load_hypotheses(settings)
        labels = read.test_labels()
        variants = [read.variant(key, settings.seeds(key), labels) for key in settings.active_variants]
        made = outputs.tables_of(settings, declared, variants, labels)
        outputs.write(made)
        print(
            f"collect: variants {len(variants)}, runs {len(made['runs.csv'])} → {paths.RESULTS.relative_to(paths.ROOT)}"
        )


if __name__ == "__main__":
    stage_command.run(main)
