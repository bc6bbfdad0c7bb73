"""What `compare` reads of revisions in a repository, and what it says where something is missing there."""

import shutil
import sys

import fake_results
import numpy as np
import pytest
from fake_results import REPOSITORY
from safetensors.numpy import load_file

from stages.shared import params, paths
from stages.shared.run_records import file_digest
from stages.shared.stage_command import StageError
from stages.tools.compare import output, results, revisions, side_by_side
from stages.tools.compare.__main__ import main

pytestmark = pytest.mark.slow

INFERENCE = params.load(REPOSITORY / "params.yaml").inference


def compare(*compared):
    return side_by_side.compare(compared, INFERENCE)


def read(*names):
    return [results.read(revision) for revision in revisions.resolve(names)]


def test_a_revision_is_read_as_it_was_whatever_the_workspace_holds(project):
    project.write(means={"cnn": 0.5, "kernel_5": 0.25})
    project.track()
    first, now = read("first", "workspace")
    assert [float(images.mean()) for images in now.variants["kernel_5"].correct.values()] == [0.25] * 3
    assert [float(images.mean()) for images in first.variants["kernel_5"].correct.values()] == [0.9] * 3
    assert first.digests["kernel_5"] != now.digests["kernel_5"]
    assert list(now.variants) == ["cnn", "kernel_5"]
    assert now.variants["cnn"].curves["epoch"].max() == now.settings["protocols"]["default"]["epochs"]
    assert side_by_side.compare([first, now], INFERENCE).pairs[0].same == []


def test_the_workspace_has_the_results_that_its_dvc_lock_names_whatever_its_folders_hold(project):
    """As after `git checkout` without `dvc checkout`."""
    project.write(means={"cnn": 0.5, "kernel_5": 0.25})
    first, now = read("first", "workspace")
    assert side_by_side.compare([first, now], INFERENCE).nothing_differs


def test_reading_changes_no_file(project):
    def files():
        tracked = [path for path in project.root.rglob("*") if path.is_file()]
        hidden = (".git/", ".dvc/tmp/")
        return {path: path.stat().st_mtime_ns for path in tracked if not any(one in f"{path}" for one in hidden)}

    before = files()
    output.text(side_by_side.compare(read("first", "workspace"), INFERENCE))
    assert files() == before


def test_shift_consistency_is_read_where_the_probe_saw_the_runs_that_are_there_now(project):
    arrays = load_file(project.root / "data/probes/cnn/seed_1/by_image.safetensors")
    (now,) = read("workspace")
    assert now.margin == (2, 2)
    assert now.variants["cnn"].arm("shift_consistency")[1].tolist() == arrays["consistency"].tolist()
    project.write(means={"cnn": 0.5, "kernel_5": 0.25})
    project.track("prepare", "train")
    (now,) = read("workspace")
    assert [variant.arm("shift_consistency") for variant in now.variants.values()] == [None, None]


def test_without_a_margin_there_is_no_shift_consistency(project):
    project.write(lambda raw: raw["protocols"]["default"].update(margin=0))
    project.track()
    assert read("workspace")[0].variants["cnn"].arm("shift_consistency") is None


def test_another_margin_leaves_the_test_images_the_same_and_another_image_does_not(project):
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 28, 28), dtype=np.uint8)

    def test_set(margin):
        padded = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
        project.write(lambda raw: raw["protocols"]["default"].update(margin=margin), images=padded)
        project.track()
        return read("workspace")[0].test

    two = test_set(2)
    assert side_by_side.why_unpaired(two, test_set(1)) == ""
    images[39, 0, 0, 0] += 1
    assert "not the same ones" in side_by_side.why_unpaired(two, test_set(1))


def test_a_variant_that_the_protocol_left_is_in_the_first_alone(project):
    project.write(lambda raw: raw["protocols"]["default"].update(variants=["cnn"]))
    project.track()
    first, now = read("first", "workspace")
    assert list(now.variants) == ["cnn"]
    assert side_by_side.compare([first, now], INFERENCE).pairs[0].alone == {"kernel_5": first}


def test_code_that_trained_and_differs_is_named(project):
    (project.root / "stages/train/recipe.py").write_text("lr = 2\n")
    sides = compare(*read("first", "workspace"))
    assert sides.code == []  # nothing has run with the new code yet
    project.track("train")
    assert compare(*read("first", "workspace")).code == ["stages/train"]


def test_runs_that_diverged_have_their_epoch(project):
    project.write(diverged={"cnn": {1: 2}})
    project.track()
    (now,) = read("workspace")
    assert now.variants["cnn"].diverged == {1: 2}
    assert list(now.variants["cnn"].correct) == [0, 2]


def lose_run(project):
    shutil.rmtree(project.root / "data/runs/cnn/seed_2")
    project.track("train")


def lose_stage(project):
    text = paths.DVC_LOCK.read_text()
    start, end = text.index("  train:"), text.index("  probe:")
    paths.DVC_LOCK.write_text(text[:start] + text[end:])


def prepare_again(project):
    (project.root / "data/prepared/constants.json").write_text("{}")
    project.track("prepare")


def damage_file(project):
    copy = cached(project.root / "data/runs/cnn/seed_1/predictions.safetensors")
    copy.unlink()  # it is read-only
    copy.write_bytes(b"?")


