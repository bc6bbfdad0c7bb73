"""The files of ours that training needs, by an allow-list: what its result depends on, and what else a job is sent."""

from pathlib import Path

from stages.shared.run_records import code

STAGES = Path(__file__).parents[2]
# Of this folder, what runs in a job; of the other rooms, what train_run is called through.
SENT = (
    "__init__.py",
    "cores.py",
    "instructions.py",
    "kept.py",
    "paths.py",
    "provenance.py",
    "params/*.py",
    "train/compute/*.py",
)


def code_of_stage() -> list[Path]:
    """The files that dvc.yaml names as this stage's code."""
    return code("layouts.py", "prepared.py", "seeds.py", "architectures/*.py", "train/*.py")


def code_of_job() -> list[Path]:
    """What is sent to a training job. Nothing but Python files of these folders ever is."""
    return sorted([*code_of_stage(), *code(*SENT)])
