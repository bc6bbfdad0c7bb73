"""Files are written whole, and alike on every machine."""

import pandas as pd
import pytest

from stages.shared import paths


def test_rows_are_written_as_pandas_writes_them(tmp_path):
    rows = [
        {"seed": 0, "dy": -1, "accuracy": 0.1},
        {"seed": 1, "dy": 0, "accuracy": 2 / 3},
        {"seed": 10, "dy": 1, "accuracy": 1e-9},
    ]
    paths.write_csv(tmp_path / "ours.csv", ["seed", "dy", "accuracy"], rows)
    pd.DataFrame(rows).to_csv(tmp_path / "theirs.csv", index=False, float_format="%.6f", lineterminator="\n")
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()


def test_what_a_killed_process_left_in_a_scratch_folder_goes_when_the_next_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    (tmp_path / "partial" / "train-cnn" / "seed_0").mkdir(parents=True)
    with paths.scratch_folder("train-cnn") as folder:
        assert not list(folder.iterdir())
        (folder / "half").touch()
    assert not list((tmp_path / "partial").iterdir())


def test_without_rows_the_columns_are_still_named(tmp_path):
    paths.write_csv(tmp_path / "empty.csv", ["seed", "epoch"], [])
    assert (tmp_path / "empty.csv").read_text() == "seed,epoch\n"


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "kept.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="dict contains fields not in fieldnames"):
        paths.write_csv(path, ["a"], [{"a": 1}, {"b": 2}])
    assert [file.name for file in tmp_path.iterdir()] == ["kept.csv"]
    assert path.read_text() == "old"
