"""The CPU's instructions: the libraries follow the setting, and a machine that cannot is refused."""

import os
import platform
import subprocess
import sys

import pytest
from small_data import TRAIN, write_prepared
from small_model import small_settings

from stages.shared import instruction_set, params, paths, stage_command
from stages.train.run import train_run
from stages.train.run_spec import RunSpec

SETTINGS = small_settings()
# The libraries are imported before the setting is used.
TRAIN_WITH_AVX2 = """
import sys, torch
from pathlib import Path
from stages.shared import instruction_set
from stages.train.run import train_run
from stages.train.run_spec import RunSpec
instruction_set.use("avx2")
prepared, out = map(Path, sys.argv[1:3])
train_run(RunSpec.model_validate_json(sys.argv[3]), prepared, out, lambda _: None)
print(torch.backends.cpu.get_cpu_capability())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="a setting of x86 CPUs")
def test_the_libraries_follow_the_setting_and_come_to_other_last_bits(tmp_path):
    prepared, native, avx2 = (tmp_path / name for name in ("prepared", "native", "avx2"))
    for folder in (prepared, native, avx2):
        folder.mkdir()
    write_prepared(prepared)
    spec = RunSpec.of(SETTINGS, "cnn", 0, "cpu", TRAIN)
    spec = spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"epochs": 2})})
    train_run(spec, prepared, native, lambda _: None)
    clean = {key: value for key, value in os.environ.items() if key not in instruction_set.SETS["avx2"]}
    command = [sys.executable, "-c", TRAIN_WITH_AVX2, prepared, avx2, spec.model_dump_json()]
    ended = subprocess.run(command, cwd=paths.ROOT, env=clean, capture_output=True, text=True, check=True)
    assert ended.stdout == "AVX2\n"
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (native, avx2)]
    assert weights[0] != weights[1], "MKL's products are the same in both"


def test_a_stage_computes_with_the_setting_and_a_run_with_another_is_another_run(monkeypatch):
    machine = SETTINGS.machine.model_copy(update={"instruction_set": "avx2"})
    avx2, used = SETTINGS.model_copy(update={"machine": machine}), []
    monkeypatch.setattr(params, "load", lambda: avx2)
    monkeypatch.setattr(instruction_set, "use", used.append)
    stage_command.run_stage(lambda settings: used.append(settings))
    assert used == ["avx2", avx2]
    specs = [RunSpec.of(settings, "cnn", 0, "cpu", TRAIN).determining_settings() for settings in (SETTINGS, avx2)]
    assert specs[0] != specs[1]


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
