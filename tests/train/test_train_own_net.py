"""Training a user's own net: bits that repeat, and a fault of its own in one message."""

from functools import partial

import pytest
from own_net import HEAD, WHOLE, own_architecture, use_folder

from stages.shared import paths
from stages.shared.prepared_data import load_constants
from stages.shared.run_records import PlannedRun
from stages.shared.stage_command import StageError
from stages.train import checks, local


@pytest.fixture
def modules(monkeypatch, tmp_path):
    return use_folder(monkeypatch, tmp_path, my_net=HEAD, whole=WHOLE)


def of_own_net(spec, *names, **arguments):
    return spec.model_copy(update={"architecture": own_architecture(*names, **arguments)})


@pytest.mark.parametrize("recipe", [{}, {"ema_decay": 0.9, "augment_shift": 1, "precision": "bfloat16"}])
def test_the_same_run_twice_gives_the_same_bytes_and_another_seed_does_not(recipe, modules, run_spec, train, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(of_own_net(run_spec(seed, **recipe), "whole.py", "Whole", units=6), tmp_path / name)
    one, same, other = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "abc")
    assert one == same != other
    metrics = paths.read_json(tmp_path / "a" / "metrics.json")
    assert (metrics["connectivity"], metrics["map_sizes"], metrics["receptive_field"]) == ("module", [], None)


def test_the_template_learns_what_the_same_net_of_this_project_learns(modules, run_spec, train, tmp_path):
    for name, spec in {"twin": run_spec(), "own": of_own_net(run_spec(), "template.py", width=4)}.items():
        train(spec, tmp_path / name)
    twin, own = (paths.read_json(tmp_path / name / "metrics.json") for name in ("twin", "own"))
    for name in ("train_loss", "val_loss", "test_loss"):
        assert own[name] == pytest.approx(twin[name], rel=1e-4)


def test_a_fault_in_the_middle_of_training_names_the_class_and_the_line(
    modules, run_spec, prepared, tmp_path, monkeypatch
):
    broken = HEAD.replace("return self", "assert len(images) != 2, 'a batch of 2'\n        return self")
    (modules / "my_net.py").write_text(broken)
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    run = PlannedRun("mine", 0, "digest", of_own_net(run_spec(batch_size=8)))  # of 90 images; the last batch has 2
    message = (
        r"^variants\.mine\.run\.architecture\.module\.class = 'Net': training fails under seed 0: AssertionError: "
    )
    with pytest.raises(StageError, match=message + r"a batch of 2 \(my_net\.py, line 13\)$"):
        local.train([run], prepared, partial(pytest.fail))
    assert not list((tmp_path / "partial").glob("*"))


def test_a_net_that_cannot_be_trained_on_these_images_is_refused_before_anything_is_trained(
    modules, run_spec, prepared
):
    """Images of 8×8 pixels have no window of 9 pixels."""
    constants = load_constants(prepared)
    deep = HEAD.replace("shape[0] * shape[1] * shape[2]", "shape[0]").replace(
        "images.flatten(1)", "nn.functional.max_pool2d(images, 9).flatten(1)"
    )
    (modules / "my_net.py").write_text(deep)
    runs = [PlannedRun("mine", seed, "digest", of_own_net(run_spec(seed))) for seed in (0, 1)]
    with pytest.raises(StageError) as caught:
        checks.check_own_nets(runs, constants)
    head, line = str(caught.value).splitlines()
    assert head == "params.yaml: an own net cannot be trained; nothing was trained"
    assert line.startswith(
        "  variants.mine.run.architecture.module.class = 'Net': its forward fails on images of shape (3, 1, 8, 8): "
    )
    checks.check_own_nets([PlannedRun("cnn", 0, "digest", run_spec())], constants)
