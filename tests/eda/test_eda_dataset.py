"""The images that the EDA takes, and what it says of them."""

import numpy as np
import pytest
from eda_data import LINES, write_prepared
from safetensors.numpy import save_file

from stages.eda import classes, dataset, distances, spectrum


def test_floats_are_taken_at_16_bits_of_their_range_and_drawn_alike(tmp_path):
    images, labels, names = LINES
    write_prepared(tmp_path / "floats", images / np.float32(50) - 3, labels, names, 1, (-3, 2.1))
    data = dataset.load(tmp_path / "floats", 60)
    assert data.train.dtype == np.uint16
    np.testing.assert_array_equal(data.train[:, 0], np.rint(images[:60, ..., 0] * np.float64(257)))
    assert "Their pixels are rounded to 16 bits." in dataset.finding(data).facts["images_sentence"]
    write_prepared(tmp_path / "bytes", images, labels, names, 1)
    of_bytes = dataset.load(tmp_path / "bytes", 60)
    for measure in (classes.brightness, classes.mean_and_sd, classes.histogram, spectrum.power):
        np.testing.assert_allclose(measure(data.train), measure(of_bytes.train), rtol=1e-6, err_msg=measure.__name__)
    assert distances.within(data.train).distance == pytest.approx(257 * distances.within(of_bytes.train).distance)


def test_of_large_images_fewer_are_taken_and_the_sentence_says_so(tmp_path, monkeypatch):
    write_prepared(tmp_path / "prepared", *LINES, 0)
    monkeypatch.setattr(dataset, "MOST_BYTES", 9 * 8 * 25)
    data = dataset.load(tmp_path / "prepared", 50)
    assert (len(data.train), len(data.test), len(data.train_labels), len(data.test_labels)) == (25, 25, 25, 25)
    sentence = dataset.finding(data).facts["images_sentence"]
    assert sentence.startswith("The statistics are of 25 of the 60 train images")
    assert "Of the 40 test images they take 25, since all would need much memory." in sentence


def test_full_names_are_listed_where_they_are_shown_otherwise_and_a_val_set_is_counted(tmp_path):
    images, labels, _ = LINES
    write_prepared(tmp_path / "plain", images, labels, ["a", "b", "c"], 0)
    assert dataset.names_table(dataset.load(tmp_path / "plain", 30)) is None
    write_prepared(tmp_path / "long", images, labels, ["a", "b" * 70, "ก"], 0)
    save_file({"images": images[:6], "labels": labels[:6]}, tmp_path / "long" / "val.safetensors")
    data = dataset.load(tmp_path / "long", 30)
    table = dataset.names_table(data)
    assert table.full["name"].tolist() == ["a", "b" * 70, "ก"]
    assert table.shown["Shown as"].tolist() == ["a", "b" * 12 + "…" + "b" * 11, "2"]
    assert table.shown["Name"][2] == "⟨thai character ko kai⟩"
    assert "lists the classes by their full names." in dataset.finding(data).facts["images_sentence"]
    assert classes.counts(data.split_labels, 3)["val"].tolist() == [2, 2, 2]


def test_the_number_of_images_is_what_there_is_and_the_margin_is_cut_off(tmp_path):
    write_prepared(tmp_path / "without", *LINES, 0)
    sentence = dataset.finding(dataset.load(tmp_path / "without", 30)).facts["images_sentence"]
    assert sentence.startswith("The statistics are of 30 of the 60 train images")
    assert "which have no margin" in sentence
    write_prepared(tmp_path / "with", *LINES, 3)
    data = dataset.load(tmp_path / "with", 20)
    np.testing.assert_array_equal(data.train[:, 0], LINES[0][:20, :, :, 0])
    np.testing.assert_array_equal(data.test[:, 0], LINES[0][60:, :, :, 0])
    assert data.permuted.shape == data.train.shape
    assert not np.array_equal(data.permuted, data.train)
    np.testing.assert_array_equal(np.sort(data.permuted.reshape(20, -1)), np.sort(data.train.reshape(20, -1)))
