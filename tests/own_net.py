"""Users' own nets in a folder of their own, and the settings of a variant that names one."""

from stages.shared import params, paths
from stages.shared.params.architecture import OwnModule

BASE = params.load().architecture
HEAD = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, shape, classes, width=4):
        super().__init__()
        self.classes = classes
        self.linear = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, images):
        return self.linear(images.flatten(1))
"""
# One that reshapes with `view`, has weights that two layers share, one whose size is not known before its first input,
# and batch norm, and that is called with an argument that has no default.
WHOLE = """
from torch import nn


class Whole(nn.Module):
    def __init__(self, shape, classes, *, units):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.LazyLinear(units)
        self.second = nn.Linear(units, units)
        self.third = nn.Linear(units, units)
        self.third.weight = self.second.weight
        self.last = nn.Linear(units, classes)

    def forward(self, images):
        units = self.first(self.norm(self.conv(images)).relu().view(len(images), -1))
        return self.last(self.third(self.second(units).relu()))
"""


def own_module(file="my_net.py", class_="Net", **arguments):
    return OwnModule.model_validate({"file": file, "class": class_, "arguments": arguments})


def own_architecture(*names, **arguments):
    return BASE.model_copy(update={"connectivity": "module", "module": own_module(*names, **arguments)})


def use_folder(monkeypatch, root, **sources):
    """Let modules/ be a folder below `root`, with the template and with these files: name → source."""
    folder = root / "modules"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "template.py").write_text((paths.ROOT / "modules" / "template.py").read_text())
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.setattr(paths, "MODULES", folder)
    return folder
