"""A user's own net through the whole pipeline: trained beside another, trained again when its file is edited."""

import json

import pytest
from own_net import WHOLE
from pipeline_workspace import clone, trained_in, yaml
from report_content import Page

pytestmark = pytest.mark.slow

OWN = yaml.load("""
protocols:
  tiny:
    {baseline: cnn, train_size: 300, val_size: 100, epochs: 3, seeds: [0, 1], few_seeds: [0, 1], margin: 1,
     probe_images: 40, longer: null, variants: [cnn, own, whole]}
variants:
  cnn:
    families: {kernel: 3×3}
    run: {}
  own:
    families: {kernel: my 3×3}
    matched: {parameters: cnn, macs: cnn}
    run: {architecture: {connectivity: module, module: {file: template.py, class: Net, arguments: {width: 4}}}}
  whole:
    families: {kernel: whole}
    run: {architecture: {connectivity: module, module: {file: whole.py, class: Whole, arguments: {units: 8}}}}
""")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workspace = clone(tmp_path_factory.mktemp("own"), OWN)
    (workspace.folder / "hypotheses.yaml").write_text("{}\n")
    (workspace.folder / "modules" / "whole.py").write_text(WHOLE)
    workspace.first_output = workspace.succeed("dvc", "repro")
    return workspace


def test_own_nets_are_trained_probed_and_named_in_the_report(finished):
    assert trained_in(finished.first_output) == {"cnn": 2, "own": 2, "whole": 2}
    assert "misses" not in finished.first_output
    metrics = json.loads(finished.read("data/results/variants.json"))
    assert metrics["own"] == metrics["cnn"], "the template is the baseline of this protocol"
    probes = json.loads(finished.read("data/probes/whole/seed_0/probe.json"))
    assert probes["effective_field"] is None
    assert probes["ece"] is not None
    said = "These probes have no value for Kernel size: whole (an own net without features and head has no feature map"
    page = Page(finished.read("data/report/index.html"))
    assert said in page.text
    assert "connectivity: module; module: file: whole.py, class: Whole, arguments: units: 8" in page.text


def test_an_edit_of_the_file_trains_its_variant_again_and_no_other_and_a_mistake_trains_nothing(finished):
    """A comment alone would change the net's digest too: nobody can tell from outside what an edit changes."""
    before = finished.runs()
    finished.edit("modules/whole.py", "nn.Conv2d(shape[0], 4, 3)", "nn.Conv2d(shape[0], 4, 5)")
    assert trained_in(finished.succeed("dvc", "repro", "probe")) == {"whole": 2}
    after = finished.runs()
    assert {run for run in before if before[run] != after[run]} == {"whole/seed_0", "whole/seed_1"}
    finished.edit("modules/whole.py", "return self.last", "return self.lost")
    code, output = finished.run("dvc", "repro")
    assert code != 0
    assert "variants.whole.run.architecture.module.class = 'Whole': its forward fails on images" in output
    assert "AttributeError: 'Whole' object has no attribute 'lost'" in output
    assert "Running stage 'train'" not in output
    assert "Traceback" not in output
    assert finished.runs() == after
