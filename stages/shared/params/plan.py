"""What the stages of one variant are to do: all that they read of params.yaml, so that they run again when that changes and only then."""

from typing import Self

from stages.shared import paths
from stages.shared.params.blocks import Architecture, Block, Machine, Params, Probe, Run, Sample
from stages.shared.params.messages import ParamsError


class TrainPlan(Block):
    """epochs: the protocol's, for a recipe that has no length of its own."""

    run: Run
    epochs: int
    machine: Machine = Machine()
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, settings: Params, key: str) -> Self:
        return cls(
            run=settings.variants[key].run,
            epochs=settings.protocol.epochs,
            machine=settings.machine,
            seeds=settings.seeds(key),
        )


class ProbePlan(Block):
    """images: how many of the first test images are shifted."""

    sample: Sample
    architecture: Architecture
    probe: Probe
    images: int
    instruction_set: str = Machine().instruction_set
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, settings: Params, key: str) -> Self:
        run = settings.variants[key].run
        return cls(
            sample=run.sample, architecture=run.architecture, probe=settings.probe, images=settings.protocol.probe_images,
            instruction_set=settings.machine.instruction_set, seeds=settings.seeds(key),
        )  # fmt: skip


def train_plan(key: str) -> TrainPlan:
    """Raises ParamsError if the protocol has no such variant."""
    return TrainPlan.model_validate_json(_text("train", key))


def probe_plan(key: str) -> ProbePlan:
    """Raises ParamsError if the protocol has no such variant."""
    return ProbePlan.model_validate_json(_text("probe", key))


def _text(stage: str, key: str) -> str:
    path = paths.plan(stage, key)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        have = (
            ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or "none; `dvc repro plan` makes them"
        )
        raise ParamsError(f"variant {key!r} is not among those of the protocol in params.yaml (have: {have})") from None
