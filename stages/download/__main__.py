"""Get the dataset that params.yaml names and write data/raw/: `python -m stages.download`."""

import argparse

from stages.download.datasets import load
from stages.download.raw import write_raw
from stages.download.user_arrays import constant_channels
from stages.shared import params, paths, stage_command
from stages.shared.lettering import class_names

DESCRIPTION = """
Get the dataset that data.dataset in params.yaml names, verify its digests, and write data/raw/.

For npz and folder, your own images in data/user/ are read; digits come with scikit-learn.
For the others, the sources are tried in order: torchvision's mirrors; for Fashion-MNIST, Debian's package (apt-get
download, no root); the folder data/user/. A folder that the environment variable DATASET_FOLDER names comes first.
What has been fetched is kept in data/downloads/: whole files are used again, and a broken-off download is resumed.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.download", description=DESCRIPTION)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.parse_args()
    data = params.load().data
    with stage_command.timed("download", dataset=data.dataset) as record:
        dataset, record["source"] = load(data)
        with paths.whole_folder(paths.RAW) as out:
            write_raw(out, data.dataset, dataset)
    counts = [
        f"{len(dataset.arrays[f'{split}_labels'])} {split} images"
        for split in ("train", "val", "test")
        if f"{split}_labels" in dataset.arrays
    ]
    print(f"download: {dataset.title} from {record['source']}: {', '.join(counts)}")
    for remark in class_names.remarks(dataset.classes):
        print(f"download: {remark}")
    for channel, value in constant_channels(dataset.arrays["train_images"]).items():
        print(
            f"download: channel {channel + 1} is {value:g} everywhere; it is kept, and normalised by a deviation of 1"
        )


if __name__ == "__main__":
    stage_command.run(main)
