"""The check stage: mistakes end it, missed costs are named with the widths that would not miss, and it is quick."""

import json
import os
import subprocess
import sys

import pytest

from stages.check.costs import missed_costs
from stages.download.datasets import PUBLISHED
from stages.shared import params, paths

TEXT = paths.PARAMS.read_text().replace("protocol: default", "protocol: full", 1)
HYPOTHESES = paths.HYPOTHESES.read_text()
WIDE_KERNEL_5 = ("kernel: 5, channels: [13, 26]", "kernel: 5, channels: [16, 32]")


def edited(*edits):
    text = TEXT
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def warnings(folder, *edits):
    (folder / "params.yaml").write_text(edited(*edits))
    return missed_costs(params.load(folder / "params.yaml"))


def run_stage(root, text, hypotheses=HYPOTHESES):
    (root / "params.yaml").write_text(text)
    (root / "hypotheses.yaml").write_text(hypotheses)
    command = [sys.executable, "-X", "importtime", "-m", "stages.check"]
    environment = os.environ | {"PIPELINE_ROOT": str(root)}
    result = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = result.stderr.splitlines()
    modules = {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}
    return result.returncode, "\n".join(line for line in lines if not line.startswith("import time:")), modules


@pytest.mark.parametrize("protocol", params.load().protocols)
def test_the_repositorys_own_files_are_valid_and_miss_nothing_under_every_protocol(protocol, tmp_path):
    (tmp_path / "params.yaml").write_text(edited(("protocol: full", f"protocol: {protocol}")))
    settings = params.load(tmp_path / "params.yaml")
    assert settings.chosen_protocol == settings.protocols[protocol]
    assert settings.baseline in settings.active_variants
    assert missed_costs(settings) == []
    assert len(params.load_hypotheses(settings)) == HYPOTHESES.count("\n  statement:")


def test_a_missed_cost_is_named_with_the_channels_that_would_not_miss(tmp_path):
    # 26·16 + 401·32 + 20490 = 33738 parameters against 25290; 26·13 + 326·26 + 16650 = 25464.
    assert warnings(tmp_path, WIDE_KERNEL_5) == [
        "variants.kernel_5_matched: 33.4 % more parameters than cnn; channels [13, 26] would match"
    ]


def test_a_variant_that_keeps_the_others_layers_is_matched_by_its_hidden_layer(tmp_path):
    # h hidden units make 4800 + 33h + 10(h + 1) = 43h + 4810 parameters: 9110 with 100, and 25278 of 25290 with 476.
    (line,) = warnings(tmp_path, ("hidden: [476]", "hidden: [100]"))
    assert line == "variants.global_average_hidden: 64.0 % fewer parameters than cnn; hidden [476] would match"


def test_multiply_accumulates_are_matched_by_widths_too(tmp_path):
    old = "sample: {seeds: all}, architecture: {connectivity: locally_connected}}"
    lines = warnings(tmp_path, (old, old.replace("locally_connected}", "locally_connected, channels: [8, 16]}")))
    # 1024·9·8 + 256·9·8·16 + 64·16·10 = 378880 against 1347584.
    message = "variants.locally_connected: 71.9 % fewer multiply-accumulates than cnn; channels [16, 32] would match"
    assert message in lines


def test_another_receptive_field_is_named_and_no_width_offered(tmp_path):
    local = ("matched: {macs: cnn, receptive_field: cnn}", "matched: {receptive_field: kernel_5}")
    full = ("matched: {parameters: locally_connected}", "matched: {receptive_field: cnn}")
    assert warnings(tmp_path, local, full) == [
        "variants.locally_connected: a receptive field of 10×10, unlike kernel_5: a receptive field of 16×16",
        "variants.fully_connected_wide: no receptive field, unlike cnn: a receptive field of 10×10",
    ]


def test_a_miss_that_no_width_mends_says_so(tmp_path):
    old = "families: {controls: linear model}"
    assert warnings(tmp_path, (old, old + "\n    matched: {parameters: cnn}")) == [
        "variants.linear: 59.5 % fewer parameters than cnn; it has no channels to widen or narrow"
    ]


def test_the_tolerance_is_the_settings_own(tmp_path):
    (line,) = warnings(tmp_path, ("match_tolerance: 0.02", "match_tolerance: 0.012"))
    assert line.startswith("variants.three_kernels_3: 1.3 % more parameters than kernel_7_matched; channels [")
    assert warnings(tmp_path, ("match_tolerance: 0.02", "match_tolerance: 0.5"), WIDE_KERNEL_5) == []


def test_only_what_the_protocol_runs_is_warned_of(tmp_path):
    assert warnings(tmp_path, ("protocol: full", "protocol: quick"), WIDE_KERNEL_5) == []


def test_other_images_and_classes_move_the_costs(tmp_path):
    quick = ("protocol: full", "protocol: quick"), ("kernel_5, depth_1, stride_2", "kernel_1_matched")
    lines = warnings(tmp_path, ("dataset: fashion_mnist", "dataset: cifar100"), *quick)
    # Three channels, 36×36 pixels and 100 classes: 28·16 + 145·32 + (9·9·32 + 1)·100 = 264388 for cnn,
    # and 4·19 + 20·38 + (9·9·38 + 1)·100 = 308736 for kernel_1_matched.
    assert any(line.startswith("variants.kernel_1_matched: 16.8 % more parameters than cnn; ch") for line in lines)


