"""Who is compared. Each module has `trainer(net, images)`: a function that trains one epoch and returns its seconds."""

import importlib
from collections.abc import Callable

Train = Callable[[], float]

# Name → module of this folder, and the environment variables that are set before it is imported.
MODULES: dict[str, tuple[str, dict[str, str]]] = {
    "this project": ("ours", {"PRECISION": "float32"}),
    "this project, bfloat16": ("ours", {"PRECISION": "bfloat16"}),
    "PyTorch loop": ("lab", {"LOADER_WORKERS": "0"}),
    "PyTorch loop, 2 loader workers": ("lab", {"LOADER_WORKERS": "2"}),
    "Lightning": ("lightning_fit", {}),
    "Keras on torch": ("keras_fit", {"KERAS_BACKEND": "torch"}),
    "Keras on JAX": ("keras_fit", {"KERAS_BACKEND": "jax"}),
    "Keras on TensorFlow": ("keras_fit", {"KERAS_BACKEND": "tensorflow"}),
    "matrix product": ("matrix_product", {}),
}
OURS, OURS_BFLOAT16, LAB, PEAK = "this project", "this project, bfloat16", "PyTorch loop", "matrix product"
OTHERS = [name for name in MODULES if name not in (OURS, OURS_BFLOAT16, PEAK)]


def trainer(name: str, net: str, images: int) -> Train:
    """net: a variant of params.yaml. images: of one epoch. Imports what the contestant needs, and nothing else."""
    train: Train = importlib.import_module(f"bench.contestants.{MODULES[name][0]}").trainer(net, images)
    return train
