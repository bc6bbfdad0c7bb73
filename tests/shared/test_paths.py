"""Files and folders are written whole or not at all."""

import pytest

from stages.shared import paths


def test_what_a_killed_process_left_in_a_scratch_folder_goes_when_the_next_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    (tmp_path / "partial" / "train" / "half").mkdir(parents=True)
    with paths.scratch_folder("train") as folder:
        assert not list(folder.iterdir())
        (folder / "half").touch()
    assert not list((tmp_path / "partial").iterdir())


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "kept.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="JSON compliant"):
        paths.write_json(path, {"a": float("nan")})
    assert [file.name for file in tmp_path.iterdir()] == ["kept.json"]
    assert path.read_text() == "old"


def test_a_folder_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATA", tmp_path)
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    (tmp_path / "eda").mkdir()
    (tmp_path / "eda" / "old").touch()

    def fail_half_way():
        with paths.whole_folder(tmp_path / "eda") as folder:
            (folder / "new").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [file.name for file in (tmp_path / "eda").iterdir()] == ["old"]
    assert not list((tmp_path / "partial").iterdir())


def test_equal_content_gives_equal_bytes_whatever_its_order(tmp_path):
    paths.write_json(tmp_path / "one.json", {"b": 1, "a": "é"})
    paths.write_json(tmp_path / "two.json", {"a": "é", "b": 1})
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
