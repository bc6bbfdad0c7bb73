"""A 1×1 convolution with a stride: what it computes, and that it leaves the memory beside its own alone."""

import os
import subprocess
import sys

import torch
from torch.nn.functional import conv2d
from untrained_net import NETS
from untrained_net import changed as spec

from stages.shared import instruction_set, paths
from stages.shared.architectures.build import build

NAMES = ("strided 1×1", "residual, strided")
GRADIENTS = """
import torch
from test_strided_pointwise import NAMES, built
from stages.shared.architectures.build import logits_of

torch.set_num_threads(1)
for name in NAMES:
    net, generator = built(name), torch.Generator().manual_seed(0)
    for _ in range(5):
        images, gradients = torch.rand(8, 1, 28, 28, generator=generator), []
        for onednn in (True, False):
            net.zero_grad()
            with torch.backends.mkldnn.flags(enabled=onednn):
                logits_of(net, 255 * images).square().sum().backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in net.parameters()]))
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3, msg=lambda text: f"{name}: {text}")
"""


def built(name):
    generator = torch.Generator().manual_seed(0)
    return build(spec(**NETS[name]), (1, 28, 28), 10, [0.5], [0.25], generator)


def test_gradients_are_those_of_torchs_own_convolution():
    """With oneDNN's kernels for AVX2, which wrote past their memory and gave wrong sums, crashed or never ended."""
    importable = os.pathsep.join([".", "tests", "tests/shared"])
    environment = os.environ | instruction_set.SETS["avx2"] | {"PYTHONPATH": importable}
    command = [sys.executable, "-c", GRADIENTS]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"


def test_it_computes_what_torch_does_with_a_stride():
    pointwise = built("strided 1×1").features[3]
    maps = torch.rand(3, 4, 9, 8, generator=torch.Generator().manual_seed(0))
    expected = conv2d(maps, pointwise[1].weight, pointwise[1].bias, stride=2)
    torch.testing.assert_close(pointwise(maps), expected)
    assert expected.shape[2:] == (5, 4)
