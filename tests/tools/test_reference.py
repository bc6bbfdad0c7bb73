"""The published results: packed and unpacked to the byte, compared, and made by a run that can be broken off."""

import lzma
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from small_model import small_settings

from stages.shared import params, paths, provenance
from stages.shared.stage_command import StageError
from stages.tools.reference import bundle, conform, long_run, nets, readme, workspace
from stages.tools.reference.settings import trained_as
from stages.train import local

INFERENCE = params.load().inference


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """A folder in place of data/reference."""
    monkeypatch.setattr("stages.shared.paths.REFERENCE", tmp_path / "reference")
    monkeypatch.setattr("stages.shared.paths.ROOT", tmp_path)
    return tmp_path / "reference"


def write_runs(data, seed=0):
    for kind, name, content in (
        ("runs", "metrics.json", b"{}"),
        ("runs", "weights.safetensors", b"large"),
        ("probes", "probe.json", b"[]"),
    ):
        folder = data / kind / "cnn" / f"seed_{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_an_archive_has_every_file_but_the_weights_and_equal_files_give_equal_bytes(reference, tmp_path):
    archives = []
    for name in ("one", "other"):
        write_runs(tmp_path / name)
        bundle.pack_variant("tiny", "cnn", tmp_path / name)
        archives.append((reference / "tiny" / "cnn.tar.xz").read_bytes())
    assert archives[0] == archives[1]
    assert bundle.finished_variants("tiny") == ["cnn"]
    bundle.unpack_variants("tiny", ["cnn"], tmp_path / "out")
    files = sorted(file.relative_to(tmp_path / "out") for file in (tmp_path / "out").rglob("*.*"))
    assert [file.as_posix() for file in files] == ["probes/cnn/seed_0/probe.json", "runs/cnn/seed_0/metrics.json"]


def test_what_trained_a_variant_is_noted_and_forgotten_with_the_archive_that_it_made(reference, tmp_path):
    write_runs(tmp_path)
    machine = {"cpu": "One, or two", "instructions": "AVX2", "python": "3.11.7", "torch": "2.14.1"}
    for variant in ("kernel_1", "cnn"):
        bundle.pack_variant("tiny", variant, tmp_path, machine)
    assert list(bundle.trained_on("tiny").items()) == [("cnn", machine), ("kernel_1", machine)]
    bundle.pack_variant("tiny", "cnn", tmp_path)  # published from a workspace: nobody knows what trained it
    assert bundle.trained_on("tiny") == {"kernel_1": machine}
    bundle.pack_variant("tiny", "kernel_1", tmp_path)
    assert not (reference / "tiny" / "trained_on.csv").exists()


def test_some_seeds_of_a_variant_are_kept_until_all_are_there(reference, tmp_path):
    for seed in range(3):
        write_runs(tmp_path / "data", seed)
    bundle.pack_unfinished("tiny", "cnn", [2, 0], tmp_path / "data", None)
    assert (bundle.finished_variants("tiny"), bundle.unfinished_variants("tiny")) == ([], ["cnn"])
    assert bundle.unpack_unfinished("tiny", "cnn", tmp_path / "out") == [0, 2]
    assert sorted(folder.name for folder in (tmp_path / "out/probes/cnn").iterdir()) == ["seed_0", "seed_2"]
    bundle.pack_variant("tiny", "cnn", tmp_path / "data")
    assert (bundle.finished_variants("tiny"), bundle.unfinished_variants("tiny")) == (["cnn"], [])
    assert bundle.unpack_unfinished("tiny", "cnn", tmp_path / "out") == []


@pytest.mark.parametrize(
    ("backend", "earlier", "noted"),
    [
        ("local", None, {"cpu": "B", "instructions": "AVX512", "python": "3.11.7", "torch": "2.14.1"}),
        ("local", "A", {"cpu": "A and B", "instructions": "AVX512", "python": "3.11.7", "torch": "2.14.1"}),
        ("local", "A and B", {"cpu": "A and B", "instructions": "AVX512", "python": "3.11.7", "torch": "2.14.1"}),
        ("none", "A", {"cpu": "A", "instructions": "AVX512", "python": "3.11.7", "torch": "2.14.1"}),
        ("none", None, None),
        ("sagemaker", None, None),
    ],
)
def test_seeds_of_one_variant_may_be_trained_on_two_machines(backend, earlier, noted, tmp_path):
    machine = {"instructions": "AVX512", "python": "3.11.7"}
    record = {"backend": backend, "cpu": "B", **machine, "packages": {"torch": "2.14.1"}}
    paths.write_json(tmp_path / "timings" / "train.json", record)
    before = earlier and {"cpu": earlier, **machine, "torch": "2.14.1"}
    assert bundle.machine_of(tmp_path, before) == noted


