"""A package has the same bytes for the same model, answers by itself, and is refused where it is damaged."""

import json
import os
import subprocess
import sys
import tarfile
import time

import pytest
import torch
from own_net import WHOLE, own_architecture, use_folder
from safetensors.torch import save_file
from small_model import packaged, small_settings

from stages.shared import paths
from stages.shared.architectures.build import build, save_weights
from stages.shared.params import ParamsError
from stages.shared.prepared_data import load_constants
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler, safetensors_reader
from stages.tools.deploy.choose import Choice, choose
from stages.tools.deploy.package import digest, package, unpacked

pytestmark = pytest.mark.slow


def test_packaging_twice_gives_the_same_bytes_and_another_seed_does_not(data, tmp_path):
    first = packaged(data, tmp_path / "a")
    os.utime(data / "runs" / "cnn" / "seed_1" / "weights.safetensors", (1, 1))
    time.sleep(1.1)  # gzip's clock counts whole seconds
    assert packaged(data, tmp_path / "b").read_bytes() == first.read_bytes()
    assert digest(packaged(data, tmp_path / "c", seed=0)) != digest(first)
    with tarfile.open(first) as tar:
        entries = tar.getmembers()
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {(0, 0, 0, "", 0o644)}
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)


def test_a_package_holds_no_file_that_the_container_does_not_load(archive, tmp_path):
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        tar.extractall(tmp_path, filter="data")
    program = (
        "import json, sys; from stages.tools.deploy import container; container.model_fn('.');"
        "print(json.dumps([module.__file__ for module in sys.modules.values() if getattr(module, '__file__', None)]))"
    )
    places = f"{tmp_path / 'packages'}{os.pathsep}{tmp_path}"
    environment = {key: value for key, value in os.environ.items() if key != "PIPELINE_ROOT"} | {"PYTHONPATH": places}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    loaded = {os.path.relpath(file, tmp_path) for file in json.loads(done.stdout)}
    assert {name for name in names if name.startswith("stages/")} == {x for x in loaded if x.startswith("stages/")}
    others = {"serve.sh", "example.json", "model.json", "weights.safetensors"}
    assert {name for name in names if not name.startswith(("stages/", "packages/"))} == others
    libraries = {name.split("/")[1] for name in names if name.startswith("packages/") and ".dist-info" not in name}
    when_needed = {"idna", "wadler_lindig"}  # to look up a name, to print an array's shape
    assert libraries == {x.split("/")[1] for x in loaded if x.startswith("packages/")} | when_needed
    assert "packages/uvicorn-0.54.0.dist-info/licenses/LICENSE.md" in names


def test_the_stand_in_reads_what_safetensors_writes(tmp_path):
    tensors = {
        "weights": torch.arange(6.0).view(2, 3),
        "half": torch.tensor([1.5, -2], dtype=torch.float16),
        "brain": torch.tensor([[0.5]], dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "flags": torch.tensor([True, False, True]),
        "none": torch.empty(0, 4),
    }
    save_file(tensors, tmp_path / "x", metadata={"a": "b"})
    read = safetensors_reader.load_file(tmp_path / "x")
    assert read.keys() == tensors.keys()
    assert all(read[name].dtype == one.dtype and torch.equal(read[name], one) for name, one in tensors.items())


def test_a_library_that_cannot_travel_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.tools.deploy.package.PACKAGES", ("no-such-library",))
    with pytest.raises(StageError, match="the library no-such-library is not installed; `make venv` installs it"):
        packaged(data, tmp_path)


@pytest.fixture
def of_own_net(monkeypatch, tmp_path, data):
    """The package of a user's own net, without training."""
    use_folder(monkeypatch, tmp_path, whole=WHOLE)
    architecture = own_architecture("whole.py", "Whole", units=6)
    net = build(architecture, (1, 8, 8), 3, [0.5], [0.3], torch.Generator().manual_seed(0))
    (tmp_path / "runs" / "mine" / "seed_0").mkdir(parents=True)
    save_weights(net, tmp_path / "runs" / "mine" / "seed_0" / "weights.safetensors")
    run = small_settings().variants["cnn"].run.model_copy(update={"architecture": architecture})
    (tmp_path / "out").mkdir()
    package(Choice("mine", 0, run, 0.5, 0.5, 1, []), data / "prepared", tmp_path / "runs", tmp_path / "out")
    return tmp_path / "out" / "model.tar.gz"


def test_the_package_of_an_own_net_holds_its_file_and_answers_by_itself(of_own_net, tmp_path):
    root = tmp_path / "unpacked"
    with tarfile.open(of_own_net) as tar:
        assert [name for name in tar.getnames() if name.startswith("modules")] == ["modules/whole.py"]
        tar.extractall(root, filter="data")
    program = "from stages.tools.deploy import handler; print(handler.model_fn('.').net[1][0])"
    environment = {key: value for key, value in os.environ.items() if key != "PIPELINE_ROOT"} | {"PYTHONPATH": "."}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Whole(")


def test_no_code_of_a_package_runs_here_and_another_file_of_that_name_is_refused(of_own_net):
    with unpacked(of_own_net) as folder:
        (folder / "modules" / "whole.py").write_text("raise AssertionError('it runs')\n")
        assert handler.model_fn(folder).description["variant"] == "mine"
        (paths.MODULES / "whole.py").write_text(WHOLE + "# edited\n")
        with pytest.raises(ParamsError, match=r"modules/whole\.py is not the file that this model was packed with"):
            handler.model_fn(folder)


def test_weights_that_are_not_those_of_the_settings_are_refused(data, tmp_path):
    choice = choose(small_settings(channels=(4, 9)), data / "runs", "cnn")
    with pytest.raises(
        StageError, match=r"weights are not those of params.yaml, .*; run `dvc repro train` \(.*features"
    ):
        package(choice, data / "prepared", data / "runs", tmp_path)


def test_a_net_that_is_trained_on_floats_is_not_served(data, tmp_path):
    constants = load_constants(data / "prepared") | {"pixel_range": [-1.5, 7]}
    paths.write_json(tmp_path / "prepared" / "constants.json", constants)
    choice = choose(small_settings(), data / "runs", "cnn")
    with pytest.raises(StageError, match="its pixels are floats, and the server takes images of 8 bits; save"):
        package(choice, tmp_path / "prepared", data / "runs", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_a_damaged_package_is_refused(tmp_path, content):
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(StageError, match="is damaged"), unpacked(tmp_path / "model.tar.gz"):
        pass


def test_a_package_of_which_a_bit_has_turned_is_refused(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(StageError, match="is damaged"), unpacked(tmp_path / "model.tar.gz"):
        pass


def test_a_missing_package_and_one_of_another_project_are_refused(tmp_path):
    with (
        pytest.raises(StageError, match=r"is missing; `python -m stages.tools.deploy package` makes it"),
        unpacked(tmp_path / "model.tar.gz"),
    ):
        pass
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(__file__, "other.py")
    with pytest.raises(StageError, match=r"holds no model\.json"), unpacked(tmp_path / "model.tar.gz"):
        pass
