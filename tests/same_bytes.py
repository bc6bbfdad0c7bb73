"""Train a whole protocol here, and again in jobs over the stand-in for AWS, and compare every byte that they leave.

`make same-bytes P=quick` takes the name of a protocol. Both are whole clones with stores of their own, so that no run
is taken from the other; the second one reads the images that the first one downloaded.
"""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from pipeline_workspace import clone
from sagemaker_layer import Layer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", help="a protocol of params.yaml, such as quick or default")
    protocol = parser.parse_args().protocol
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request to the stand-in
    with tempfile.TemporaryDirectory(prefix="same-bytes-") as folder:
        here, there, jobs = trained_twice(Path(folder), protocol)
    different = sorted(name for name in here | there if here.get(name) != there.get(name))
    runs = sum(name.endswith("/record.json") for name in here)
    print(f"protocol {protocol}: {runs} runs in {len(here)} files, trained here and in {jobs} jobs", flush=True)
    if different or not runs:
        sys.exit(f"{len(different)} of {len(here | there)} files differ: {', '.join(different[:10])}")
    print("Every byte is the same, dvc.lock included")


def trained_twice(folder, protocol):
    """Name → bytes of data/runs and dvc.lock, of training here and of training in jobs; and the number of jobs."""
    # Both before the first one trains, so that an edit of the checkout meanwhile cannot part them.
    here, there = (_clone(folder / name, protocol) for name in ("here", "there"))
    _train(here)
    with there.edited("compute.yaml") as settings:
        settings["sagemaker"] |= {"poll_seconds": 0.5, "max_concurrent": 2, "max_runtime_minutes": 240}
    downloads = here.folder / "data" / "downloads"
    images = {"DATASET_FOLDER": str(next(downloads.iterdir()))} if downloads.exists() else {}
    with Layer(folder / "jobs") as layer:
        # Two jobs at once with a process each: together they take as many cores as a job takes on an instance of two.
        _train(there, MAX_WORKERS="1", **images, **layer.environment)
        jobs = len(layer.created)
    return _files(here), _files(there), jobs


def _clone(folder, protocol):
    folder.mkdir()
    workspace = clone(folder, own_settings=True)
    with workspace.edited("params.yaml") as settings:
        assert protocol in settings["protocols"], f"params.yaml has no protocol {protocol}"
        settings["protocol"] = protocol
    return workspace


def _train(workspace, **environment):
    process = workspace.start("dvc", "repro", "train", **environment)
    output, _ = process.communicate()
    assert process.returncode == 0, output


def _files(workspace):
    files = {file for file in (workspace.folder / "data" / "runs").rglob("*") if file.is_file()}
    files |= {workspace.folder / "dvc.lock"}
    return {file.relative_to(workspace.folder).as_posix(): file.read_bytes() for file in files}


if __name__ == "__main__":
    main()
