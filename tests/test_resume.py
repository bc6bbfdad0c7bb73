"""What an interrupted training had finished is used again; what changed since is not."""

import shutil

import pytest
from small_data import write_prepared

from stages import params, paths
from stages.train.compute import local, resume

SETTINGS = params.load()
RUN = SETTINGS.variants["cnn"].run.model_copy(update={"architecture": SETTINGS.architecture.model_copy(update={"channels": (2, 4)})})


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FINISHED_SEEDS", tmp_path / "seeds")
    write_prepared(tmp_path / "prepared")
    return tmp_path / "prepared"


def train(prepared, out, seeds, run=RUN, epochs=2):
    out.mkdir()
    local.train_seeds("cnn", run, epochs, seeds, prepared, out)
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def interrupted(prepared, out, monkeypatch, fails_at, seeds=(0, 1)):
    """Train until the seed `fails_at`, which breaks off."""
    trained = []
    real = local.train_run

    def train_run(run, epochs, seed, *rest):
        if seed == fails_at:
            raise RuntimeError("broken off")
        trained.append(seed)
        real(run, epochs, seed, *rest)

    monkeypatch.setattr(local, "train_run", train_run)
    monkeypatch.setenv("MAX_WORKERS", "1")
    with pytest.raises(RuntimeError, match="broken off"):
        train(prepared, out, seeds)
    monkeypatch.setattr(local, "train_run", real)


def test_finished_seeds_are_not_trained_again_and_the_files_are_those_of_an_undisturbed_training(prepared, tmp_path, monkeypatch):
    whole = train(prepared, tmp_path / "whole", (0, 1))
    paths.forget_seeds("cnn")
    interrupted(prepared, tmp_path / "first", monkeypatch, fails_at=1)
    kept = resume.kept_folder("cnn", RUN, 2, prepared)
    assert [folder.name for folder in kept.iterdir()] == ["seed_0"]
    monkeypatch.setattr(local, "train_run", lambda *arguments: _only(1, *arguments))
    assert train(prepared, tmp_path / "second", (0, 1)) == whole
    assert sorted(folder.name for folder in kept.iterdir()) == ["seed_0", "seed_1"], "DVC does not have the training before its stage has ended"
    paths.forget_seeds("cnn")
    assert not list(paths.FINISHED_SEEDS.iterdir())


def test_the_seeds_of_one_variant_are_forgotten_and_no_others(prepared, tmp_path):
    for name in ("cnn-1", "cnn-2", "cnn_again-1"):
        (paths.FINISHED_SEEDS / name / "seed_0").mkdir(parents=True)
    paths.forget_seeds("cnn")
    assert [folder.name for folder in paths.FINISHED_SEEDS.iterdir()] == ["cnn_again-1"]


def _only(allowed, run, epochs, seed, *rest):
    from stages.train.run import train_run

    assert seed == allowed, f"seed {seed} was trained again"
    train_run(run, epochs, seed, *rest)


def test_another_recipe_other_data_or_other_code_have_a_folder_of_their_own(prepared, tmp_path, monkeypatch):
    def of(run=RUN, epochs=2):
        return resume.kept_folder("cnn", run, epochs, prepared)

    first = of()
    assert of() == first
    other = RUN.model_copy(update={"recipe": RUN.recipe.model_copy(update={"lr": 0.5})})
    assert len({first, of(other), of(epochs=3)}) == 3
    write_prepared(prepared, seed=1)
    assert of() != first
    write_prepared(prepared)
    assert of() == first
    code = resume.code_of_stage()
    assert {"run.py", "build.py", "layouts.py", "seeds.py"} <= {file.name for file in code}
    monkeypatch.setattr(resume, "code_of_stage", lambda: code[1:])
    assert of() != first


def test_a_seed_that_broke_off_while_it_was_being_kept_counts_for_nothing(prepared, tmp_path):
    kept = resume.kept_folder("cnn", RUN, 2, prepared)
    (tmp_path / "seed_0").mkdir()
    (tmp_path / "seed_0" / "weights").write_text("half")
    shutil.copytree(tmp_path / "seed_0", kept / ".seed_0")
    assert not resume.take(kept, tmp_path / "out" / "seed_0")
    resume.keep(tmp_path / "seed_0", kept)
    assert resume.take(kept, tmp_path / "out" / "seed_0")


def test_a_kept_seed_of_which_a_file_is_lost_or_broken_is_trained_again(prepared, tmp_path):
    kept = resume.kept_folder("cnn", RUN, 2, prepared)
    (tmp_path / "seed_0").mkdir()
    for name in ("weights", "curves"):
        (tmp_path / "seed_0" / name).write_text("whole")
    for spoil in (
        lambda folder: (folder / "curves").unlink(),
        lambda folder: (folder / "curves").write_text("who"),
        lambda folder: (folder / "kept.json").unlink(),
        lambda folder: (folder / "kept.json").write_text('{"cur'),
    ):
        shutil.rmtree(kept, ignore_errors=True)
        resume.keep(tmp_path / "seed_0", kept)
        spoil(kept / "seed_0")
        assert not resume.take(kept, tmp_path / "out" / "seed_0")
    resume.keep(tmp_path / "seed_0", kept)
    assert resume.take(kept, tmp_path / "out" / "seed_0")
    assert sorted(file.name for file in (tmp_path / "out" / "seed_0").iterdir()) == ["curves", "weights"]
