"""The record of the hypotheses: what it says of one before, added, altered and untouched, wherever its runs are."""

import datetime
import shutil
from functools import reduce
from operator import getitem

import fake_results
import pytest
from ruamel.yaml import YAML
from small_data import write_prepared

from stages.shared import params, paths, run_records
from stages.shared.declared import Claim, claim_digest, read_record, record_path, status
from stages.shared.run_records import Store
from stages.train import declared
from stages.train.runs import planned_runs

HYPOTHESIS = {
    "statement": "A wide kernel is better.",
    "family": "kernel",
    "contrast": {"variant": "kernel_5", "reference": "cnn"},
    "metric": "accuracy",
    "direction": "above",
    "smallest_effect": 0.005,
    "source": "",
}
YAML_FILE = YAML(typ="safe", pure=True)
PIPELINE = YAML_FILE.load((paths.ROOT / "dvc.yaml").read_text())


def small(raw):
    fake_results.only(raw, "cnn", "kernel_5", "kernel_1")
    raw["machine"]["device"] = "cpu"
    raw["protocols"]["default"] |= {"seeds": [0, 1], "few_seeds": [0], "variants": ["cnn", "kernel_5"]}
    raw["variants"]["cnn"]["run"] = {"sample": {"seeds": "all"}}
    raw["variants"]["kernel_5"]["run"]["sample"] = {"seeds": "all"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with settings, prepared data, no run and no record."""
    fake_results.write_params(tmp_path, fake_results.settings(small), {})
    fake_results.reroot(monkeypatch, tmp_path)
    write_prepared(paths.PREPARED)
    return tmp_path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def record(store, **hypotheses):
    """Write hypotheses.yaml and record it. Returns hypothesis → whether runs existed, for each of its wordings."""
    with paths.HYPOTHESES.open("w") as file:
        YAML_FILE.dump(hypotheses, file)
    settings = params.load(paths.PARAMS)
    loaded = params.load_hypotheses(settings, paths.HYPOTHESES)
    declared.record(settings, loaded, lambda: store)
    claims = read_record(record_path(settings))
    assert all(
        claims[key][-1].digest == claim_digest(hypothesis) for key, hypothesis in loaded.items() if key in claims
    )
    return {key: [claim.runs_existed for claim in of_one] for key, of_one in claims.items()}


def finish(*wanted, variants=("cnn", "kernel_5")):
    """Leave finished runs of these variants and seeds in data/runs."""
    for run in planned_runs(params.load(paths.PARAMS), variants):
        if run.seed in wanted:
            folder = paths.RUNS / run.folder
            folder.mkdir(parents=True)
            (folder / "weights").write_text("x")
            run_records.write_record(folder, run.digest)


def move_to_store(store):
    for folder in paths.RUNS.glob("*/*"):
        store.keep(folder)
    paths.RUNS.rename(paths.RUNS.with_name("gone"))


def lock(**changes):
    """Leave a dvc.lock that says that today's settings, but for these, were trained, and no run."""
    settings = YAML_FILE.load(paths.PARAMS.read_text()) | changes
    stages = {}
    for stage in ("prepare", "train"):
        keys = [key.replace("${protocol}", settings["protocol"]) for key in PIPELINE["stages"][stage]["params"]]
        values = {key: reduce(getitem, key.split("."), settings) for key in keys}
        stages[stage] = {"params": {"params.yaml": values}}
    with paths.DVC_LOCK.open("w") as file:
        YAML_FILE.dump({"stages": stages}, file)


def test_what_stands_before_any_run_stays_declared_before_when_it_is_trained_and_nothing_is_written_again(root, store):
    assert record(store, wide=HYPOTHESIS) == {"wide": [False]}
    content = (paths.DECLARED / "default.json").read_bytes()
    finish(0, 1)
    assert record(store, wide=HYPOTHESIS) == {"wide": [False]}
    assert (paths.DECLARED / "default.json").read_bytes() == content


@pytest.mark.parametrize("place", ["data/runs", "the store", "dvc.lock"])
def test_what_is_added_or_altered_when_runs_lie_anywhere_is_recorded_so(place, root, store):
    record(store, wide=HYPOTHESIS)
    if place == "dvc.lock":
        lock()
    else:
        finish(1)
    if place == "the store":
        move_to_store(store)
    later = HYPOTHESIS | {"smallest_effect": 0.002}
    assert record(store, wide=later, narrow=HYPOTHESIS | {"metric": "loss"}) == {
        "wide": [False, True],
        "narrow": [True],
    }
    assert record(store, wide=HYPOTHESIS) == {"wide": [False, True, True], "narrow": [True]}  # put back


def test_an_experiment_without_the_record_of_the_one_before_it_finds_it_beside_that_ones_runs(root, store):
    """As when `make quick` runs twice: each begins in a folder of its own, without what the other has left there."""
    record(store, wide=HYPOTHESIS)
    finish(0, 1)
    move_to_store(store)
    shutil.rmtree(paths.DECLARED)
    narrow = HYPOTHESIS | {"metric": "loss"}
    assert record(store, wide=HYPOTHESIS, narrow=narrow) == {"wide": [False], "narrow": [True]}
    assert store.prune(1e9) == (0, 0)
    assert len(store.entries()) == 4  # the copy is no run


@pytest.mark.parametrize(
    "done",
    [
        lambda: None,
        lambda: finish(0, 1, variants=["cnn"]),
        lambda: (finish(0, variants=["cnn"]), finish(1, variants=["kernel_5"])),
        lambda: (finish(0), (paths.RUNS / "kernel_5" / "seed_0" / "weights").write_text("half of i")),
        lambda: lock(protocol="quick"),
        lambda: lock(recipe=YAML_FILE.load(paths.PARAMS.read_text())["recipe"] | {"lr": 0.3}),
        lambda: lock(data={"dataset": "mnist"}),
    ],
    ids=["none", "reference alone", "no shared seed", "half a run", "another protocol", "another rate", "other data"],
)
def test_a_contrast_that_could_not_have_been_computed_is_declared_before_its_runs(done, root, store):
    done()
    assert record(store, wide=HYPOTHESIS) == {"wide": [False]}


def test_a_variant_that_the_lock_describes_otherwise_has_no_run_there(root, store):
    variants = YAML_FILE.load(paths.PARAMS.read_text())["variants"]
    lock(variants=variants | {"kernel_5": variants["kernel_5"] | {"run": {"architecture": {"kernel": 4}}}})
    assert record(store, wide=HYPOTHESIS) == {"wide": [False]}


def test_prose_is_no_claim(root, store):
    record(store, wide=HYPOTHESIS)
    finish(0, 1)
    change = {"date": datetime.date(2026, 1, 2), "kind": "added", "reason": "Why not."}
    assert record(store, wide=HYPOTHESIS | {"source": "lecun1998", "history": [change]}) == {"wide": [False]}


def test_each_protocol_has_a_record_of_the_hypotheses_whose_variants_it_has(root, store):
    other = HYPOTHESIS | {"contrast": {"variant": "kernel_1", "reference": "cnn"}}
    assert record(store, wide=HYPOTHESIS, one=other) == {"wide": [False]}
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("protocol: default", "protocol: quick"))
    assert record(store, wide=HYPOTHESIS, one=other) == {"wide": [False], "one": [False]}
    assert sorted(path.name for path in paths.DECLARED.iterdir()) == ["default.json", "quick.json"]


@pytest.mark.parametrize(
    ("existed", "disclosed", "expected"),
    [
        ([], None, ""),
        ([False], None, "before its runs"),
        ([False, False], None, "before its runs"),  # altered while there was nothing to see
        ([True], None, "added later"),
        ([True, False], None, "added later"),  # new settings do not make it earlier
        ([False, True], None, "altered later"),
        ([False, True, False], None, "altered later"),
        ([False], "added", "added later"),
        ([False], "altered", "altered later"),
    ],
)
def test_the_status_forgets_nothing(existed, disclosed, expected):
    change = {"date": datetime.date(2026, 1, 2), "kind": disclosed, "reason": "So it was."}
    hypothesis = params.Hypothesis.model_validate(HYPOTHESIS | ({"history": [change]} if disclosed else {}))
    claims = [Claim(digest="0", runs_existed=runs_existed) for runs_existed in existed]
    assert status(hypothesis, claims) == expected
