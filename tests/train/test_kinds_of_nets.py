"""Every kind of net is trained: bits that repeat, and a loss that falls."""

import pandas as pd
import pytest
from untrained_net import NETS, changed

from stages.shared import paths

TRAINED = ("kernels of 5, 3 and 3", "tiles", "separable", "dropout", "residual", "attention, dropout", "mixer")


@pytest.mark.parametrize("name", TRAINED)
def test_every_kind_of_net_learns_and_a_run_repeats_to_the_last_bit(name, run_spec, train, tmp_path):
    spec = run_spec(lr=0.01, epochs=6).model_copy(update={"architecture": changed(**NETS[name])})
    for folder in ("first", "again"):
        train(spec, tmp_path / folder)
    first, again = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("first", "again")
    )
    assert first == again
    curves = pd.read_csv(tmp_path / "first" / "curves.csv")
    assert curves["train_loss"].iloc[-1] < 0.9 * curves["train_loss"].iloc[0]
    assert paths.read_json(tmp_path / "first" / "metrics.json")["test_accuracy"] > 0.5