@pytest.mark.parametrize(
    "line", ["protocol: quick # the one", "protocol: 'quick'", '"protocol": quick', "protocol:   quick"]
)
def test_the_protocol_is_chosen_however_its_line_is_written(line, tmp_path):
    text = re.sub(r"^protocol: .*$", line, paths.PARAMS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    workspace.lay_out(tmp_path / "root", tmp_path / "mine.yaml", paths.HYPOTHESES, "replication")
    chosen = params.load(tmp_path / "root" / "params.yaml")
    assert chosen.protocol == "replication"
    assert chosen.variants == params.load().variants


@pytest.mark.parametrize("content", [None, b"", b"no archive", lzma.compress(b"no tar")])
def test_a_missing_or_damaged_archive_is_named_with_what_to_do(reference, tmp_path, content):
    archive = reference / "tiny" / "cnn.tar.xz"
    archive.parent.mkdir(parents=True)
    if content is not None:
        archive.write_bytes(content)
    with pytest.raises(StageError, match=r"reference/tiny/cnn\.tar\.xz is (missing|damaged).*git checkout"):
        bundle.unpack_variants("tiny", ["cnn"], tmp_path / "out")


def test_a_workspace_has_the_protocol_and_of_its_variants_those_that_are_there(tmp_path):
    settings = params.load()
    workspace.lay_out(tmp_path, paths.PARAMS, paths.HYPOTHESES, "full", ["stride_2", "cnn", "stride_2_longer"])
    laid_out = params.load(tmp_path / "params.yaml")
    assert laid_out.protocol == "full"
    assert list(laid_out.trained_variants) == ["cnn", "stride_2"]
    assert laid_out.variants == settings.variants
    workspace.lay_out(tmp_path, paths.PARAMS, paths.HYPOTHESES, "default", ["cnn", "stride_2", "cnn_longer"])
    assert list(params.load(tmp_path / "params.yaml").trained_variants) == ["cnn", "stride_2", "cnn_longer"]


def test_what_decides_the_training_makes_another_variant_and_prose_does_not():
    settings = params.load()
    protocol = settings.chosen_protocol
    variants = {key: one.model_copy(update={"families": {}}) for key, one in settings.variants.items()}
    assert trained_as(settings.model_copy(update={"variants": variants}), "cnn") == trained_as(settings, "cnn")
    for name, change in {"epochs": 9, "seeds": (0, 1), "margin": 3}.items():
        others = {settings.protocol: protocol.model_copy(update={name: change})}
        assert trained_as(settings.model_copy(update={"protocols": others}), "cnn") != trained_as(settings, "cnn")
    assert trained_as(settings, "lab_mlp") is None


def arm(share, seeds=range(10), n_images=2000, seed=0):
    """Correctness of images of which `share` are right: alike under every seed but for some noise."""
    generator = np.random.default_rng(seed)
    easy = np.random.default_rng(99).random(n_images)
    return {one: (easy + generator.normal(0, 0.01, n_images) < share).astype(np.uint8) for one in seeds}


@pytest.mark.parametrize(
    ("here", "published", "outcome"),
    [
        (arm(0.8), arm(0.8), conform.SAME),
        (arm(0.8), arm(0.8, seed=1), conform.AGREES),
        (arm(0.8), arm(0.9, seed=1), conform.DIFFERS),
        (arm(0.8, range(2), 60), arm(0.75, range(2), 60, seed=1), conform.UNDECIDED),
    ],
)
def test_results_are_the_same_agree_differ_or_are_too_few(here, published, outcome):
    (row,) = conform._rows({"cnn": [here, published]}, INFERENCE)
    assert row.outcome == outcome
    text = conform.text([row])
    assert f"1 {outcome}: " in text
    assert len(text.splitlines()) == 4


def test_a_comparison_is_of_both_gaps():
    """Both nets are ten points lower here: each differs, and their difference does not."""
    shares = (0.7, 0.6, 0.8, 0.7)
    arms = [arm(share, n_images=200_000, seed=seed) for seed, share in enumerate(shares)]
    rows = conform._rows({"a": [arms[0], arms[2]], "b": [arms[1], arms[3]], "a − b": arms}, INFERENCE)
    assert [row.outcome for row in rows] == [conform.DIFFERS, conform.DIFFERS, conform.AGREES]


def test_nets_to_try_come_back_in_sixteen_bits_with_their_images_and_constants(reference, tmp_path, data):
    settings = small_settings({"cnn": {}})
    folders = {"cnn": data / "runs" / "cnn" / "seed_0"}
    nets.put_from(settings, data / "runs", data / "prepared")
    protocol = settings.protocol
    assert list(bundle.nets(protocol)) == ["cnn"]
    bundle.unpack_nets(protocol, tmp_path / "out")
    run = tmp_path / "out" / "runs" / "cnn" / "seed_0"
    before, after = (load_file(folder / "weights.safetensors") for folder in (folders["cnn"], run))
    assert before.keys() == after.keys()
    for name, array in before.items():
        kept = array if name.startswith("normalise.") else array.astype(np.float16)
        assert np.array_equal(after[name], kept)
        assert after[name].dtype == kept.dtype
    accuracy = paths.read_json(folders["cnn"] / "metrics.json")["test_accuracy"]
    assert paths.read_json(run / "metrics.json") == {"seed": 0, "test_accuracy": accuracy}
    test = load_file(data / "prepared" / "test.safetensors")
    packed = load_file(reference / protocol / bundle.NETS)
    assert np.array_equal(packed["images"], test["images"][packed["rows"]])
    assert test["labels"][packed["rows"]].tolist() == [0, 1, 2] * 3 + [0]


def test_nets_that_are_there_with_others_stay_and_without_a_run_none_are_written(reference, tmp_path, data):
    settings = small_settings({"cnn": {}})
    nets.put_from(settings, tmp_path / "nothing", data / "prepared")
    assert bundle.nets(settings.protocol) == {}
    run = data / "runs" / "cnn" / "seed_0"
    digests = {name: nets._digest(settings, "cnn") for name in ("cnn", "other")}
    bundle.pack_nets(settings.protocol, {"cnn": run, "other": run}, digests, data / "prepared")
    nets.put_from(settings, data / "runs", data / "prepared")
    assert list(bundle.nets(settings.protocol)) == ["cnn", "other"]
    nets.put_from(small_settings({"cnn": {}}, seeds=(1,)), data / "runs", data / "prepared")
    assert list(bundle.nets(settings.protocol)) == ["cnn"]


def test_other_settings_of_a_net_or_of_its_protocol_make_it_again():
    settings = small_settings({"cnn": {}})
    digest = nets._digest(settings, "cnn")
    assert nets._digest(settings.model_copy(update={"families": {}}), "cnn") == digest
    assert nets._digest(small_settings({"cnn": {}}, channels=(4, 9)), "cnn") != digest
    assert nets._digest(small_settings({"cnn": {}}, seeds=(1, 0)), "cnn") != digest


@pytest.mark.slow
def test_results_are_published_shown_again_and_agree_with_themselves(workspace):
    command = ("python", "-m", "stages.tools.reference")
    workspace.succeed(*command, "publish")
    folder = workspace.folder / "data" / "reference" / "tiny"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1e6
    report = {name: (workspace.folder / "data" / "report" / name).read_bytes() for name in ("index.html", "report.pdf")}
    output = workspace.succeed(*command, "report", "tiny")
    assert "train" not in output
    shown = workspace.folder / "data" / "reference-report"
    assert {name: (shown / name).read_bytes() for name in report} == report
    assert report["index.html"].count(b'id="try-it-data"') == 1, "the nets can be tried in both"
    output = workspace.succeed(*command, "conform")
    assert "kernel_1 − cnn" in output
    assert "4 the same: every test image has the same answer" in output
    workspace.set_kernel(2)
    assert "3 the same" not in workspace.succeed(*command, "conform"), "another net is not compared"
    archives = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(workspace.folder / "data" / "runs" / "cnn" / "seed_0")
    code, output = workspace.run(*command, "publish")
    assert code == 1
    assert "not finished here: cnn, kernel_1; `dvc repro` trains them; nothing was published" in output
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == archives
    code, output = workspace.run(*command, "publish", "quick")
    assert (code, "params.yaml has protocol 'tiny'; set it to 'quick'" in output) == (1, True)
    assert "cnn " not in workspace.succeed(*command, "conform"), "a variant that lacks a run is not compared"


@pytest.mark.slow
def test_a_long_run_goes_on_where_it_was_broken_off_and_makes_again_what_has_changed(workspace, tmp_path, monkeypatch):
    command = ("python", "-m", "stages.tools.reference", "make", "tiny")
    workspace.succeed(*command)
    folder = workspace.folder / "data" / "reference" / "tiny"
    archives = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {"cnn.tar.xz", "kernel_1.tar.xz", "fully_connected.tar.xz", "data.tar.xz", "nets.safetensors"} <= set(
        archives
    )
    assert list(bundle.nets_in(folder / "nets.safetensors")) == ["cnn", "fully_connected"]
    trained_on = pd.read_csv(folder / "trained_on.csv", index_col="variant")
    assert list(trained_on.index) == ["cnn", "fully_connected", "kernel_1"]
    assert set(trained_on["cpu"]) == {provenance.cpu_name()}
    assert set(trained_on["instructions"]) == {local.instructions()}
    monkeypatch.setattr("stages.shared.paths.REFERENCE", folder.parent)
    monkeypatch.setattr("stages.shared.paths.ROOT", workspace.folder)
    bundle.unpack_variants("tiny", ["fully_connected"], tmp_path)
    bundle.remove("tiny", "fully_connected")
    bundle.pack_unfinished("tiny", "fully_connected", [0], tmp_path, bundle.trained_on("tiny")["fully_connected"])
    assert bundle.finished_variants("tiny") == ["cnn", "kernel_1"]
    workspace.set_kernel(2)
    output = workspace.succeed(*command)
    assert "kernel_1 is made again, since its settings have changed" in output
    assert re.findall(r"reference: (\w+), \d of 3", output) == ["kernel_1", "fully_connected"]
    assert re.findall(r"fully_connected: (\d of 2) seeds are finished", output) == ["1 of 2"]
    again = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert again.keys() == archives.keys()
    unchanged = ("cnn.tar.xz", "fully_connected.tar.xz", "trained_on.csv")
    assert [again[name] == archives[name] for name in unchanged] == [True, True, True]
    assert again["kernel_1.tar.xz"] != archives["kernel_1.tar.xz"]
    (folder / "data.tar.xz").unlink()
    assert "every variant is there" in workspace.succeed(*command)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == again


def test_without_the_record_of_the_hypotheses_nothing_is_added(reference, tmp_path):
    write_runs(tmp_path)
    bundle.pack_variant("tiny", "cnn", tmp_path)
    with pytest.raises(StageError, match=r"tiny\.json is missing"):
        long_run._restore_record(tmp_path / "work", "tiny")


@pytest.mark.slow
def test_the_answer_in_the_readme_is_that_of_the_published_results(tmp_path):
    """Of the picture the numbers are compared, whose last digits another CPU may round in another way."""
    block = readme.answer(tmp_path)
    assert block in (paths.ROOT / readme.README).read_text(encoding="utf-8"), "`make readme` writes it anew"
    fresh, kept = (
        (folder / name).read_text(encoding="utf-8")
        for folder, name in ((tmp_path, "data/figures/figures/answer.svg"), (paths.ROOT, readme.PICTURE))
    )
    numbers = re.compile(r"-?\d+\.\d+")
    assert numbers.sub("", fresh) == numbers.sub("", kept)
    assert [float(one) for one in numbers.findall(fresh)] == pytest.approx(
        [float(one) for one in numbers.findall(kept)], abs=0.01
    )


def test_a_workspace_reads_the_users_own_images(tmp_path):
    workspace.lay_out(tmp_path / "work", paths.PARAMS, paths.HYPOTHESES, "quick")
    assert (tmp_path / "work" / "data" / "user").readlink() == paths.ROOT / "data" / "user"
