"""docs/nets.md: every example is a variant that can be trained, and its formulas are those of the closed forms."""

import re

import pytest
import torch
from ruamel.yaml import YAML
from untrained_net import changed

from stages.shared import params, paths
from stages.shared.architectures.build import build
from stages.shared.architectures.closed_form import closed_form

TEXT = (paths.ROOT / "docs" / "nets.md").read_text()
CANVAS = (1, 32, 32)


def test_every_example_is_a_net_that_can_be_built(tmp_path):
    examples = {}
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL):
        examples |= YAML(typ="safe").load(block)
    raw = YAML(typ="safe").load(paths.PARAMS.read_text())
    raw["variants"] |= examples
    raw["protocols"]["quick"]["variants"] += list(examples)
    raw["protocol"] = "quick"
    YAML().dump(raw, tmp_path / "params.yaml")
    settings = params.load(tmp_path / "params.yaml")
    assert len(examples) == 5
    for key in examples:
        net = settings.trained_variants[key].run.architecture
        model = build(net, CANVAS, 10, [0.3], [0.3], torch.Generator())
        assert sum(p.numel() for p in model.parameters()) == closed_form(net, CANVAS, 10).parameters


@pytest.mark.parametrize(("width", "ratio"), [(8, 1), (12, 3)])
def test_a_block_of_tokens_has_the_parameters_that_the_text_says(width, ratio):
    def of_a_block(connectivity):
        one, two = (
            closed_form(changed(connectivity=connectivity, channels=(width,) * depth, mlp_ratio=ratio), CANVAS, 10)
            for depth in (1, 2)
        )
        # The head is as wide, so that only the block is more.
        return two.parameters - one.parameters

    mlp, norms, tokens = 2 * ratio * width**2 + (ratio + 1) * width, 4 * width, 64
    assert of_a_block("attention") == 4 * width**2 + 4 * width + mlp + norms
    assert of_a_block("mixer") == 2 * ratio * tokens**2 + (ratio + 1) * tokens + mlp + norms
