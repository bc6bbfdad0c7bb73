"""A finished run is found again wherever it lies whole; what determines it decides, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from stages.shared import paths, run_records
from stages.shared.run_records import PlannedRun, Store, imported_files, is_finished, missing_runs, place, run_digest

DIGEST = "ab" + 62 * "0"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of runs; the scratch folder lies beside it."""
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    return tmp_path / "runs"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def make_run(folder, digest=DIGEST, size=5):
    folder.mkdir(parents=True)
    for name in ("weights", "curves"):
        (folder / name).write_bytes(b"x" * size)
    run_records.write_record(folder, digest)
    return folder


def planned(variant="cnn", seed=0, digest=DIGEST):
    return PlannedRun(variant, seed, digest, spec=None)


def test_a_record_holds_the_digest_and_those_of_the_files_and_nothing_of_the_clock(tmp_path):
    first, second = make_run(tmp_path / "first"), make_run(tmp_path / "second")
    record = (first / "record.json").read_bytes()
    assert record == (second / "record.json").read_bytes()
    assert set(json.loads(record)) == {"digest", "files"}
    assert set(json.loads(record)["files"]) == {"weights", "curves"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "curves").unlink(),
        lambda folder: (folder / "curves").write_text("yyyyy"),
        lambda folder: (folder / "another").write_text("x"),
        lambda folder: (folder / "record.json").unlink(),
        lambda folder: (folder / "record.json").write_text('{"dig'),
        lambda folder: (folder / "record.json").write_text("[]"),
        lambda folder: shutil.rmtree(folder),
    ],
    ids=["lost", "changed", "one more", "no record", "half a record", "another record", "no folder"],
)
def test_a_run_of_which_a_file_is_lost_or_changed_is_to_be_made_again(spoil, root, store):
    make_run(root / "cnn" / "seed_0")
    assert missing_runs([planned()], root, store=None) == [], "the store is not opened"
    spoil(root / "cnn" / "seed_0")
    assert missing_runs([planned()], root, lambda: store) == [planned()]


def test_a_run_with_another_digest_is_to_be_made_again_and_its_folder_goes(root, store):
    make_run(root / "cnn" / "seed_0", digest="cd" + DIGEST[2:])
    assert missing_runs([planned()], root, lambda: store) == [planned()]
    assert not (root / "cnn" / "seed_0").exists()


def test_a_finished_run_is_put_in_its_place_and_found_in_the_store_under_any_name(root, store, tmp_path):
    place(planned(), make_run(tmp_path / "trained"), root, store)
    assert is_finished(root / "cnn" / "seed_0", DIGEST)
    shutil.rmtree(root)
    assert missing_runs([planned("renamed", 7)], root, lambda: store) == []
    assert is_finished(root / "renamed" / "seed_7", DIGEST)
    assert (root / "renamed" / "seed_7" / "weights").stat().st_nlink == 2  # the store takes no second space


def test_what_came_back_as_another_run_or_in_part_is_refused(root, store, tmp_path):
    partial = make_run(tmp_path / "trained")
    (partial / "weights").unlink()
    for run in (planned(digest="cd" + DIGEST[2:]), planned()):
        with pytest.raises(run_records.StageError, match="variant 'cnn', seed 0: what came back is not the run"):
            place(run, partial, root, store)
    assert not root.exists()


def test_a_run_in_the_store_that_was_changed_through_a_link_is_made_again(root, store, tmp_path):
    place(planned(), make_run(tmp_path / "trained"), root, store)
    (root / "cnn" / "seed_0" / "weights").write_text("changed in place")
    assert missing_runs([planned()], root, lambda: store) == [planned()]
    place(planned(), make_run(tmp_path / "trained"), root, store)
    shutil.rmtree(root)
    assert missing_runs([planned()], root, lambda: store) == []


def test_two_processes_may_keep_the_same_run(store, tmp_path):
    store.keep(make_run(tmp_path / "one"))
    store.keep(make_run(tmp_path / "two"))
    assert len(store.entries()) == 1


def test_a_run_that_the_store_cannot_keep_is_an_error(store, tmp_path, monkeypatch):
    def no_permission(*_):
        raise PermissionError(13, "Permission denied")

    run = make_run(tmp_path / "trained")
    monkeypatch.setattr(Path, "rename", no_permission)
    with pytest.raises(PermissionError):
        store.keep(run)
    assert not list(store.folder.glob("*/.*"))


def test_a_run_that_another_process_removes_is_passed_over(store, tmp_path, monkeypatch):
    store.keep(make_run(tmp_path / "trained"))
    entries = [*store.entries(), store.folder / "ff" / "removed"]
    monkeypatch.setattr(store, "entries", lambda: entries)
    assert store.prune(0)[0] == 1
    assert not entries[0].exists()


def test_a_store_on_another_file_system_holds_copies(store, tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    store.keep(make_run(tmp_path / "trained"))
    assert is_finished(store.entries()[0], DIGEST)


def test_the_runs_that_were_used_longest_ago_leave_the_store_until_it_is_small_enough(store, tmp_path):
    digests = [f"{number:02d}{DIGEST[2:]}" for number in range(4)]
    for age, digest in enumerate(digests):
        store.keep(make_run(tmp_path / digest, digest, size=1000))
        os.utime(store.folder / digest[:2] / digest[2:], (age, age))
    size = sum(file.stat().st_size for file in store.entries()[0].iterdir())
    assert store.prune(2.5 * size) == (2, 2 * size)
    assert {entry.parent.name for entry in store.entries()} == {"02", "03"}
    half_kept = store.folder / "02" / ".left by a kill"
    half_kept.mkdir()
    os.utime(half_kept, (0, 0))
    assert store.prune(2.5 * size) == (0, 0)
    assert not half_kept.exists()


def test_runs_that_nobody_asks_for_leave_and_a_stray_file_too(root):
    for name in ("cnn/seed_0", "cnn/seed_1", "gone/seed_0"):
        make_run(root / name)
    (root / "stray.txt").write_text("x")
    run_records.remove_others([planned()], root)
    assert [path.relative_to(root).as_posix() for path in sorted(root.glob("**/seed_*"))] == ["cnn/seed_0"]
    assert [path.name for path in root.iterdir()] == ["cnn"]


def test_the_digest_depends_on_settings_data_and_code_and_not_on_their_order():
    files = {"stages/train/run.py": "1", "prepared/train.safetensors": "2", "torch": "2.14.1"}
    digest = run_digest("{}", files)
    assert digest == run_digest("{}", dict(reversed(files.items())))
    others = {run_digest('{"lr": 1}', files), *(run_digest("{}", files | {name: "x"}) for name in files)}
    assert digest not in others
    assert len(others) == 4


@pytest.mark.parametrize("module", ["stages.train.run", "stages.train.stacked", "stages.probe.run"])
def test_the_code_of_a_run_is_what_it_imports_geometry_included_and_no_exempt_module(module):
    names = {file.relative_to(run_records.CODE).as_posix() for file in imported_files(module)}
    needed = {"architectures/build.py", "architectures/geometry.py", "pixel_order.py", "random_streams.py"}
    assert {f"stages/shared/{name}" for name in needed} <= names
    assert module.replace(".", "/") + ".py" in names
    exempt = [room.replace(".", "/") for room in run_records.EXEMPT]
    assert not [name for name in names if name.removesuffix(".py").startswith(tuple(exempt))]
    assert all(run_records.EXEMPT.values()), "each exemption says why"
