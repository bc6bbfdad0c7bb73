"""The model that is deployed is the best one on the validation images."""

import pytest
from small_model import small_settings

from stages.shared import paths
from stages.shared.params.blocks import Longer
from stages.shared.stage_command import StageError
from stages.tools.deploy.choose import choose

pytestmark = pytest.mark.slow


def results(tmp_path, **variants):
    """Settings and data/runs of variants, each given as {seed: (val accuracy, val loss, test accuracy)}."""
    names = ("val_accuracy", "val_loss", "test_accuracy")
    for variant, runs in variants.items():
        for seed, values in runs.items():
            metrics = {"diverged": 1} if values is None else dict(zip(names, values, strict=True))
            paths.write_json(tmp_path / variant / f"seed_{seed}" / "metrics.json", {"seed": seed, **metrics})
    return small_settings({key: {} for key in variants}, seeds=range(4)), tmp_path


def test_the_variant_has_the_best_mean_on_val_and_the_seed_is_its_best_whatever_the_test_images_say(tmp_path):
    choice = choose(
        *results(
            tmp_path,
            lucky={0: (0.95, 0.1, 0.99), 1: (0.60, 0.9, 0.99)},  # mean 0.775
            steady={0: (0.80, 0.5, 0.1), 1: (0.82, 0.5, 0.1), 2: (0.81, 0.5, 0.2)},  # mean 0.81
            worse={0: (0.79, 0.1, 0.9)},
        )
    )
    assert (choice.variant, choice.seed, choice.val_accuracy, choice.n_variants) == ("steady", 1, 0.82, 3)
    assert choice.mean_val_accuracy == pytest.approx(0.81)


def test_the_loss_parts_equal_accuracies_and_the_name_equal_losses(tmp_path):
    choice = choose(
        *results(tmp_path, a={0: (0.8, 0.5, 0)}, b={0: (0.8, 0.4, 0), 1: (0.8, 0.4, 0)}, c={3: (0.8, 0.4, 0)})
    )
    assert (choice.variant, choice.seed) == ("b", 0)


def test_variant_and_seed_can_be_fixed(tmp_path):
    folders = results(tmp_path, a={0: (0.9, 0, 0), 1: (0.8, 0, 0)}, b={0: (0.5, 0, 0), 1: (0.6, 0, 0), 2: (0.1, 0, 0)})

    def chosen(**fixed):
        choice = choose(*folders, **fixed)
        return choice.variant, choice.seed

    assert chosen(variant="b") == ("b", 1)
    assert chosen(seed=1) == ("a", 1)
    assert chosen(seed=2) == ("b", 2)
    with pytest.raises(StageError, match=r"'c' has no trained model \(have: a, b\)"):
        chosen(variant="c")
    with pytest.raises(StageError, match=r"'b' has no trained model of seed 7 \(have: 0, 1, 2\)"):
        chosen(variant="b", seed=7)
    with pytest.raises(StageError, match="no variant was trained with seed 7"):
        chosen(seed=7)


def test_what_the_protocol_does_not_have_is_not_chosen_and_what_is_not_trained_is_named(tmp_path):
    settings, runs = results(tmp_path, trained={0: (0.5, 0, 0)}, waiting={})
    results(tmp_path, deleted={0: (0.99, 0, 0)}, trained={99: (0.99, 0, 0)})  # a variant and a seed of other settings
    choice = choose(settings, runs)
    assert (choice.variant, choice.seed, choice.without_model) == ("trained", 0, ["waiting"])
    assert "not trained yet or diverged: waiting" in str(choice)
    with pytest.raises(StageError, match="no trained model is in data/runs; `dvc repro train`"):
        choose(settings, tmp_path / "elsewhere")


def test_a_variant_that_was_trained_longer_may_be_chosen(tmp_path):
    settings, runs = results(tmp_path, cnn={0: (0.8, 0.5, 0.1)}, cnn_longer={0: (0.9, 0.5, 0.1)})
    longer = Longer(times=2, variants=("cnn",))
    protocol = settings.chosen_protocol.model_copy(update={"longer": longer, "variants": ("cnn",)})
    variants = {"cnn": settings.variants["cnn"]}
    settings = settings.model_copy(update={"protocols": {settings.protocol: protocol}, "variants": variants})
    assert choose(settings, runs).variant == "cnn_longer"


def test_a_run_that_diverged_is_never_chosen(tmp_path):
    folders = results(tmp_path, lost={0: None, 1: None}, partly={0: None, 1: (0.5, 0, 0)}, worse={0: (0.4, 0, 0)})
    choice = choose(*folders)
    assert (choice.variant, choice.seed, choice.n_variants, choice.without_model) == ("partly", 1, 2, ["lost"])
    with pytest.raises(
        StageError, match=r"'lost' has no trained model \(have: partly, worse\); .*every run.* diverged"
    ):
        choose(*folders, variant="lost")
    with pytest.raises(StageError, match=r"'partly' has no trained model of seed 0 \(have: 1\)"):
        choose(*folders, variant="partly", seed=0)
