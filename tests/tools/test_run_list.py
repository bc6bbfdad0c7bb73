"""The list of finished runs, of invented ones."""

import shutil
import sys

import fake_results
import pytest

from stages.shared import params, paths
from stages.tools import run_list


@pytest.fixture
def listed(tmp_path, monkeypatch, capsys):
    """What is printed for these variants, as rows of words: three seeds of two variants, of which one diverged."""
    fake_results.reroot(monkeypatch, tmp_path)

    def small(raw):
        fake_results.only(raw, "cnn", "kernel_5")
        fake_results.seeds(3)(raw)

    settings = fake_results.make_root(
        tmp_path,
        fake_results.settings(small),
        n_test=40,
        means={"cnn": [0.5, 0.9, 0.75]},
        diverged={"cnn": {1: 2}},
    )
    monkeypatch.setattr(params, "load", lambda: settings)
    shutil.rmtree(paths.RUNS / "kernel_5/seed_2")
    shutil.rmtree(paths.PROBES / "kernel_5/seed_1")

    def run(*variants):
        monkeypatch.setattr(sys, "argv", ["run_list", *variants])
        run_list.main()
        return capsys.readouterr().out

    return run


def test_each_variant_has_its_seeds_mean_accuracy_costs_and_probes(listed):
    rows = [" ".join(line.split()) for line in listed().splitlines()]
    assert rows[2].startswith("cnn 3 of 3 1 62.50 ± 17.68 ")  # of 0.5 and 0.75; the SD is 0.25 / √2
    assert rows[2].endswith(" 2 of 2")
    assert rows[3].startswith("kernel_5 2 of 3 ")
    assert rows[3].endswith(" 1 of 2")
    assert rows[5].startswith("5 runs of other settings, data or code than there are now")


def test_a_named_variant_has_a_row_for_each_run(listed):
    rows = [line.split() for line in listed("cnn").splitlines()]
    assert rows[2] == ["cnn", "0", "53.00", "50.00", "50.00", "cpu", "data/runs/cnn/seed_0"]
    assert rows[3] == ["cnn", "1", "diverged", "diverged", "diverged", "cpu", "data/runs/cnn/seed_1"]


def test_a_variant_that_the_protocol_does_not_run_is_refused(listed):
    with pytest.raises(params.ParamsError, match="did you mean 'kernel_5'"):
        listed("kernel_55")
