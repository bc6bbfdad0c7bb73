"""A user's own net: a class in a file of modules/, built under a seed, and put between pixels and logits."""

import importlib
import sys
import traceback
import types
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.flop_counter import FlopCounterMode

from stages.shared import paths
from stages.shared.architectures.layers import Normalise
from stages.shared.params.architecture import OwnModule

PACKAGE = "modules"  # the name under which a file of the folder is imported, and imports another one
LONGEST_REASON = 300  # characters of an exception's text that a message shows
Shape = tuple[int, int, int]


class OwnNetError(ValueError):
    """What is wrong with a user's own net: the key below `architecture`, its value, and what is allowed."""


class OwnFeatures(nn.Sequential):
    """The `features` of a user's own net: from images to the last map, (N, channels, height, width)."""


class WholeNet(nn.Sequential):
    """A user's own net without `features` and `head`: it gives logits, and nobody can look inside."""


class ContiguousNormalise(Normalise):
    """`Normalise`, and the images in torch's usual order in memory, which a net with a `view` in it needs."""

    def forward(self, pixels: Num[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        images = super().forward(pixels)
        return images.flatten().view(images.shape)  # `contiguous` leaves the strides of one channel as they are


def build(
    own: OwnModule,
    shape: Shape,
    classes: int,
    mean: list[float],
    std: list[float],
    generator: torch.Generator,
) -> nn.Sequential:
    """As `build.build`, of the class that `own` names. Its constructor draws under the seed of `generator`.

    Raises OwnNetError.
    """
    net = first_net(own, shape, classes, generator.initial_seed())
    features, head = parts(net)
    model = nn.Sequential()
    model.add_module("normalise", ContiguousNormalise(mean, std))
    model.add_module("features", features)
    model.add_module("head", head)
    return model


def counted(own: OwnModule, shape: Shape, classes: int) -> tuple[int, int]:
    """Trainable parameters, and multiply-accumulates of one image by torch's counter of floating-point operations.

    Raises OwnNetError.
    """
    file = paths.MODULES / own.file
    return _counted(own.model_dump_json(), shape, classes, file.read_bytes() if file.is_file() else b"")


@cache  # a process trains many runs of a net
def _counted(own: str, shape: Shape, classes: int, _: bytes) -> tuple[int, int]:
    """own: as JSON. The last argument is the content of its file, which decides the answer."""
    net = first_net(OwnModule.model_validate_json(own), shape, classes, 0).eval()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a process that has used several cannot be forked
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output_of(net, torch.zeros(1, *shape))
    torch.set_num_threads(n_threads)
    return sum(one.numel() for one in net.parameters() if one.requires_grad), counter.get_total_flops() // 2


def first_net(own: OwnModule, shape: Shape, classes: int, seed: int) -> nn.Module:
    """The net with the weights that its constructor draws from torch's generator under this seed.

    Raises OwnNetError if the class cannot be loaded, or its constructor fails.
    """
    net_class = load_class(own)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            net: nn.Module = net_class(shape, classes, **own.arguments)
        except (Exception, SystemExit) as error:
            given = "".join(f", {name}={value!r}" for name, value in own.arguments.items())
            call = f"{own.class_}({shape}, {classes}{given})"
            raise OwnNetError(f"module.class = {own.class_!r}: {call} fails: {in_words(error)}") from None
        if any(map(is_lazy, net.parameters())):
            with torch.no_grad():
                output_of(net.eval(), torch.zeros(1, *shape))
            net.train()
    return net


def parts(net: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The net's own features and head, if it has them; else the whole net, and nothing behind it."""
    features, head = getattr(net, "features", None), getattr(net, "head", None)
    if isinstance(features, nn.Module) and isinstance(head, nn.Module):
        return OwnFeatures(features), head
    return WholeNet(net), nn.Identity()


def output_of(net: nn.Module, images: Float[Tensor, "batch channel height width"]) -> Tensor:
    """What the net makes of the images.

    Raises OwnNetError if it fails, with the exception's own words, or gives no tensor.
    """
    key = f"module.class = {type(net).__name__!r}"
    try:
        output = net(images)
    except (Exception, SystemExit) as error:
        where = f"its forward fails on images of shape {tuple(images.shape)}"
        raise OwnNetError(f"{key}: {where}: {in_words(error)}") from None
    if not isinstance(output, Tensor):
        raise OwnNetError(f"{key}: its forward gives {type(output).__name__}; allowed is a tensor, (N, classes)")
    return output


def load_class(own: OwnModule) -> type[nn.Module]:
    """The class that `own` names, from its file as it is now. Raises OwnNetError if it cannot be loaded."""
    path, key = paths.MODULES / own.file, f"module.file = {own.file!r}"
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in paths.MODULES.glob("*.py"))) or "none"
        raise OwnNetError(f"{key}: there is no such file in {PACKAGE}/ (have: {there})")
    try:
        module = _imported(path)
    except (Exception, SystemExit) as error:
        raise OwnNetError(f"{key}: it cannot be imported: {in_words(error)}") from None
    candidate = getattr(module, own.class_, None)
    if not (isinstance(candidate, type) and issubclass(candidate, nn.Module)):
        classes = [name for name, value in vars(module).items() if _is_net_of(module, value)]
        problem = "has no such class" if candidate is None else "has it, but not as a class of torch.nn.Module"
        raise OwnNetError(f"module.class = {own.class_!r}: {own.file} {problem} (have: {', '.join(classes) or 'none'})")
    return candidate


def _is_net_of(module: types.ModuleType, value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__


def _imported(path: Path) -> types.ModuleType:
    """The file as a module of PACKAGE, read anew; so is what it imports from the same folder."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(path.parent)]
    sys.modules[PACKAGE] = package
    importlib.invalidate_caches()
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the folder is a dep of stages
    try:
        return importlib.import_module(f"{PACKAGE}.{path.stem}")
    finally:
        sys.dont_write_bytecode = writes_none


def in_words(error: BaseException) -> str:
    """The exception's type and text in one line, and the line of a file of modules/ where it was raised last."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    place = "".join(f" ({name}, line {line})" for name, line in _own_places(error)[-1:])
    return f"{type(error).__name__}: {' '.join(text.split())[:LONGEST_REASON]}{place}"


def is_of_own_net(error: BaseException) -> bool:
    """Whether the exception was raised by a file of modules/, or by what that called."""
    return bool(_own_places(error))


def _own_places(error: BaseException) -> list[tuple[str, int | None]]:
    """(name of a file of modules/, line) of every call that led to the exception, the last call last."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    return [(Path(name).name, line) for name, line in places if Path(name).parent == paths.MODULES]