def cached(path):
    """DVC's copy of a file."""
    digest = file_digest(path)
    copies = [path for path in (paths.ROOT / ".dvc/cache").rglob("*") if path.is_file()]
    (copy,) = [path for path in copies if file_digest(path) == digest]
    return copy


def set_epochs(project):
    project.write(lambda raw: raw["protocols"]["default"].update(epochs=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda project: paths.DVC_LOCK.unlink(),
            "'workspace' has no dvc.lock: nothing was run there; run `dvc repro`",
        ),
        (set_epochs, "were not made with the settings that it has now (protocols); run `dvc repro`"),
        (lose_stage, "dvc.lock of 'workspace' has no stage train: it never finished there; run `dvc repro train`"),
        (prepare_again, "the runs of 'workspace' were not trained on the data that it has now; run `dvc repro`"),
        (lose_run, "lacks data/runs/cnn/seed_2/record.json of 'workspace'"),
        (lambda project: paths.DVC_LOCK.write_text("a: ["), "'workspace': dvc.lock is not valid YAML"),
        (damage_file, "data/runs/cnn/seed_1/predictions.safetensors of 'workspace' is damaged"),
    ],
)
def test_what_is_missing_is_named_with_what_to_run(change, message, project):
    change(project)
    with pytest.raises(StageError) as refused:
        read("workspace")
    assert message in str(refused.value)
    assert "`dvc repro" in str(refused.value) or "dvc.lock" in message


def test_a_file_that_the_cache_has_lost_is_named_with_the_commands_that_bring_it_back(project):
    lost = project.root / "data/runs/cnn/seed_1/predictions.safetensors"
    cached(lost).unlink()
    message = (
        f"lacks {lost.relative_to(project.root)} of 'first'; `dvc fetch --all-commits` .* "
        "run `git checkout first` and `dvc repro train`"
    )
    with pytest.raises(StageError, match=message):
        read("first")


def test_a_revision_of_another_layout_is_refused(project):
    project.edit_lock("protocols:", "protocols_before:")
    text = paths.PARAMS.read_text().replace("protocols:", "protocols_before:")
    paths.PARAMS.write_text(text)
    with pytest.raises(StageError, match=r"params\.yaml of 'workspace' has no `protocols`"):
        read("workspace")


def experiment(project, name, baseline):
    """As DVC keeps them: a commit under the commit that it started from."""
    commit = project.git("commit-tree", "HEAD^{tree}", "-p", baseline, "-m", name)
    project.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
    return commit


def test_names_are_those_of_experiments_branches_tags_and_commits(project):
    head = project.git("rev-parse", "HEAD")
    commit = experiment(project, "warm-fig", head)
    resolved = revisions.resolve(["warm-fig", "main", "first", "HEAD", head[:8], "workspace"])
    assert [revision.commit for revision in resolved] == [commit, head, head, head, head, None]
    assert [revision.is_experiment for revision in resolved] == [True, *[False] * 5]
    assert resolved[0].description.endswith(f", experiment on {head[:7]}")
    assert resolved[0].how_to_run() == "run `dvc exp apply warm-fig` and `dvc exp run`"


def test_an_unknown_name_is_refused_with_close_ones(project):
    experiment(project, "warm-fig", project.git("rev-parse", "HEAD"))
    with pytest.raises(StageError) as refused:
        revisions.resolve(["warm-fog"])
    assert str(refused.value) == (
        "'warm-fog' is neither an experiment nor a git revision (did you mean 'warm-fig'?); "
        "there are experiments: warm-fig; git: main, first; workspace"
    )
    with pytest.raises(StageError, match="did you mean 'workspace'"):
        revisions.resolve(["workspaces"])
    for name in ("--all", "HEAD:dvc.yaml"):
        with pytest.raises(StageError, match="neither an experiment"):
            revisions.resolve([name])


def test_of_experiments_with_one_name_the_one_that_started_from_head_is_meant(project):
    first = project.git("rev-parse", "HEAD")
    project.commit("second")
    experiment(project, "twin", first)
    commit = experiment(project, "twin", project.git("rev-parse", "HEAD"))
    assert revisions.resolve(["twin"])[0].commit == commit
    project.commit("third")
    with pytest.raises(StageError, match="2 experiments are named 'twin'; name one by its commit"):
        revisions.resolve(["twin"])


def test_without_a_commit_the_workspace_says_so(project):
    project.git("checkout", "-q", "--orphan", "empty")
    assert revisions.resolve(["workspace"])[0].description == "the files as they are, on no commit yet"


def test_outside_git_it_says_so(tmp_path, monkeypatch):
    fake_results.reroot(monkeypatch, tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(StageError, match="is not a git repository"):
        revisions.resolve(["HEAD", "workspace"])
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(StageError, match="is not a git repository"):
        revisions.resolve(["HEAD", "workspace"])


def test_help_names_the_defaults(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "data/compare/index.html" in text
    assert "workspace" in text


def test_variants_that_are_trained_longer_are_compared_too():
    revision = revisions.Revision("workspace", None, "")
    planned = results._planned_seeds(fake_results.settings(), revision)
    settings = params.load(REPOSITORY / "params.yaml")
    assert planned == {key: list(settings.seeds(key)) for key in settings.trained_variants}
    assert any(key.endswith(params.LONGER) for key in planned)
