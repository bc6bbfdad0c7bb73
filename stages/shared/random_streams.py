"""Named random streams: one seed gives an independent generator for each purpose."""

import zlib

import numpy as np


def stream(name: str, seed: int) -> np.random.Generator:
    """The random generator for the purpose `name` ("subset", "order", "init", …) under `seed`.

    Streams of different names are independent: a longer use of one does not change the numbers of another.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def torch_seed(name: str, seed: int) -> int:
    """A seed for one of torch's generators, from the stream `name`."""
    return int(stream(name, seed).integers(2**62))
