"""Whether a user's own net can be trained: what it must do is tried once, before anything is trained."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.shared.architectures.own_net import OwnNetError, Shape, first_net, in_words, load_class, output_of
from stages.shared.params.architecture import OwnModule
from stages.shared.process_pool import Report, run_parallel

SIZES = (3, 5)  # images at once: a net that is right for one number only shows itself
Net = tuple[OwnModule, Shape, int]  # settings, (channels, height, width) of an image on its canvas, classes


def mistakes(nets: Mapping[str, Net]) -> list[str]:
    """One line for each variant whose own net cannot be trained. nets: variant → its net.

    Each net is tried in a process of its own.
    """
    if not nets:
        return []
    title = f"check {len(nets)} own {'net' if len(nets) == 1 else 'nets'}"
    texts = run_parallel(_mistake, list(nets.values()), len(nets), title)
    return [f"variants.{key}.run.architecture.{text}" for key, text in zip(nets, texts, strict=True) if text]


def _mistake(net: Net, report: Report) -> str:
    torch.set_num_threads(1)
    own, shape, classes = net
    try:
        check(own, shape, classes)
    except OwnNetError as error:
        return str(error)
    finally:
        report(1, f"{own.file}, {own.class_}")
    return ""


def check(own: OwnModule, shape: Shape, classes: int) -> None:
    """Raises OwnNetError, with the key below `architecture`, its value and what is allowed, at the first mistake."""
    _check_arguments(own, load_class(own))
    images = {size: torch.randn(size, *shape, generator=torch.Generator().manual_seed(size)) for size in SIZES}
    trial = Trial(f"module.class = {own.class_!r}", own, shape, classes, first_net(own, shape, classes, 0), images)
    for check_one in (_check_parameters, _check_output, _check_weights, _check_parts, _check_gradients):
        check_one(trial)


class Trial(NamedTuple):
    """One net, and images to try it with: how many at once → standard normal images, (N, C, H, W).

    key: with its value, as messages begin.
    """

    key: str
    own: OwnModule
    shape: Shape
    classes: int
    net: nn.Module
    images: dict[int, Tensor]


def _check_arguments(own: OwnModule, net_class: type[nn.Module]) -> None:
    parameters = list(inspect.signature(net_class).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes_any = {parameter.kind for parameter in parameters}
    n_given = sum(parameter.kind in positional for parameter in parameters)
    if n_given < 2 and inspect.Parameter.VAR_POSITIONAL not in takes_any:
        raise OwnNetError(
            f"module.class = {own.class_!r}: it is called as {own.class_}(shape, classes, …), "
            f"but its constructor takes {inspect.signature(net_class)}"
        )
    if inspect.Parameter.VAR_KEYWORD in takes_any:
        return
    named = [one for one in parameters if one.kind in positional][2:]  # after shape and classes
    named += [one for one in parameters if one.kind == inspect.Parameter.KEYWORD_ONLY]
    allowed = [parameter.name for parameter in named]
    for name, value in own.arguments.items():
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            takes = ", ".join(allowed) or "no arguments but shape and classes"
            raise OwnNetError(
                f"module.arguments.{name} = {value!r}: {own.class_} has no such argument{meant}; it takes {takes}"
            )
    absent = [one.name for one in named if one.default is inspect.Parameter.empty and one.name not in own.arguments]
    if absent:
        raise OwnNetError(f"module.arguments lacks {', '.join(absent)}, which {own.class_} needs")


def _check_parameters(trial: Trial) -> None:
    if not any(parameter.requires_grad for parameter in trial.net.parameters()):
        raise OwnNetError(f"{trial.key}: it has no parameters, so that there is nothing to train")


def _check_weights(trial: Trial) -> None:
    """Weights depend on the seed alone, outputs on weights and images alone."""
    key, batch = trial.key, trial.images[SIZES[0]]
    net, again, other = (first_net(trial.own, trial.shape, trial.classes, seed) for seed in (0, 0, 1))
    state_again = again.state_dict()
    for name, value in net.state_dict().items():
        if not isinstance(value, Tensor):
            raise OwnNetError(f"{key}: its state_dict has {name!r}, which is no tensor, so that it cannot be saved")
        if name not in state_again or not torch.equal(value, state_again[name]):
            raise OwnNetError(
                f"{key}: built twice under the same seed, {name!r} differs; draw from torch's generator alone"
            )
    try:
        other.load_state_dict(net.state_dict())
    except RuntimeError as error:
        raise OwnNetError(f"{key}: its weights cannot be loaded into it again: {in_words(error)}") from None
    with torch.no_grad():
        one, two = (output_of(built.eval(), batch.clone()) for built in (net, other))
    if not torch.allclose(one, two):
        raise OwnNetError(
            f"{key}: what it gives depends on random numbers that are not saved with its weights; "
            "keep them in a buffer (register_buffer)"
        )


def _check_output(trial: Trial) -> None:
    """In evaluation mode: logits of every image, finite, and the same each time."""
    key, net, classes = trial.key, trial.net.eval(), trial.classes
    for size, batch in trial.images.items():
        given = batch.clone()
        with torch.no_grad():
            logits, again = output_of(net, given), output_of(net, batch.clone())
        if tuple(logits.shape) != (size, classes):
            raise OwnNetError(
                f"{key}: it gives {tuple(logits.shape)} for images of shape {tuple(batch.shape)}; "
                f"allowed is ({size}, {classes}), a logit for each class"
            )
        if not logits.is_floating_point() or not logits.isfinite().all():
            kind = "numbers that are not finite" if logits.is_floating_point() else f"{logits.dtype}"
            raise OwnNetError(f"{key}: it gives {kind} before any training; allowed are finite floating-point logits")
        if not torch.equal(logits, again):
            raise OwnNetError(
                f"{key}: in evaluation mode, two passes over the same images differ; only training may be "
                "random, as in torch.nn.Dropout"
            )
        if not torch.equal(given, batch):
            raise OwnNetError(f"{key}: it changes the images that it is given; work on a copy, without in-place steps")


def _check_gradients(trial: Trial) -> None:
    """In training mode, from the loss to every parameter."""
    key, net, batch = trial.key, trial.net.train(), trial.images[SIZES[-1]]
    net.zero_grad()
    loss = F.cross_entropy(output_of(net, batch.clone()), torch.arange(len(batch)) % trial.classes)
    try:
        loss.backward()
    except RuntimeError as error:
        raise OwnNetError(f"{key}: no gradient can be computed: {in_words(error)}") from None
    trainable = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
    _refuse_any(
        [name for name, parameter in trainable.items() if parameter.grad is None],
        f"{key}: no gradient reaches {{}}; use it in forward, or leave it out",
    )
    _refuse_any(
        [name for name, one in trainable.items() if one.grad is not None and not one.grad.isfinite().all()],
        f"{key}: the first gradient of {{}} is not finite",
    )


def _check_parts(trial: Trial) -> None:
    """Where it has features and head, these two alone are what it computes: the project trains and probes them."""
    key, net, batch = trial.key, trial.net, trial.images[SIZES[-1]]
    features, head = getattr(net, "features", None), getattr(net, "head", None)
    if not (isinstance(features, nn.Module) and isinstance(head, nn.Module)):
        return
    for is_training in (False, True):
        net.train(is_training)
        whole, in_parts = (_seeded_output(one, batch.clone()) for one in (net, nn.Sequential(features, head)))
        if whole.shape != in_parts.shape or not torch.allclose(whole, in_parts, atol=1e-5):
            raise OwnNetError(
                f"{key}: it has features and head, but its forward is not head(features(images)); "
                "change forward, or rename one of the two"
            )
    with torch.no_grad():
        maps = output_of(features.eval(), batch.clone())
    if maps.ndim not in (2, 4):
        raise OwnNetError(
            f"{key}: its features give {tuple(maps.shape)}; allowed are maps, (N, channels, height, width), "
            "or units, (N, units)"
        )


def _seeded_output(net: nn.Module, images: Tensor) -> Tensor:
    """With the same dropout each time."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return output_of(net, images)


def _refuse_any(names: Iterable[str], text: str) -> None:
    """Raises OwnNetError with the names in the place of {}, if there are any."""
    if listed := ", ".join(names):
        raise OwnNetError(text.format(listed))
