import pytest
from small_data import TRAIN, write_prepared

from stages.shared import params
from stages.train.run import train_run
from stages.train.run_spec import RunSpec

SETTINGS = params.load()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Prepared data of three classes of lines: 121 train and 47 test images. Do not change it."""
    folder = tmp_path_factory.mktemp("lines") / "prepared"
    write_prepared(folder)
    return folder


@pytest.fixture
def run_spec():
    """A function that makes the spec of a small CNN's run; its arguments change the seed, the sample or the recipe."""

    def make(seed=0, sample=None, **recipe):
        spec = RunSpec.of(SETTINGS, "cnn", seed, "cpu", TRAIN)
        changes = {
            "val_size": TRAIN - 90,
            "score_every": 1,
            "architecture": spec.architecture.model_copy(update={"channels": (4, 8)}),
            "sample": spec.sample.model_copy(update={"train_size": 90, **(sample or {})}),
            "recipe": spec.recipe.model_copy(update={"epochs": 3, **recipe}),
        }
        return spec.model_copy(update=changes)

    return make


@pytest.fixture
def train(prepared):
    """A function that trains a run into a new folder and returns what was reported."""

    def run(spec, out):
        out.mkdir(parents=True)
        reports = []
        train_run(spec, prepared, out, reports.append)
        return reports

    return run
