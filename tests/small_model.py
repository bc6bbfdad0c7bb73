"""Trained models small enough to make in a moment, as the pipeline leaves them, and the package of one."""

from small_data import write_prepared

from stages.shared import params, paths
from stages.tools.deploy.choose import choose
from stages.tools.deploy.package import package
from stages.train.run import train_run
from stages.train.variant import gather

SETTINGS = params.load()
SEEDS = (0, 1)
# Layouts and scales of pixels that the handler must repeat.
VARIANTS = {"cnn": {}, "cnn_permuted": {"layout": "permuted"}, "cnn_unit": {"layout": "patches_3", "pixels": "unit"}}


def run_spec(**sample):
    run = SETTINGS.variants["cnn"].run
    return run.model_copy(
        update={
            "architecture": run.architecture.model_copy(update={"channels": (4, 8)}),
            "recipe": run.recipe.model_copy(update={"batch_size": 8, "lr": 0.01}),
            "sample": run.sample.model_copy(update=sample),
        }
    )


def write_trained(root):
    """prepared/, plan/train/ and runs/ of three variants, two seeds each, on three classes of lines; returns `root`."""
    write_prepared(root / "prepared")
    for variant, sample in VARIANTS.items():
        run, scratch, out = run_spec(**sample), root / "scratch" / variant, root / "runs" / variant
        for seed in SEEDS:
            (scratch / f"seed_{seed}").mkdir(parents=True)
            train_run(run, 3, seed, root / "prepared", scratch / f"seed_{seed}", lambda _: None)
        out.mkdir(parents=True)
        gather(variant, run, SEEDS, root / "prepared", scratch, out)
        plan = params.TrainPlan(run=run, epochs=3, seeds=SEEDS)
        paths.write_json(root / "plan" / "train" / f"{variant}.json", plan.model_dump(mode="json"))
    return root


def packaged(data, out, variant="cnn", seed=1):
    """The package of one of them, in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    package(choose(data / "plan" / "train", data / "runs", variant, seed), data / "prepared", data / "runs", out)
    return out / "model.tar.gz"
