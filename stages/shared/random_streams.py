"""Named random streams: one seed gives independent generators for each purpose."""

import zlib

import numpy as np


def stream(name: str, seed: int) -> np.random.Generator:
    """The generator of the purpose `name` ("subset", "order", "init", …) under `seed`.

    Two names never share numbers, so drawing more from one does not move the other.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
