"""What was finished of an interrupted stage, or ahead of it, is used again; what changed since is not."""

import subprocess
import sys

import pytest
from small_data import write_prepared

from stages.shared import params, paths, run_records
from stages.shared.params import TrainPlan
from stages.train import local
from stages.train import run as training

SETTINGS = params.load()
RUN = SETTINGS.variants["cnn"].run.model_copy(
    update={"architecture": SETTINGS.architecture.model_copy(update={"channels": (2, 4)})}
)


def plan(run=RUN, epochs=2, seeds=(0, 1), **changed):
    return TrainPlan(run=run, epochs=epochs, seeds=seeds, **changed)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FINISHED_SEEDS", tmp_path / "seeds")
    monkeypatch.setenv("MAX_WORKERS", "1")
    write_prepared(tmp_path / "prepared")
    return tmp_path / "prepared"


@pytest.fixture
def trained(monkeypatch):
    """The seeds that were really trained, in their order; one that is in `broken` breaks off."""
    real, seen = training.train_run, Trained()

    def train_run(run, epochs, seed, *rest):
        if seed in seen.broken:
            raise RuntimeError("broken off")
        seen.append(seed)
        real(run, epochs, seed, *rest)

    monkeypatch.setattr(training, "train_run", train_run)
    monkeypatch.setattr(
        local, "spread", lambda task, items, **_: [task(item, lambda text: None) for item in items]
    )  # in this process
    return seen


class Trained(list):
    broken = ()


def train(prepared, out, seeds, run=RUN, epochs=2):
    out.mkdir()
    local.train_seeds("cnn", plan(run, epochs, seeds), prepared, out)
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def test_finished_seeds_are_not_trained_again_and_the_files_are_those_of_an_undisturbed_training(
    prepared, tmp_path, trained
):
    trained.broken = (1,)
    with pytest.raises(RuntimeError, match="broken off"):
        train(prepared, tmp_path / "first", (0, 1))
    trained.broken = ()
    second = train(prepared, tmp_path / "second", (0, 1))
    assert trained == [0, 1]
    run_records.forget(paths.FINISHED_SEEDS, "cnn")
    assert train(prepared, tmp_path / "whole", (0, 1)) == second
    assert trained == [0, 1, 0, 1]
    assert not any(name.endswith(run_records.RECORD) for name in second)


def test_what_was_trained_ahead_is_what_the_stage_takes(prepared, tmp_path, trained):
    other = RUN.model_copy(update={"recipe": RUN.recipe.model_copy(update={"lr": 0.5})})
    local.train_ahead({"cnn": plan(), "cnn_again": plan(other, seeds=(0,))}, prepared)
    assert trained == [0, 1, 0]
    train(prepared, tmp_path / "cnn", (0, 1))
    assert trained == [0, 1, 0]
    assert len(list(paths.FINISHED_SEEDS.glob("cnn_again-*"))) == 1


def test_the_seeds_of_one_variant_are_forgotten_and_no_others(tmp_path):
    for name in ("cnn-1", "cnn-2", "cnn_again-1"):
        (tmp_path / name / "seed_0").mkdir(parents=True)
    run_records.forget(tmp_path, "cnn")
    assert [folder.name for folder in tmp_path.iterdir()] == ["cnn_again-1"]


def test_another_recipe_other_data_or_other_code_have_a_folder_of_their_own(prepared, monkeypatch):
    def of(**changed):
        return local.kept_folder("cnn", plan(**changed), prepared)

    first = of()
    assert of() == first == of(seeds=(7,))
    other = RUN.model_copy(update={"recipe": RUN.recipe.model_copy(update={"lr": 0.5})})
    assert len({first, of(run=other), of(epochs=3), of(machine=params.Machine(instruction_set="avx2"))}) == 4
    write_prepared(prepared, seed=1)
    assert of() != first
    write_prepared(prepared)
    assert of() == first
    code = local.code_of_stage()
    assert {"run.py", "build.py", "layouts.py", "seeds.py"} <= {file.name for file in code}
    monkeypatch.setattr(local, "code_of_stage", lambda: code[1:])
    assert of() != first


def keep(seed_folder):
    with run_records.making(seed_folder) as folder:
        for name in ("weights", "curves"):
            (folder / name).write_text("whole")


def test_a_seed_that_broke_off_while_it_was_made_counts_for_nothing(tmp_path):
    seed_folder = tmp_path / "cnn-1" / "seed_0"

    def broken():
        with run_records.making(seed_folder) as folder:
            (folder / "weights").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert not run_records.is_whole(seed_folder)
    keep(seed_folder)
    assert run_records.is_whole(seed_folder)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "curves").unlink(),
        lambda folder: (folder / "curves").write_text("who"),
        lambda folder: (folder / "kept.json").unlink(),
        lambda folder: (folder / "kept.json").write_text('{"fil'),
    ],
    ids=["lost", "cut short", "without record", "with half a record"],
)
def test_a_kept_seed_of_which_a_file_is_lost_or_broken_is_made_again(spoil, tmp_path):
    seed_folder = tmp_path / "cnn-1" / "seed_0"
    keep(seed_folder)
    spoil(seed_folder)
    assert not run_records.is_whole(seed_folder)
    keep(seed_folder)
    assert run_records.is_whole(seed_folder)


def test_a_stage_that_finds_all_of_its_seeds_kept_imports_no_torch():
    code = "import sys, stages.train.__main__, stages.probe.__main__, stages.ahead; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT).returncode == 0
