"""The CPU's instructions: told to the libraries before they are imported, and refused where that could not hold."""

import json
import os
import platform
import subprocess
import sys

import pytest
from test_pipeline import finished, workspace  # noqa: F401

from stages.shared import instruction_set, params, paths

x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="a setting of x86 CPUs")


def told(folder, text, then=""):
    """What a process with these settings has in its environment once our package is imported; with what `then` adds."""
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    script = f"import stages, os, json; found = {{name: os.environ.get(name) for name in {list(instruction_set.SETS['avx2'])}}}; {then}\nprint(json.dumps(found))"
    clean = {name: value for name, value in os.environ.items() if name not in instruction_set.SETS["avx2"]}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=paths.ROOT,
        env=clean | {"PIPELINE_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@x86
def test_the_libraries_are_told_before_they_are_imported_and_follow(tmp_path):
    numbers = "import torch; found['torch'] = torch.backends.cpu.get_cpu_capability(); import numpy"
    found = told(tmp_path, "machine:\n  device: cpu\n  instruction_set: avx2 # as it may be\n", numbers)
    assert found == instruction_set.SETS["avx2"] | {"torch": "AVX2"}


@pytest.mark.parametrize("text", ["machine:\n  instruction_set: native\n", "", "machine:\n  instruction_set: sse9\n"])
def test_native_tells_them_nothing(text, tmp_path):
    assert set(told(tmp_path, text).values()) == {None}


def test_the_repositorys_own_line_is_found():
    assert instruction_set.pinned() == params.load().machine.instruction_set


@pytest.mark.parametrize(
    ("machine", "flags", "text", "said"),
    [
        ("aarch64", "", "  instruction_set: avx2\n", "this CPU is aarch64, and avx2 is of x86"),
        ("x86_64", "flags : sse2 fma", "  instruction_set: avx2\n", "this CPU has no avx2"),
        (
            "x86_64",
            "flags : avx2 fma",
            "machine: {instruction_set: &set avx2}\n",
            "as plainly as `instruction_set: avx2`",
        ),
        ("AMD64", "flags : avx2 fma", "  # instruction_set: native\n  instruction_set: avx2\n", ""),
        ("x86_64", "flags : avx2 fma", "machine: {device: auto, instruction_set: avx2}\n", ""),
    ],
)
def test_what_could_not_hold_is_named(machine, flags, text, said, tmp_path, monkeypatch):
    for name in ("PARAMS", "INFO"):
        (tmp_path / name).write_text({"PARAMS": text, "INFO": flags}[name], encoding="utf-8")
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "PARAMS")
    monkeypatch.setattr(paths, "CPU_INFO", tmp_path / "INFO")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert said in instruction_set.obstacle("avx2")
    assert bool(instruction_set.obstacle("avx2")) is bool(said)
    assert instruction_set.obstacle("native") == ""


@pytest.mark.slow
@x86
def test_another_instruction_set_trains_again_and_the_plan_refuses_what_could_not_hold(workspace):
    weights = workspace.folder / "data" / "runs" / "cnn" / "seed_0.safetensors"
    native = weights.read_bytes()
    workspace.edit("params.yaml", "instruction_set: native", "instruction_set: avx2")
    ran = workspace.repro()
    assert {"plan", "prepare", "eda", "train@cnn", "probe@cnn"} <= ran
    pinned = weights.read_bytes()
    assert pinned != native, "MKL's products are the same in both"
    workspace.edit("params.yaml", "instruction_set: avx2", "instruction_set: native")
    workspace.repro()
    assert weights.read_bytes() == native
    workspace.edit("params.yaml", "instruction_set: native", "instruction_set: !!str avx2")
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert "machine.instruction_set = 'avx2': params.yaml must say it as plainly" in output
    assert "Traceback" not in output
