"""Choose the model to deploy by its accuracy on the validation images. Test images are not used."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.shared import paths
from stages.shared.params import Params, Run
from stages.shared.stage_command import StageError

Metrics = dict[str, Any]  # of one run, as its metrics.json has them


@dataclass(frozen=True)
class Choice:
    """variant and seed: the run that is deployed. run: the settings of the variant. val_accuracy: of that run.

    mean_val_accuracy: over the variant's runs. n_variants: with a trained model.
    without_model: variants that are not trained yet, or of which every run diverged.
    """

    variant: str
    seed: int
    run: Run
    val_accuracy: float
    mean_val_accuracy: float
    n_variants: int
    without_model: list[str]

    def __str__(self) -> str:
        others = f"{self.n_variants} variants have a trained model"
        if self.without_model:
            others += f"; without one, since not trained yet or diverged: {', '.join(self.without_model)}"
        return (
            f"{self.variant}, seed {self.seed}, with a val accuracy of {self.val_accuracy:.4f} "
            f"({self.mean_val_accuracy:.4f} over the variant's seeds; {others})"
        )


def choose(settings: Params, runs: Path, variant: str | None = None, seed: int | None = None) -> Choice:
    """Choose the variant of the protocol with the best mean val accuracy, and its best seed.

    variant, seed: choose among their runs only. runs: data/runs. Between equal accuracies the lower loss decides, then
    the name. A run that diverged has no model. Raises StageError if there is no such run.
    """
    trained = {key: _trained_runs(settings, runs, key) for key in settings.trained_variants}
    with_model = {key: metrics for key, metrics in trained.items() if metrics}
    if not with_model:
        raise StageError("no trained model is in data/runs; `dvc repro train` trains them")
    if variant is None:
        candidates = {key: metrics for key, metrics in with_model.items() if _under(seed, metrics)}
        if not candidates:
            raise StageError(f"no variant was trained with seed {seed}; leave --seed out, or name one that was")
        variant = min(candidates, key=lambda key: (*_rank(candidates[key]), key))
    elif variant not in with_model:
        raise StageError(
            f"variant {variant!r} has no trained model (have: {', '.join(with_model)}); "
            "it is not in the protocol of params.yaml, not trained yet (`dvc repro train`), or every run of it diverged"
        )
    allowed = _under(seed, with_model[variant])
    if not allowed:
        seeds = ", ".join(str(run["seed"]) for run in with_model[variant])
        raise StageError(f"variant {variant!r} has no trained model of seed {seed} (have: {seeds})")
    best = min(allowed, key=lambda run: (*_rank([run]), run["seed"]))
    return Choice(
        variant=variant,
        seed=best["seed"],
        run=settings.trained_variants[variant].run,
        val_accuracy=best["val_accuracy"],
        mean_val_accuracy=fmean(run["val_accuracy"] for run in with_model[variant]),
        n_variants=len(with_model),
        without_model=[key for key in trained if key not in with_model],
    )


def _trained_runs(settings: Params, runs: Path, variant: str) -> list[Metrics]:
    """The metrics of the variant's runs that are there and did not diverge."""
    files = [runs / variant / f"seed_{seed}" / "metrics.json" for seed in settings.seeds(variant)]
    metrics = [paths.read_json(file) for file in files if file.exists()]
    return [one for one in metrics if "diverged" not in one]


def _under(seed: int | None, runs: list[Metrics]) -> list[Metrics]:
    """The runs under this seed; all of them where it is None."""
    return [run for run in runs if seed in (None, run["seed"])]


def _rank(runs: list[Metrics]) -> tuple[float, float]:
    """Sort key: the best variant or run first."""
    return -fmean(run["val_accuracy"] for run in runs), fmean(run["val_loss"] for run in runs)
