"""A user's own net through the whole pipeline: trained beside another, trained again when its file is edited."""

import json
import shutil

import pytest
from own_net import WHOLE
from pipeline_workspace import Workspace, trained_in, yaml
from report_content import Page

pytestmark = pytest.mark.slow

OWN = yaml.load("""
own:
  families: {kernel: my 3×3}
  matched: {parameters: cnn, macs: cnn}
  run: {architecture: {connectivity: module, module: {file: template.py, class: Net, arguments: {width: 4}}}}
whole:
  families: {kernel: whole}
  run: {architecture: {connectivity: module, module: {file: whole.py, class: Whole, arguments: {units: 8}}}}
""")


@pytest.fixture(scope="module")
def finished(finished_workspace, tmp_path_factory):
    """The finished clone, to which two nets of the user's were added."""
    folder = tmp_path_factory.mktemp("own") / "copy"
    shutil.copytree(finished_workspace.folder, folder, symlinks=True)
    workspace = Workspace(folder)
    with workspace.edited("params.yaml") as settings:
        settings["variants"] |= OWN
        settings["protocols"]["tiny"]["variants"] = ["cnn", *OWN]
    (folder / "hypotheses.yaml").write_text("{}\n")
    (folder / "modules" / "whole.py").write_text(WHOLE)
    workspace.first_output = workspace.succeed("dvc", "repro")
    return workspace


def test_own_nets_are_trained_probed_and_named_in_the_report(finished):
    assert trained_in(finished.first_output) == {"own": 3, "whole": 3}
    assert "misses" not in finished.first_output
    metrics = json.loads(finished.read("data/results/variants.json"))
    assert metrics["own"] == metrics["cnn"], "the template is the baseline of this protocol"
    probes = json.loads(finished.read("data/probes/whole/seed_0/probe.json"))
    assert probes["effective_field"] is None
    assert probes["ece"] is not None
    sentence = (
        "These probes have no value for Kernel size: whole (an own net without features and head has no feature map"
    )
    page = Page(finished.read("data/report/index.html"))
    assert sentence in page.text
    assert "connectivity: module; module: file: whole.py, class: Whole, arguments: units: 8" in page.text


def test_an_edit_of_the_file_trains_its_variant_again_and_no_other_and_a_mistake_trains_nothing(finished):
    """A comment alone would change the net's digest too: nobody can tell from outside what an edit changes."""
    before = finished.runs()
    finished.edit("modules/whole.py", "nn.Conv2d(shape[0], 4, 3)", "nn.Conv2d(shape[0], 4, 5)")
    assert trained_in(finished.succeed("dvc", "repro", "probe")) == {"whole": 3}
    after = finished.runs()
    assert {run for run in before if before[run] != after[run]} == {f"whole/seed_{seed}" for seed in range(3)}
    finished.edit("modules/whole.py", "return self.last", "return self.lost")
    code, output = finished.run("dvc", "repro")
    assert code != 0
    assert "variants.whole.run.architecture.module.class = 'Whole': its forward fails on images" in output
    assert "AttributeError: 'Whole' object has no attribute 'lost'" in output
    assert "Running stage 'train'" not in output
    assert "Traceback" not in output
    assert finished.runs() == after
