"""Say what is wrong with params.yaml or hypotheses.yaml, or nothing: `python -m stages.check`."""

import argparse
import sys

from stages import params, paths, provenance
from stages.check.matches import misses


def main() -> None:
    about = "Refuse a mistake in the settings; warn where a variant misses the cost that it is meant to share with another."
    argparse.ArgumentParser(prog="python -m stages.check", description=about).parse_args()
    settings = params.load()
    params.load_hypotheses(settings)
    for warning in misses(settings):
        print(warning, file=sys.stderr)
    paths.write_json(paths.CHECKED, {"params": "valid"})


if __name__ == "__main__":
    provenance.run(main)
