"""What `compare` says to do where results and settings do not belong together, or the workspace is the experiment."""

import re
from dataclasses import replace

import pytest
from fake_results import REPOSITORY
from small_compared import result

from stages.shared import params, paths
from stages.shared.stage_command import StageError
from stages.tools.compare import results, revisions, wording
from stages.tools.compare.side_by_side import compare

pytestmark = pytest.mark.slow

INFERENCE = params.load(REPOSITORY / "params.yaml").inference


def refusal(name):
    (revision,) = revisions.resolve([name])
    with pytest.raises(StageError) as refused:
        results.read(revision)
    return str(refused.value)


def test_results_that_were_committed_without_their_settings_are_told_from_others(project):
    committed = paths.PARAMS.read_text(encoding="utf-8")
    project.write(lambda raw: raw["protocols"]["default"].update(epochs=9))
    project.track()
    ours = paths.PARAMS.read_text(encoding="utf-8")
    project.git("add", "dvc.lock")
    project.git("commit", "-qm", "Results without params.yaml")
    assert refusal("HEAD") == (
        "the results of 'HEAD' were not made with the settings that it has now (protocols); they were made with those "
        "of params.yaml in the workspace, which are not committed there: `git add params.yaml hypotheses.yaml modules "
        "dvc.lock data/metrics.json data/declared` and `git commit` keep settings and results together"
    )
    paths.PARAMS.write_text(committed, encoding="utf-8")
    assert refusal("HEAD").endswith("(protocols); run `git checkout HEAD` and `dvc repro`")
    paths.PARAMS.write_text(ours, encoding="utf-8")
    project.git("add", "-A")
    project.git("commit", "-qm", "And the settings")
    assert results.read(*revisions.resolve(["HEAD"])).settings["protocols"]["default"]["epochs"] == 9


def test_another_layout_of_the_settings_is_no_difference(project):
    """As `dvc exp run --set-param` leaves params.yaml."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    settings = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        YAML().dump(dict(reversed(settings.items())), file)
    compared = [results.read(revision) for revision in revisions.resolve(["first", "workspace"])]
    assert compare(compared, INFERENCE).settings == {}


def test_the_advice_names_what_the_readme_commits():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^git add ([^#\n]*?) +#", readme, re.MULTILINE)[1].split() == list(results.COMMITTED)


@pytest.mark.parametrize(("name", "is_experiment"), [("workspace", True), ("workspace", False), ("HEAD", True)])
def test_a_workspace_that_is_the_experiment_is_named_so(name, is_experiment):
    first, second = (result(one, {"cnn": {0: [1, 0]}}) for one in ("mine", name))
    first = replace(first, revision=replace(first.revision, is_experiment=is_experiment))
    text = wording.overall(compare([first, second], INFERENCE))
    assert text.startswith("Nothing differs")
    expected = name == "workspace" and is_experiment
    assert ("The workspace is mine: `dvc exp run` leaves the results of an experiment there" in text) == expected
    assert ("`make compare A=HEAD B=mine`" in text) == expected
