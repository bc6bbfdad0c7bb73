"""The most that the machine can do: the product of two float32 matrices, by torch's library for that."""

import time

import torch

from bench.contestants import Train

SIDE = 1024
PRODUCTS = 30
FLOPS = PRODUCTS * 2 * SIDE**3


def trainer(_: str, __: int) -> Train:
    """The net and the images make no difference."""
    torch.set_num_threads(1)
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)

    def multiply() -> float:
        start = time.perf_counter()
        for _ in range(PRODUCTS):
            torch.mm(a, b, out=out)
        return time.perf_counter() - start

    return multiply
