"""The formats of the datasets, the table of the published ones, and the stage."""

import gzip
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_published import CONTENT, DATASET, IMAGES, PACKED, TRAIN_IMAGES, TRAIN_LABELS, as_idx, names_in, put, tar

from stages.download import datasets, formats
from stages.download.datasets import PUBLISHED
from stages.download.published import PublishedFile, WrongFile, verify
from stages.download.raw import write_raw
from stages.download.sources import mirrors
from stages.shared import params, paths
from stages.shared.stage_command import StageError


def test_idx_files_with_a_wrong_magic_number_or_length_are_refused(tmp_path):
    file = tmp_path / "labels"
    file.write_bytes(as_idx(TRAIN_LABELS))
    np.testing.assert_array_equal(formats.read_idx(file, 1), TRAIN_LABELS)
    with pytest.raises(StageError, match="is no IDX file of 3 dimensions: it starts with 00000801, not 00000803"):
        formats.read_idx(file, 3)
    file.write_bytes(as_idx(TRAIN_LABELS)[:-1])
    with pytest.raises(StageError, match="should have 40 bytes after its header"):
        formats.read_idx(file, 1)


def test_cifar_records_are_read_as_rows_of_pixels_with_the_fine_label(tmp_path):
    def record(coarse, fine, red, green, blue):
        greens = bytes([green]) * 31 + bytes([99]) + bytes([green]) * 992
        return bytes([coarse, fine]) + bytes([red]) * 1024 + greens + bytes([blue]) * 1024

    names = {"cifar-100-binary/fine_label_names.txt": b"apple\nbaby\n\n"}
    train = record(9, 1, 10, 20, 30) + record(8, 0, 11, 21, 31)
    parts = {"cifar-100-binary/train.bin": train, "cifar-100-binary/test.bin": record(7, 1, 1, 2, 3)}
    archive = put(tmp_path / "in", {}) / formats.CIFAR100.name
    archive.write_bytes(tar(parts | names | {"../evil": b"evil"}, "w:gz"))
    arrays, classes = PUBLISHED["cifar100"].read({archive.name: archive})
    assert classes == ["apple", "baby"]
    assert arrays["train_labels"].tolist() == [1, 0]
    assert arrays["train_images"].shape == (2, 32, 32, 3)
    assert arrays["train_images"][1, 0, 0].tolist() == [11, 21, 31]
    assert arrays["test_images"][0, 0, 31].tolist() == [1, 99, 3], "the 32nd green pixel ends the first row"
    assert names_in(tmp_path) == [f"in/{archive.name}"], "nothing is unpacked to disk"


def test_a_cifar_archive_that_is_incomplete_is_refused(tmp_path):
    archive = tmp_path / formats.CIFAR10.name
    archive.write_bytes(tar({"cifar-10-batches-bin/data_batch_1.bin": bytes(3073)}, "w:gz"))
    with pytest.raises(StageError, match=r"data_batch_2\.bin is not in the CIFAR archive"):
        PUBLISHED["cifar10"].read({archive.name: archive})
    with pytest.raises(StageError, match="no whole number of records of 3073 bytes"):
        formats.cifar_records(bytes(3072), 1)


def test_digits_are_scikit_learns_with_black_at_0_and_white_at_255():
    raw, source = datasets.load_digits()
    images, labels = raw.arrays["train_images"], raw.arrays["train_labels"]
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.uint8
    assert images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0], "0 0 5 13 9 1 0 0 of 16"
    assert images.max() == 255
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert source.startswith("scikit-learn 1.")


def test_the_catalogue_agrees_with_torchvision():
    from torchvision import datasets as torchvision_datasets

    for key in ("mnist", "kmnist"):
        listed = [(file.name, file.digest) for file in PUBLISHED[key].files]
        assert listed == [tuple(pair) for pair in getattr(torchvision_datasets, PUBLISHED[key].torchvision).resources]
    fashion, published = torchvision_datasets.FashionMNIST, PUBLISHED["fashion_mnist"]
    assert [file.name for file in published.files] == [name for name, _ in fashion.resources]
    assert published.read.keywords["classes"] == fashion.classes
    assert mirrors("MNIST") == torchvision_datasets.MNIST.mirrors
    assert mirrors("CIFAR100") == ["https://www.cs.toronto.edu/~kriz/"]
    assert set(PUBLISHED) == set(params.DATASETS) - {"digits", "npz"}


