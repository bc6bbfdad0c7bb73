"""What a time was measured on, and with what."""

import importlib.metadata
import os
import subprocess
from pathlib import Path

from stages.shared.instruction_set import NATIVE, flags
from stages.shared.params import Params
from stages.shared.provenance import machine

PACKAGES = ("torch", "lightning", "keras", "jax", "tensorflow-cpu")
BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def precisions(settings: Params) -> list[str]:
    """Those that this CPU multiplies with the instructions that the settings allow."""
    return ["float32", *(["bfloat16"] if settings.machine.instruction_set == NATIVE and BFLOAT16 & flags() else [])]


def bfloat16_sentence(settings: Params) -> str:
    """Whether bfloat16 can be used here, and why not."""
    has = sorted(BFLOAT16 & flags())
    if not has:
        return "The CPU has no bfloat16."
    if settings.machine.instruction_set != NATIVE:
        return f"The CPU has bfloat16, which machine.instruction_set: {settings.machine.instruction_set} does not use."
    return f"The CPU multiplies bfloat16 ({', '.join(has)})."


def description(others_python: Path, settings: Params) -> list[str]:
    """Lines: CPU, cores, versions, the types that it multiplies natively, and how busy it was with other things."""
    here = machine()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return [
        f"CPU: {here['cpu']}, {here['cores']} cores; Python {here['python']}; {_versions(others_python)}.",
        f"Precision: float32, except where bfloat16 is named. {bfloat16_sentence(settings)}",
        f"Load of the machine in the last 1, 5 and 15 minutes, the bench's own processes counted: {load}.",
    ]


def _versions(python: Path) -> str:
    """Versions in the interpreter of the others; of torch alone, which is also ours, where there is none."""
    if not python.exists():
        return f"torch {importlib.metadata.version('torch')}"
    ask = f"import importlib.metadata as m\nfor name in {PACKAGES!r}:\n    print(name, m.version(name))"
    versions = subprocess.run(
        [str(python), "-c", ask], capture_output=True, encoding="utf-8", check=False
    ).stdout.splitlines()
    return ", ".join(versions)
