"""Read every active variant's runs and probes, and write data/results/."""

from stages import params, paths, provenance


def main() -> None:
    from stages.collect import outputs, read, tables, verdicts

    with provenance.timed("collect"):
        settings = params.load()
        declared = params.load_hypotheses(settings)
        labels = read.test_labels()
        variants = [read.variant(key, settings.seeds(key), labels) for key in settings.active_variants]
        runs = tables.runs(variants)
        outputs.write(
            {
                "runs.csv": runs,
                "variants.csv": tables.variants(settings, runs),
                "effects.csv": tables.effects(settings, runs, verdicts.effects(settings, variants)),
                "hypotheses.csv": verdicts.hypotheses(settings, declared, variants),
                "aa.csv": verdicts.aa(settings, variants),
                "hard_images.csv": tables.hard_images(settings, variants, labels),
                "curves.csv": tables.curves(variants),
                "confusion.csv": tables.confusion(variants, labels),
            }
        )
        print(f"collect: variants {len(variants)}, runs {len(runs)} → {paths.RESULTS.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    provenance.run(main)
