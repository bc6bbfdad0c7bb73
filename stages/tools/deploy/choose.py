"""Which model is deployed: the best on the validation images, which chose nothing else of it. The test images are not looked at."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.shared import paths
from stages.shared.params import Run, TrainPlan
from stages.shared.stage_command import StageError


@dataclass(frozen=True)
class Choice:
    """variant and seed, of `among` trained variants. val_accuracy: of that seed. mean_val_accuracy: over the variant's seeds.

    without_model: variants that are not trained yet, or of which every seed diverged.
    """

    variant: str
    seed: int
    run: Run
    val_accuracy: float
    mean_val_accuracy: float
    among: int
    without_model: list[str]

    def __str__(self) -> str:
        missing = (
            f"; without one, since not trained yet or diverged: {', '.join(self.without_model)}"
            if self.without_model
            else ""
        )
        return (
            f"{self.variant}, seed {self.seed}, with a val accuracy of {self.val_accuracy:.4f} "
            f"({self.mean_val_accuracy:.4f} over the variant's seeds; {self.among} variants have a trained model{missing})"
        )


def choose(plans: Path, runs: Path, variant: str | None = None, seed: int | None = None) -> Choice:
    """The variant with the best mean over its seeds, and its best seed; `variant` and `seed` fix one or both.

    plans: the folder with <variant>.json of every variant of the protocol. runs: the folder of what they left.
    Equal accuracies are parted by the loss, then by the name. A run that diverged is no choice.
    Raises StageError if there is no such run.
    """
    planned = sorted(plan.stem for plan in plans.glob("*.json"))
    trained_ones = {
        key: paths.read_json(runs / key / "metrics.json") for key in planned if (runs / key / "metrics.json").exists()
    }
    metrics = {key: found for key, found in trained_ones.items() if found["runs"]}
    if not metrics:
        raise StageError("no trained model is there (data/plan and data/runs); `dvc repro` trains them")
    if variant is not None and variant not in metrics:
        why = (
            "every seed of it diverged"
            if variant in trained_ones
            else "`dvc repro` trains those of the protocol in params.yaml"
        )
        raise StageError(f"variant {variant!r} has no trained model (have: {', '.join(metrics)}); {why}")
    if (
        variant is None
        and seed is not None
        and not any(seed == run["seed"] for one in metrics.values() for run in one["runs"])
    ):
        raise StageError(f"no variant was trained with seed {seed}; leave --seed out, or name one that was")
    best = variant or min(metrics, key=lambda key: (*_rank(metrics[key]["runs"]), key))
    trained = metrics[best]["runs"]
    allowed = [run for run in trained if seed in (None, run["seed"])]
    if not allowed:
        raise StageError(
            f"variant {best!r} has no trained model of seed {seed} (have: {', '.join(str(run['seed']) for run in trained)})"
        )
    chosen = min(allowed, key=lambda run: (*_rank([run]), run["seed"]))
    return Choice(
        best,
        chosen["seed"],
        TrainPlan.model_validate_json((plans / f"{best}.json").read_text(encoding="utf-8")).run,
        chosen["val_accuracy"],
        fmean(run["val_accuracy"] for run in trained),
        len(metrics),
        [key for key in planned if key not in metrics],
    )


def _rank(runs: list[dict[str, Any]]) -> tuple[float, float]:
    """Less is better."""
    return -fmean(run["val_accuracy"] for run in runs), fmean(run["val_loss"] for run in runs)
