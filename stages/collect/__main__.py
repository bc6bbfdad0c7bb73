"""Read every run and probe of the protocol, and write the result tables: `python -m stages.collect`."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stages.collect import dvc_metrics, published, tables, verdicts
from stages.shared import declared, params, paths, stage_command
from stages.shared.declared import Record
from stages.shared.params import Hypothesis, Params
from stages.shared.run_files import VariantResults, read_test_labels, read_variant
from stages.shared.stage_command import StageError


def main(settings: Params) -> None:
    description = "Write data/results/ and data/metrics.json."
    argparse.ArgumentParser(prog="python -m stages.collect", description=description).parse_args()
    hypotheses = params.load_hypotheses(settings)
    with stage_command.timed("collect"):
        labels = read_test_labels(paths.PREPARED)
        variants, longer = read_all(settings, labels)
        record = declared.read_record(declared.record_path(settings))
        results = all_tables(settings, hypotheses, record, variants, longer, labels)
        write(settings.baseline, results)
    folder = paths.RESULTS.relative_to(paths.ROOT)
    print(f"collect: variants {len(variants)}, runs {len(results['runs.csv'])} → {folder}")


def read_all(settings: Params, labels: np.ndarray) -> tuple[list[VariantResults], list[VariantResults]]:
    """The variants of the protocol, and those that were trained again and longer, under the names of the former."""
    variants, longer = (
        [read_variant(key, settings.seeds(key), labels, paths.RUNS, paths.PROBES) for key in keys]
        for keys in (settings.active_variants, settings.longer_variants)
    )
    return variants, [dataclasses.replace(one, key=one.key.removesuffix(params.LONGER)) for one in longer]


def all_tables(
    settings: Params,
    hypotheses: Mapping[str, Hypothesis],
    record: Record,
    variants: Sequence[VariantResults],
    longer: Sequence[VariantResults],
    labels: np.ndarray,
) -> dict[str, pd.DataFrame]:
    """Every result table, by its file's name.

    record: of when the hypotheses were declared. longer: the variants that were trained again and longer. labels: of
    the test images.

    A variant of which every seed diverged is only in diverged.csv, and as a reason in hypotheses.csv.
    Raises StageError if the baseline is one.
    """
    refuse_mixed_devices(settings, [*variants, *longer])
    of_protocol = set(settings.active_variants)
    finished = [variant for variant in variants if variant.seeds]
    lost = {variant.key for variant in variants} - {variant.key for variant in finished}
    settings = settings.without(lost)
    longer = [variant for variant in longer if variant.seeds and variant.key not in lost]
    if settings.baseline not in settings.active_variants:
        raise StageError(
            f"every seed of the baseline {settings.baseline!r} diverged, so that there is nothing to compare the other "
            "variants with; lower recipe.lr in params.yaml, or in that variant's run, or name another baseline in the "
            "protocol"
        )
    runs = tables.runs(finished)
    statuses = [_declared(key, hypothesis, record, of_protocol) for key, hypothesis in hypotheses.items()]
    judged = verdicts.hypotheses(settings, hypotheses, variants)
    return {
        "runs.csv": runs,
        "diverged.csv": tables.diverged(variants),
        "unmeasured.csv": tables.unmeasured(finished),
        "variants.csv": tables.variants(settings, runs, len(labels)),
        "effects.csv": tables.effects(
            settings, runs, verdicts.effects(settings, finished, hypotheses, judged), len(labels)
        ),
        "hypotheses.csv": judged.assign(declared=statuses),
        "longer.csv": tables.longer(settings, runs, tables.runs(longer)),
        "longer_hypotheses.csv": verdicts.hypotheses(settings, hypotheses, longer),
        "aa.csv": verdicts.aa(settings, finished),
        "published.csv": published.published(settings, hypotheses, finished),
        "hard_images.csv": tables.hard_images(settings, finished, labels),
        "curves.csv": tables.curves(finished),
        "shifts.csv": tables.shifts(finished),
        "confusion.csv": tables.confusion(finished, labels),
    }


def refuse_mixed_devices(settings: Params, variants: Sequence[VariantResults]) -> None:
    """Raises StageError if some runs were trained on a CPU and some on a GPU, unless the settings allow it."""
    runs = [(metrics["device"], variant.key, seed) for variant in variants for seed, metrics in variant.metrics.items()]
    of_device = {device: f"{variant} under seed {seed}" for device, variant, seed in reversed(runs)}
    if len(of_device) < 2 or settings.machine.device == "mixed":
        return
    each = ", ".join(f"{run} on {device}" for device, run in sorted(of_device.items()))
    raise StageError(
        f"two kinds of device trained the runs ({each}, and others), and they round differently; set machine.device in "
        "params.yaml: cpu trains all of them on the CPU, mixed compares them as they are"
    )


def _declared(key: str, hypothesis: Hypothesis, record: Record, of_protocol: set[str]) -> str:
    """Whether the hypothesis stood before its runs; empty where the protocol does not have all of its variants."""
    if not set(hypothesis.contrast.variants) <= of_protocol:
        return ""
    claims = record.get(key, [])
    if not claims or claims[-1].digest != declared.claim_digest(hypothesis):
        raise StageError(f"data/declared does not have hypothesis {key!r} as it is now; run `dvc repro train`")
    return declared.status(hypothesis, claims)


def write(baseline: str, results: Mapping[str, pd.DataFrame]) -> None:
    with paths.whole_folder(paths.RESULTS) as folder:
        for name, table in results.items():
            table.to_csv(folder / name, index=False, float_format=f"%.{tables.DIGITS}f", lineterminator="\n")
        paths.write_json(folder / "variants.json", dvc_metrics.of_variants(results))
    paths.write_json(paths.METRICS, dvc_metrics.of_answer(baseline, results))


if __name__ == "__main__":
    stage_command.run_stage(main)
