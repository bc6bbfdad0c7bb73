"""The CPU instructions that results are computed with. Others add in another order and give other last bits."""

import os
import platform
import sys

from stages.shared import paths

NATIVE = "native"

# Setting → environment variables that the libraries read when they are first imported. With those of avx2 an AMD EPYC
# and an emulated Intel Haswell and Skylake trained the same weights.
SETS = {
    NATIVE: {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own loops
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # its convolutions
        "MKL_CBWR": "COMPATIBLE",  # its matrix products; MKL_CBWR=AVX2 differs between makers
        "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's own loops
    },
}


def use(name: str) -> None:
    """Let this process compute with a setting of SETS: start it again with the variables if they are not set.

    The libraries may have been imported by now, and read the variables only once.
    """
    missing = {key: value for key, value in SETS[name].items() if os.environ.get(key) != value}
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | missing)


def flags() -> set[str]:
    """The CPU's features, by Linux's names; empty where the system does not list them."""
    try:
        lines = paths.CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split(":", 1)[1].split()}


def obstacle(name: str) -> str:
    """Why this machine cannot compute with the setting; empty if it can."""
    if name == NATIVE:
        return ""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"this CPU is {platform.machine()}, and {name} belongs to x86; only native is allowed here"
    features = flags()
    if features and not {name, "fma"} <= features:
        return f"this CPU has no {name}; only native is allowed here"
    return ""
