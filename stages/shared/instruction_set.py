"""The CPU instructions that results are computed with. Others round in another order, and so come to other last bits.

Libraries choose theirs when they are first imported, so that this must come before them, and finds its setting without a parser.
"""

import os
import platform
import re

from stages.shared import paths

NATIVE = "native"

# setting → what the libraries are told. Together they gave the same weights on an AMD EPYC as on an emulated Intel Haswell and Skylake.
SETS = {
    NATIVE: {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own loops
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # its convolutions
        "MKL_CBWR": "COMPATIBLE",  # its matrix products; for AVX2 as well MKL has one order for Intel's CPUs and one for others
        "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's own loops
    },
}


def pin(name: str) -> None:
    """Tell the libraries that this process, and those that it starts, have yet to import. Another name than those of SETS is for the plan stage to refuse."""
    os.environ.update(SETS.get(name, {}))


def pinned() -> str:
    """The `instruction_set` of params.yaml, so far as it is there."""
    try:
        found = re.search(r"^[^#\n]*\binstruction_set: *(\w+)", paths.PARAMS.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    return found[1] if found else NATIVE


def flags() -> set[str]:
    """What the CPU has, by Linux's names; empty where the system does not say."""
    try:
        lines = paths.CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split(":", 1)[1].split()}


def obstacle(name: str) -> str:
    """Why results cannot be computed with this set here; empty if they can."""
    if name == NATIVE:
        return ""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"this CPU is {platform.machine()}, and {name} is of x86; native is what is allowed here"
    if (has := flags()) and not {name, "fma"} <= has:
        return f"this CPU has no {name}; native is what is allowed here"
    if pinned() != name:
        return f"params.yaml must say it as plainly as `instruction_set: {name}`, since it is read before anything else"
    return ""
