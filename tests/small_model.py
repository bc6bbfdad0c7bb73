"""Trained models small enough to make in a moment, as the pipeline leaves them, and the package of one."""

from small_data import TRAIN, write_prepared

from stages.shared import params
from stages.tools.deploy.choose import choose
from stages.tools.deploy.package import package
from stages.train.run import train_run
from stages.train.run_spec import RunSpec

SEEDS = (0, 1)
# Layouts and scales of pixels that the handler must repeat.
SAMPLES = {"cnn": {}, "cnn_permuted": {"layout": "permuted"}, "cnn_unit": {"layout": "patches_3", "pixels": "unit"}}


def small_settings(samples=SAMPLES, seeds=SEEDS, channels=(4, 8)):
    """params.yaml with a protocol of these variants on a small net for three epochs. samples: name → its changes."""
    settings = params.load()
    variant = settings.variants["cnn"]
    run = variant.run.model_copy(
        update={
            "architecture": variant.run.architecture.model_copy(update={"channels": channels}),
            "recipe": variant.run.recipe.model_copy(update={"batch_size": 8, "lr": 0.01, "epochs": 3}),
        }
    )
    variants = {}
    for name, changes in samples.items():
        sample = run.sample.model_copy(update={"seeds": "all", **changes})
        variants[name] = variant.model_copy(update={"run": run.model_copy(update={"sample": sample})})
    sizes = {"train_size": 90, "val_size": TRAIN - 90, "longer": None}
    protocol = settings.chosen_protocol.model_copy(update=sizes | {"variants": tuple(variants), "seeds": tuple(seeds)})
    return settings.model_copy(update={"variants": variants, "protocols": {settings.protocol: protocol}})


def write_trained(root):
    """Write prepared/ and runs/ of three variants, two seeds each, on three classes of lines. Returns `root`."""
    write_prepared(root / "prepared")
    settings = small_settings()
    for variant in settings.variants:
        for seed in SEEDS:
            out = root / "runs" / variant / f"seed_{seed}"
            out.mkdir(parents=True)
            train_run(RunSpec.of(settings, variant, seed, "cpu", TRAIN), root / "prepared", out, lambda _: None)
    return root


def packaged(data, out, variant="cnn", seed=1):
    """The package of one of them, in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    package(choose(small_settings(), data / "runs", variant, seed), data / "prepared", data / "runs", out)
    return out / "model.tar.gz"