def test_digests_of_the_packed_file_hold_for_the_packed_file_alone(tmp_path):
    packed = PublishedFile("a.gz", "md5", hashlib.md5(gzip.compress(b"a", mtime=1)).hexdigest(), "packed")
    verify(packed, put(tmp_path, {"a.gz": gzip.compress(b"a", mtime=1)}) / "a.gz")
    with pytest.raises(WrongFile):
        verify(packed, put(tmp_path, {"a.gz": gzip.compress(b"a", mtime=2)}) / "a.gz")


# --- the stage


def settings():
    return params.Data(dataset="fashion_mnist", file=None, test_fraction=0.2, seed=0)


def test_two_sources_end_in_the_same_bytes(root, monkeypatch, tmp_path):
    monkeypatch.setitem(PUBLISHED, "fashion_mnist", DATASET)
    written = []
    for number, content in enumerate((PACKED, CONTENT)):
        monkeypatch.setenv("DATASET_FOLDER", str(put(tmp_path / f"source{number}", content)))
        monkeypatch.setattr(paths, "DOWNLOADS", tmp_path / f"downloads{number}")
        raw, source = datasets.load(settings())
        assert f"source{number}" in source
        with paths.whole_folder(paths.RAW) as out:
            write_raw(out, "fashion_mnist", raw)
        written.append({name: (paths.RAW / name).read_bytes() for name in names_in(paths.RAW)})
    assert written[0] == written[1]
    assert set(written[0]) == {"dataset.json", "images.safetensors"}
    description = paths.read_json(paths.RAW / "dataset.json")
    assert [description[name] for name in ("title", "height", "width", "channels")] == ["Small", 20, 30, 1]
    assert description["sha256"]["train-images-idx3-ubyte"] == IMAGES.digest
    np.testing.assert_array_equal(load_file(paths.RAW / "images.safetensors")["train_images"][..., 0], TRAIN_IMAGES)


def test_a_folder_that_cannot_be_written_is_one_message(root, monkeypatch):
    paths.DOWNLOADS.write_text("a file where the folder should be")
    with pytest.raises(StageError, match=r"^download: .*downloads.*: "):
        datasets.load(settings())


def save_npz(root, images):
    np.savez(put(root / "data" / "user", {}) / "mine.npz", images=images, labels=np.arange(6) % 3)


def run_stage(root, *arguments):
    text = paths.PARAMS.read_text().replace("dataset: fashion_mnist", "dataset: npz")
    (root / "params.yaml").write_text(text.replace("file: null", "file: mine.npz"))
    command, environment = [sys.executable, "-m", "stages.download"], os.environ | {"PIPELINE_ROOT": str(root)}
    command += arguments
    return subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_stage_refuses_a_dataset_with_one_message_or_writes_it_and_records_its_source(tmp_path):
    save_npz(tmp_path, images=np.zeros((6, 28, 28)))
    result = run_stage(tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "data/user/mine.npz: images is float64" in result.stderr
    assert names_in(tmp_path) == ["data/user/mine.npz", "params.yaml"], "nothing is left"

    save_npz(tmp_path, images=np.zeros((6, 28, 28), np.uint8))
    result = run_stage(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "6 train images" in result.stdout
    assert paths.read_json(tmp_path / "data" / "timings" / "download.json")["source"] == "data/user/mine.npz"
    assert names_in(tmp_path / "data" / "raw") == ["dataset.json", "images.safetensors"]


def test_help_names_the_sources(tmp_path):
    result = run_stage(tmp_path, "--help")
    assert result.returncode == 0
    assert "DATASET_FOLDER" in result.stdout