def test_nothing_is_said_of_a_users_own_images(tmp_path):
    own = ("dataset: fashion_mnist", "dataset: npz"), ("file: null", "file: mine.npz")
    assert warnings(tmp_path, *own, ("channels: [13, 26]", "channels: [1, 1]")) == []


def test_the_known_numbers_of_classes_are_those_of_the_readers():
    classes = {key: params.DATASETS[key].classes for key in PUBLISHED}
    ten = ("fashion_mnist", "mnist", "kmnist", "svhn", "cifar10")
    assert classes == dict.fromkeys(ten, 10) | {"emnist_letters": 26, "cifar100": 100}


def test_the_stage_warns_passes_and_never_loads_torch_or_numpy(tmp_path):
    code, message, modules = run_stage(tmp_path, edited(WIDE_KERNEL_5))
    assert code == 0
    assert message == "variants.kernel_5_matched: 33.4 % more parameters than cnn; channels [13, 26] would match"
    assert json.loads((tmp_path / "data" / "checked.json").read_text()) == {"params": "valid"}
    assert "stages.check.matching" in modules
    assert modules & {"torch", "numpy", "pandas"} == set()


def test_the_stage_ends_with_one_message_and_no_traceback_and_writes_nothing(tmp_path):
    code, message, _ = run_stage(tmp_path, edited(("lr: 0.01", "lr: -1")))
    assert code == 1
    assert "recipe.lr = -1: should be greater than 0" in message
    assert "Traceback" not in message
    assert not (tmp_path / "data").exists()


def test_a_mistake_in_the_hypotheses_ends_it_too(tmp_path):
    hypotheses = HYPOTHESES.replace("variant: locally_connected\n", "variant: nobody\n", 1)
    code, message, _ = run_stage(tmp_path, TEXT, hypotheses)
    assert code == 1
    assert "hypotheses.yaml: 1 mistake" in message
    assert "locality.contrast: variant 'nobody' is not in params.yaml" in message
    assert "Traceback" not in message
    assert not (tmp_path / "data").exists()


# --- a user's own net

TEMPLATE = (paths.ROOT / "modules" / "template.py").read_text()


def with_own_net(root, source, arguments="{width: 4}"):
    (root / "modules").mkdir()
    (root / "modules" / "my_net.py").write_text(source)
    own = "connectivity: module, module: {file: my_net.py, class: Net, arguments: " + arguments + "}"
    return edited(
        (
            "architecture: {kernel: 5}}",
            "architecture: {" + own + "}}\n    matched: {parameters: cnn, receptive_field: cnn}",
        ),
        ("protocol: full", "protocol: quick"),
    )


@pytest.mark.slow
def test_an_own_net_is_tried_and_its_cost_is_that_which_is_counted(tmp_path):
    # 4·9 + 4 + 8·36 + 8 + 8·64·10 + 10 = 5466 parameters against 25290 of cnn: 78.4 % fewer.
    code, message, modules = run_stage(tmp_path, with_own_net(tmp_path, TEMPLATE))
    assert code == 0, message
    assert message.splitlines() == [
        "variants.kernel_5: 78.4 % fewer parameters than cnn; it has no channels to widen or narrow",
        "variants.kernel_5: whether its receptive field is that of cnn is unknown: one of the two is an own net",
    ]
    assert "torch" in modules


@pytest.mark.slow
def test_a_broken_own_net_ends_the_stage_with_its_line_and_nothing_is_written(tmp_path):
    code, message, _ = run_stage(tmp_path, with_own_net(tmp_path, TEMPLATE, "{widht: 4}"))
    assert code == 1
    assert message.splitlines() == [
        "params.yaml: an own net cannot be trained; nothing was run",
        "  variants.kernel_5.run.architecture.module.arguments.widht = 4: Net has no such argument "
        "(did you mean 'width'?); it takes width",
    ]
    assert not (tmp_path / "data").exists()


MISPLACED = {
    "no module": ("connectivity: module", "run.architecture: connectivity module needs `module`, your own net"),
    "no class": (
        "connectivity: module, module: {file: a.py}",
        "variants.kernel_5.run.architecture.module.class: missing",
    ),
    "a path": (
        "connectivity: module, module: {file: ../a.py, class: Net}",
        "variants.kernel_5.run.architecture.module.file = '../a.py': should be the name of a file in modules/",
    ),
    "a misspelt key": (
        "connectivity: module, module: {file: a.py, class: Net, argument: {}}",
        "module.argument = {}: unknown key (did you mean 'arguments'?); allowed here: file, class, arguments",
    ),
    "a width beside it": (
        "connectivity: module, channels: [3], module: {file: a.py, class: Net}",
        "variants.kernel_5.run.architecture.channels: has no effect where connectivity is module",
    ),
    "a module beside another net": (
        "module: {file: a.py, class: Net}",
        "variants.kernel_5.run.architecture.module: has no effect where connectivity is conv",
    ),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_settings_of_an_own_net_that_do_not_go_together_are_named(name, tmp_path):
    change, message = MISPLACED[name]
    with pytest.raises(params.ParamsError) as caught:
        warnings(tmp_path, ("architecture: {kernel: 5}}", "architecture: {" + change + "}}"))
    assert message in str(caught.value)
