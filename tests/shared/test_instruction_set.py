"""The CPU's instructions: the libraries follow the setting, and a machine that cannot is refused."""

import os
import platform
import subprocess
import sys

import pytest

from stages.shared import instruction_set, paths

x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="a setting of x86 CPUs")
SCRIPT = """
import numpy, torch
from stages.shared import instruction_set
instruction_set.use({name!r})
print(torch.backends.cpu.get_cpu_capability())
"""


def capability(name):
    """What torch computes with in a process that uses the setting after it has imported the libraries."""
    clean = {key: value for key, value in os.environ.items() if key not in instruction_set.SETS["avx2"]}
    command = [sys.executable, "-c", SCRIPT.format(name=name)]
    return subprocess.run(command, cwd=paths.ROOT, env=clean, capture_output=True, text=True, check=True).stdout.strip()


@x86
def test_the_libraries_follow_the_setting_even_if_they_are_imported_before_it_is_read():
    native = capability("native")
    assert capability("avx2") == "AVX2"
    assert native != "DEFAULT"


@pytest.mark.parametrize(
    ("machine", "flags", "message"),
    [
        ("aarch64", "", "this CPU is aarch64, and avx2 belongs to x86"),
        ("x86_64", "flags : sse2 fma", "this CPU has no avx2"),
        ("AMD64", "flags : avx2 fma", ""),
        ("x86_64", "nothing is listed", ""),
    ],
)
def test_a_machine_that_cannot_compute_so_is_named(machine, flags, message, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(flags, encoding="utf-8")
    monkeypatch.setattr(paths, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert message in instruction_set.obstacle("avx2")
    assert bool(instruction_set.obstacle("avx2")) is bool(message)
    assert instruction_set.obstacle("native") == ""


@pytest.mark.slow
@x86
def test_another_instruction_set_trains_again_and_comes_to_other_last_bits(workspace):
    weights = workspace.folder / "data/runs/cnn/seed_0/weights.safetensors"
    native = weights.read_bytes()
    workspace.edit("params.yaml", "instruction_set: native", "instruction_set: avx2")
    output = workspace.succeed("dvc", "repro", "probe")
    assert "train: 0 of 8 runs are finished" in output
    assert "probe: 0 of 8 runs are probed" in output
    assert weights.read_bytes() != native, "MKL's products are the same in both"
