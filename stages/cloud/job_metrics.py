"""What a job prints of each run, and how SageMaker finds the metrics in it. Imports the standard library alone."""

from pathlib import Path
from typing import Any

SPLITS = ("train", "val", "test")
SCORES = tuple(f"{split}_{score}" for split in SPLITS for score in ("loss", "accuracy"))
NUMBER = r"([0-9]+\.[0-9]+)"
# Name in SageMaker → pattern of the line that holds it: of a finished run, and of the bar while a run trains.
PATTERNS = {name.replace("_", ":"): rf" seed [0-9]+: .*{name}={NUMBER}" for name in SCORES}
PATTERNS["progress:val_accuracy"] = rf"epoch [0-9]+ of [0-9]+: val accuracy {NUMBER}"


def definitions() -> list[dict[str, str]]:
    """For AlgorithmSpecification, in the SDK's words."""
    return [{"name": name, "regex": pattern} for name, pattern in PATTERNS.items()]


def line_of(variant: str, seed: int, metrics: dict[str, Any]) -> str:
    """The line of a finished run. metrics: of its metrics.json."""
    if "diverged" in metrics:
        return f"finished {variant}, seed {seed}: diverged in epoch {metrics['diverged']}"
    scores = [f"{name}={metrics[name]:.6f}" for name in SCORES]
    return f"finished {variant}, seed {seed}: {' '.join(scores)}"


def place_and_print(run: Any, folder: Path, root: Path, store: Any) -> None:
    """Place a finished run as run_records.place does, and print its line. Runs in the process that trained it."""
    from stages.shared import paths
    from stages.shared.run_records import place

    line = line_of(run.variant, run.seed, paths.read_json(folder / "metrics.json"))
    place(run, folder, root, store)
    print(line, flush=True)
