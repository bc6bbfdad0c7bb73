"""Refuse a mistake in params.yaml or hypotheses.yaml before any other stage runs: `python -m stages.check`."""

import argparse
import sys

from stages.check import hypotheses
from stages.check.costs import missed_costs, refuse_too_large
from stages.check.own_nets import refuse_broken
from stages.shared import instruction_set, params, paths, stage_command
from stages.shared.params import ParamsError


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.check",
        description="Refuse a mistake in params.yaml or hypotheses.yaml; warn where a variant misses a matched cost.",
    )
    parser.parse_args()
    settings = params.load()
    declared = params.load_hypotheses(settings)
    hypotheses.refuse_unknown_sources(settings, declared)
    refuse_broken(settings)
    refuse_too_large(settings)
    obstacle = instruction_set.obstacle(settings.machine.instruction_set)
    if obstacle:
        name = settings.machine.instruction_set
        raise ParamsError(f"params.yaml: machine.instruction_set = {name!r}: {obstacle}; nothing was run")
    for warning in missed_costs(settings) + hypotheses.warnings(settings, declared):
        print(warning, file=sys.stderr)
    print(f"check: {hypotheses.plan(settings)}")
    paths.write_json(paths.CHECKED, {"params": "valid"})


if __name__ == "__main__":
    stage_command.run(main)
