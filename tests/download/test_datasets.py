"""The formats of the datasets, the table of the published ones, and the stage."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.io import savemat
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


def emnist_archive(images, labels):
    """EMNIST's archive: gzipped IDX files in a zip, each image with its rows and columns exchanged."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for split in ("train", "test"):
            for kind, array in (("images-idx3", images.transpose(0, 2, 1)), ("labels-idx1", labels)):
                name = f"gzip/emnist-letters-{split}-{kind}-ubyte.gz"
                archive.writestr(name, gzip.compress(as_idx(np.ascontiguousarray(array))))
    return content.getvalue()


def test_emnist_letters_stand_upright_and_count_from_zero(tmp_path):
    labels = (1 + np.arange(40) % 26).astype(np.uint8)
    file = put(tmp_path, {formats.EMNIST: emnist_archive(TRAIN_IMAGES, labels)}) / formats.EMNIST
    arrays, classes = PUBLISHED["emnist_letters"].read({file.name: file})
    np.testing.assert_array_equal(arrays["train_images"][..., 0], TRAIN_IMAGES)
    assert [classes[label] for label in arrays["test_labels"][[0, 25, 26]]] == ["a", "z", "a"]
    file.write_bytes(emnist_archive(TRAIN_IMAGES, labels).replace(b"letters-test-labels", b"letters-test-titles"))
    with pytest.raises(StageError, match=r"gzip\.zip is not EMNIST's archive: .*test-labels"):
        PUBLISHED["emnist_letters"].read({file.name: file})
    file.write_bytes(b"PK")
    with pytest.raises(StageError, match=r"gzip\.zip is not EMNIST's archive"):
        PUBLISHED["emnist_letters"].read({file.name: file})


def test_svhn_has_its_zeros_as_class_zero(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    labels = np.array([1, 10, 9, 10, 2], np.uint8)
    files = {name: tmp_path / name for name in formats.SVHN_FILES.values()}
    for file in files.values():
        savemat(file, {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None]})
    arrays, classes = PUBLISHED["svhn"].read(files)
    np.testing.assert_array_equal(arrays["test_images"], images)
    assert [classes[label] for label in arrays["train_labels"]] == ["1", "0", "9", "0", "2"]
    savemat(files["test_32x32.mat"], {"X": images, "y": labels})
    with pytest.raises(StageError, match=r"test_32x32\.mat should hold X, uint8 of shape \(32, 32, 3, 5\)"):
        PUBLISHED["svhn"].read(files)
    files["train_32x32.mat"].write_bytes(b"MATLAB 5.0 no more" * 20)
    with pytest.raises(StageError, match=r"train_32x32\.mat is not SVHN's file"):
        PUBLISHED["svhn"].read(files)


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
    assert mirrors("EMNIST") == [torchvision_datasets.EMNIST.url.removesuffix("gzip.zip")]
    assert [file.digest for file in PUBLISHED["emnist_letters"].files] == [torchvision_datasets.EMNIST.md5]
    svhn = torchvision_datasets.SVHN.split_list
    assert [(mirrors("SVHN")[0] + file.name, file.name, file.digest) for file in PUBLISHED["svhn"].files] == [
        tuple(svhn[split]) for split in ("train", "test")
    ]
    assert set(PUBLISHED) == set(params.DATASETS) - {"digits", "npz", "folder"}


def test_digests_of_the_packed_file_hold_for_the_packed_file_alone(tmp_path):
    packed = PublishedFile("a.gz", "md5", hashlib.md5(gzip.compress(b"a", mtime=1)).hexdigest(), "packed")
    verify(packed, put(tmp_path, {"a.gz": gzip.compress(b"a", mtime=1)}) / "a.gz")
    with pytest.raises(WrongFile):
        verify(packed, put(tmp_path, {"a.gz": gzip.compress(b"a", mtime=2)}) / "a.gz")


# --- the stage


def settings():
    return params.load().data


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
    save_npz(tmp_path, images=np.zeros((6, 28, 28), np.int64))
    result = run_stage(tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "data/user/mine.npz: images is int64" in result.stderr
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
