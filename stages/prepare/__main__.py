"""Split the dataset, add margins and compute constants, into data/prepared/: `python -m stages.prepare`."""

import argparse

from stages.prepare.write import prepare
from stages.shared import paths, stage_command
from stages.shared.params import Params


def main(settings: Params) -> None:
    description = "Split data/raw/ as params.yaml says, and write data/prepared/."
    argparse.ArgumentParser(prog="python -m stages.prepare", description=description).parse_args()
    stage_command.need(paths.RAW, "download")
    with stage_command.timed("prepare"), paths.whole_folder(paths.PREPARED) as out:
        counts = prepare(settings, paths.RAW, out)
    print(f"prepare: {', '.join(f'{count} {split}' for split, count in counts.items())} images")


if __name__ == "__main__":
    stage_command.run_stage(main)
