"""What is impossible with the images names its variants and only these, before anything is trained."""

import os
import subprocess
import sys

import pytest
from ruamel.yaml import YAML
from small_data import write_prepared

from stages.shared import params, paths
from stages.shared.stage_command import StageError
from stages.train import checks

# What these tests need of params.yaml; the rest is the repository's.
SETTINGS = """
protocols:
  tiny:
    {baseline: cnn, train_size: all, val_size: 10, epochs: 1, seeds: [0], few_seeds: [0], margin: 1, probe_images: 5,
     longer: null, variants: [cnn, unpadded, mlp]}
protocol: tiny
architecture: {channels: [2, 2], kernel: 3, padding: zero, reduce_at: [1, 2], stride: 1, pooling: max, pool_size: 2}
variants:
  cnn: {families: {}, run: {}}
  unpadded: {families: {}, run: {architecture: {padding: valid}}}
  mlp:
    families: {}
    run: {sample: {layout: patches_3, train_size: 70}, architecture: {connectivity: fully_connected, channels: [4]}}
  elsewhere: {families: {}, run: {sample: {layout: patches_5}, architecture: {kernel: 99, padding: valid}}}
families: {}
data: {dataset: npz, file: mine.npz}
"""
SIGNALS = (("kernel: 3,", "kernel: [1, 3],"), ("pool_size: 2", "pool_size: [1, 2]"), ("patches_3", "permuted"))


@pytest.fixture
def settings(tmp_path):
    def of(*edits):
        """edits: (old, new) in SETTINGS."""
        text, yaml = SETTINGS, YAML(typ="safe", pure=True)
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        of_repository, of_test = yaml.load(paths.PARAMS.read_text()), yaml.load(text)
        for block in ("architecture", "data"):
            of_test[block] = of_repository[block] | of_test[block]
        with (tmp_path / "params.yaml").open("w") as file:
            yaml.dump(of_repository | of_test, file)
        return params.load(tmp_path / "params.yaml")

    return of


def prepared(height, width, **counts):
    """The constants of images of this size."""
    margin = [1 if size > 1 else 0 for size in (height, width)]
    return {
        "shape": [1, height + 2 * margin[0], width + 2 * margin[1]],
        "margin": margin,
        "class_counts": {"train": [40, 24, 16]} | counts,
    }


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((4, 4), r"(?s)these images are 6×6 with their margin; .*\n  variants\.unpadded\.run\.architecture: layer 2"),
        ((9, 8), r"variants\.mlp: patches of 3 do not tile images of 9×8; .*sample\.layout"),
        ((1, 12), r"\n  variants\.cnn\.run\.architecture: layer 1: .* vanishes \(1×14 → 0×7\).*\[height, width\]"),
    ],
    ids=["too small for a net", "not tiled", "signals"],
)
def test_images_that_do_not_fit_a_variant_name_it_and_none_that_the_protocol_does_not_run(size, message, settings):
    with pytest.raises(StageError, match=message) as caught:
        checks.check_variants(settings(), prepared(*size))
    assert ("variants.cnn" in str(caught.value)) == (size[0] == 1)
    assert "elsewhere" not in str(caught.value)


def test_images_and_signals_that_fit_pass(settings):
    checks.check_variants(settings(), prepared(9, 12))
    checks.check_variants(settings(*SIGNALS), prepared(1, 12))


def test_a_sample_larger_than_all_that_val_leaves_names_the_variant_and_both_numbers(settings):
    checks.check_samples(settings(), prepared(9, 12))
    checks.check_samples(settings(("train_size: 70", "train_size: 80")), prepared(9, 12, val=[4, 3, 3]))
    too_few = r"protocol 'tiny' has 70 train images; too few for\n  variants\.mlp\.run\.sample\.train_size = 71$"
    with pytest.raises(StageError, match=too_few):
        checks.check_samples(settings(("train_size: 70", "train_size: 71")), prepared(9, 12))


def test_the_stage_refuses_them_before_it_records_or_trains_anything(settings, tmp_path):
    settings()
    (tmp_path / "hypotheses.yaml").write_text("{}")
    write_prepared(tmp_path / "data" / "prepared")
    command, environment = [sys.executable, "-m", "stages.train"], os.environ | {"PIPELINE_ROOT": str(tmp_path)}
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "\n  variants.unpadded.run.architecture: layer 2: " in done.stderr) == (1, True)
    assert not (tmp_path / "data" / "declared").exists()
    assert not (tmp_path / "data" / "runs").exists()
