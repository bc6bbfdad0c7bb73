"""Refuse a mistake in the settings, and write what each variant's stages are to do: `python -m stages.check`."""

import argparse
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from stages.check.matches import misses
from stages.check.size import refuse_too_large
from stages.shared import instruction_set, params, paths, stage_command


def main() -> None:
    about = "Refuse a mistake in params.yaml or hypotheses.yaml; warn where a variant misses the cost that it is meant to share with another."
    parser = argparse.ArgumentParser(prog="python -m stages.check", description=about)
    parser.add_argument("--check", action="store_true", help="write nothing")
    only_check = parser.parse_args().check
    settings = params.load()
    params.load_hypotheses(settings)
    refuse_too_large(settings)
    if said := instruction_set.obstacle(settings.machine.instruction_set):
        raise params.ParamsError(
            f"params.yaml: machine.instruction_set = '{settings.machine.instruction_set}': {said}; nothing was run"
        )
    for warning in misses(settings):
        print(warning, file=sys.stderr)
    if only_check:
        return
    with paths.whole_folder(paths.PLAN) as out:
        for key in settings.active_variants:
            paths.write_json(
                out / paths.plan("train", key).relative_to(paths.PLAN),
                params.TrainPlan.of(settings, key).model_dump(mode="json"),
            )
            paths.write_json(
                out / paths.plan("probe", key).relative_to(paths.PLAN),
                params.ProbePlan.of(settings, key).model_dump(mode="json"),
            )
    paths.write_json(paths.CHECKED, {"params": "valid"})
    for folder in (paths.RUNS, paths.PROBES):
        _remove_others(folder, settings.active_variants)


def _remove_others(folder: Path, variants: Collection[str]) -> None:
    """What variants left that the protocol no longer has; DVC's cache keeps it.

    The collect stage depends on the whole folder, which would else differ between two machines with other pasts.
    """
    for path in folder.glob("*/"):
        if path.name not in variants:
            shutil.rmtree(path)


if __name__ == "__main__":
    stage_command.run(main)
