"""Read every active variant's runs and probes, and write data/results/."""

from stages import params, paths, provenance


def main() -> None:
    from stages.collect import outputs, read, tables

    with provenance.timed("collect"):
        settings = params.load()
        labels = read.test_labels()
        variants = [read.variant(key, settings.active_protocol.seeds, labels) for key in settings.active_variants]
        runs = tables.runs(variants)
        outputs.write(
            {
                "runs.csv": runs,
                "variants.csv": tables.variants(settings, runs),
                "effects.csv": tables.effects(settings, runs),
                "contrasts.csv": tables.contrasts(settings, runs),
                "curves.csv": tables.curves(variants),
                "confusion.csv": tables.confusion(variants, labels),
            }
        )
        print(f"collect: variants {len(variants)}, runs {len(runs)} → {paths.RESULTS.relative_to(paths.ROOT)}")


if __name__ == "__main__":
    provenance.run(main)
