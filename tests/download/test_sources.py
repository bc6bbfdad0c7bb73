"""From one source to the next: earlier downloads, mirrors, and folders of the user's."""

from functools import partial

import numpy as np
import pytest
from small_published import CONTENT, DATASET, FILES, IMAGES, PACKED, TRAIN_IMAGES, TRAIN_LABELS, names_in, put

from stages.download.published import SourceFailed
from stages.download.sources import Source, from_folder, from_mirror, obtain, sources
from stages.shared.stage_command import StageError


def failing(name, reason):
    def fetch(files, folder):
        raise SourceFailed(reason)

    return Source(name, fetch)


def mirror(name, server):
    return Source(name, partial(from_mirror, server.address))


def test_the_next_source_is_asked_only_for_what_the_first_did_not_give(serve, tmp_path, capsys):
    first = {name: PACKED[name] for name in list(PACKED)[:2]}
    one, two = serve(first), serve(PACKED)
    paths_of, source = obtain("Small", FILES, tmp_path, [mirror("mirror 1", one), mirror("mirror 2", two)])
    assert [name for name, _ in two.requests] == [file.name for file in FILES[2:]]
    assert list(paths_of) == [file.name for file in FILES]
    assert source == "mirror 1; mirror 2"
    assert "mirror 1 does not serve" in capsys.readouterr().out


def test_a_second_run_uses_the_verified_files_and_remembers_their_source(tmp_path):
    put(tmp_path / "mine", PACKED)
    obtain("Small", FILES, tmp_path / "kept", [Source("my disk", partial(from_folder, tmp_path / "mine"))])
    paths_of, source = obtain("Small", FILES, tmp_path / "kept", [failing("nobody", "must not be asked")])
    assert source == "my disk"
    assert {name: path.read_bytes() for name, path in paths_of.items()} == PACKED


SPOILT = {"cut": lambda b: b[:-40], "damaged": lambda b: b[:500] + bytes(4) + b[504:], "empty": lambda b: b""}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_in_the_cache_is_removed_and_fetched_again(serve, tmp_path, spoil, capsys):
    put(tmp_path, PACKED | {IMAGES.name: spoil(PACKED[IMAGES.name])})
    server = serve(PACKED)
    obtain("Small", FILES, tmp_path, [mirror("mirror", server)])
    assert server.requests == [(IMAGES.name, None)]
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]
    assert f"removing it from {tmp_path}" in capsys.readouterr().out


def test_a_spoilt_file_in_the_cache_is_not_used_when_no_source_serves(tmp_path):
    put(tmp_path, PACKED | {IMAGES.name: PACKED[IMAGES.name][:-40]})
    with pytest.raises(StageError, match=f"missing: {IMAGES.name}\n"):
        obtain("Small", FILES, tmp_path, [failing("mirror", "no answer")])
    assert not (tmp_path / IMAGES.name).exists()


def test_when_all_sources_fail_one_message_has_each_reason_and_what_to_do(tmp_path):
    put(tmp_path, {FILES[1].name: PACKED[FILES[1].name]})
    with pytest.raises(StageError) as caught:
        obtain("Small", FILES, tmp_path, [failing("mirror A", "no answer"), failing("the attic", "dusty")])
    message = str(caught.value)
    for part in ("mirror A: no answer", "the attic: dusty", IMAGES.name, "  1. ", "DATASET_FOLDER", "dataset: digits"):
        assert part in message
    assert FILES[1].name not in message, "it is there, so it is not missing"


def test_sources_stand_in_order_and_a_named_folder_before_them(monkeypatch):
    monkeypatch.setattr("stages.download.sources.mirrors", lambda name: ["http://a/", "http://b/"])
    order = [
        "torchvision's mirror http://a/",
        "torchvision's mirror http://b/",
        "Debian's package dataset-small",
        "the folder data/user/",
    ]
    assert [source.name for source in sources(DATASET)] == order
    monkeypatch.setenv("DATASET_FOLDER", "/somewhere")
    assert [source.name for source in sources(DATASET)] == ["the folder /somewhere (DATASET_FOLDER)", *order[:3]]


# --- from a folder of the user's

FOLDERS = {
    "packed": PACKED,
    "unpacked": CONTENT,
    "unpacked under the name .gz": {f"{name}.gz": content for name, content in CONTENT.items()},
}


@pytest.mark.parametrize("content", FOLDERS.values(), ids=FOLDERS)
def test_a_folder_may_hold_the_files_packed_or_not(tmp_path, content):
    mine = put(tmp_path / "mine", content)
    paths_of, _ = obtain("Small", FILES, tmp_path / "kept", [Source("mine", partial(from_folder, mine))])
    arrays, classes = DATASET.read(paths_of)
    np.testing.assert_array_equal(arrays["train_images"][..., 0], TRAIN_IMAGES)
    np.testing.assert_array_equal(arrays["test_labels"], TRAIN_LABELS[:8])
    assert classes == ["a", "b", "c", "d"]


def test_a_wrong_file_in_the_users_folder_is_refused_and_left_there(tmp_path):
    mine = put(tmp_path / "mine", PACKED | {IMAGES.name: PACKED[IMAGES.name][:-9]})
    (tmp_path / "kept").mkdir()
    with pytest.raises(SourceFailed, match=f"{IMAGES.name} breaks off after"):
        from_folder(mine, FILES, tmp_path / "kept")
    assert (mine / IMAGES.name).read_bytes() == PACKED[IMAGES.name][:-9]
    assert names_in(tmp_path / "kept") == sorted(set(PACKED) - {IMAGES.name}), "the sound ones are taken"


def test_a_folder_that_lacks_files_or_is_not_there_gives_its_reason(tmp_path):
    with pytest.raises(SourceFailed, match=r"it has no train-images-idx3-ubyte\.gz or train-images-idx3-ubyte"):
        from_folder(put(tmp_path / "empty", {}), FILES, tmp_path)
    with pytest.raises(SourceFailed, match="no such folder"):
        from_folder(tmp_path / "absent", FILES, tmp_path)
