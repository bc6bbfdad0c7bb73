"""Who is compared, each behind the same two lines: `trainer(net, images)`, and a call that trains one epoch and returns its wall seconds."""

import importlib
from collections.abc import Callable

Train = Callable[[], float]

# Name → module of this folder, and what it is told before anything is imported.
MODULES: dict[str, tuple[str, dict[str, str]]] = {
    "this project": ("ours", {}),
    "PyTorch loop": ("lab", {"LOADER_WORKERS": "0"}),
    "PyTorch loop, 2 loader workers": ("lab", {"LOADER_WORKERS": "2"}),
    "Lightning": ("lightning_fit", {}),
    "Keras on torch": ("keras_fit", {"KERAS_BACKEND": "torch"}),
    "Keras on JAX": ("keras_fit", {"KERAS_BACKEND": "jax"}),
    "Keras on TensorFlow": ("keras_fit", {"KERAS_BACKEND": "tensorflow"}),
    "matrix product": ("matrix_product", {}),
}
OURS, LAB, PEAK = "this project", "PyTorch loop", "matrix product"
OTHERS = [name for name in MODULES if name not in (OURS, PEAK)]


def trainer(name: str, net: str, images: int) -> Train:
    """net: a variant of params.yaml. images: of one epoch. Imports what the contestant needs, and nothing else."""
    found: Train = importlib.import_module(f"bench.contestants.{MODULES[name][0]}").trainer(net, images)
    return found
