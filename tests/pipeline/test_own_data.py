"""docs/own-data.md as written: its commands, settings and Python run in a fresh clone that has such images."""

import json
import re
import resource

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pipeline_workspace import STAGES, clone, stages_in, trained_in

from stages.shared import paths

pytestmark = pytest.mark.slow

DOC = (paths.ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^## (.*?)$|^```(\w*)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)


def blocks(section, language):
    """The code blocks of this language in a section of the document."""
    current, texts = "", []
    for heading, of_language, text in BLOCKS:
        current = heading or current
        if not heading and (current, of_language) == (section, language):
            texts.append(text)
    return texts


def draw_shapes(folder, n=100):
    """n PNGs of each of three classes: a circle, a square or a cross at some place, under noise."""
    rng = np.random.default_rng(0)
    for name in ("circle", "cross", "square"):
        (folder / name).mkdir(parents=True)
        for number in range(n):
            image = Image.new("L", (40, 36), 30)
            left, top = (int(place) for place in rng.integers(4, 20, 2))
            box, draw = (left, top, left + 14, top + 14), ImageDraw.Draw(image)
            if name == "circle":
                draw.ellipse(box, outline=220, width=2)
            elif name == "square":
                draw.rectangle(box, outline=220, width=2)
            else:
                draw.line(box, fill=220, width=2)
                draw.line((left, top + 14, left + 14, top), fill=220, width=2)
            noisy = np.asarray(image).astype(int) + rng.integers(-25, 26, (36, 40))
            Image.fromarray(noisy.astype(np.uint8)).save(folder / name / f"{number:03}.png")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A clone with the repository's own settings, its data in place, and the document's protocol in params.yaml."""
    workspace = clone(tmp_path_factory.mktemp("own") / "clone", own_settings=True)
    draw_shapes(workspace.folder / "data" / "user" / "shapes")
    (protocol,) = blocks("A folder of images", "yaml")
    workspace.edit("params.yaml", "protocols:\n", f"protocols:\n{protocol}")
    return workspace


def run(workspace, section, target=""):
    """Run the section's Python and then its command, which ends with the stage `target`; returns what it printed."""
    for number, code in enumerate(blocks(section, "python")):
        (workspace.folder / f"block{number}.py").write_text(code, encoding="utf-8")
        workspace.succeed("python", f"block{number}.py")
    (command,) = blocks(section, "sh")
    return workspace.succeed("bash", "-euc", f"{command.rstrip()} {target}")


def seconds_of_children():
    """What the processes that have ended took of the cores."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_folder_of_300_images_becomes_a_report_in_three_minutes(mine):
    start = seconds_of_children()
    output = run(mine, "A folder of images")
    seconds = seconds_of_children() - start
    assert stages_in(output) == set(STAGES)
    assert "download: shapes from data/user/shapes: 300 train images" in output
    page = mine.read("data/report/index.html")
    assert "circle" in page
    assert (mine.folder / "data/report/report.pdf").read_bytes().startswith(b"%PDF-")
    assert seconds < 180, "three minutes of one core, however busy the machine is with other work"

    (mine.folder / "data/user/shapes/cross/000.png").unlink()
    assert "download" in stages_in(mine.succeed("dvc", "repro", "prepare")), "DVC sees that an image has gone"
    assert mine.repro("prepare") == set()


def test_arrays_and_signals_run_as_they_are_written(mine):
    """Other tests show such data in the report."""
    output = run(mine, "An .npz of arrays", target="prepare")
    assert "download: pets from data/user/pets.npz: 200 train images" in output
    output = run(mine, "Signals", target="collect")
    assert "download: signals from data/user/signals.npz: 200 train images" in output
    assert trained_in(output) == {"cnn": 5, "fully_connected": 5}
    dataset = json.loads(mine.read("data/raw/dataset.json"))
    assert [dataset[key] for key in ("channels", "height", "width")] == [1, 1, 64]


def test_an_experiment_in_a_folder_of_its_own_says_how_it_gets_the_data_and_gets_it_so(mine):
    with mine.edited("params.yaml") as settings:
        settings["data"] |= {"dataset": "folder", "folder": "shapes", "file": None, "size": 8, "scale": "unit"}
        settings["protocol"] = "mine"
    code, output = mine.run("dvc", "exp", "run", "--temp", "download")
    assert code != 0
    assert "data/user/shapes is not there (data.folder in params.yaml); an experiment in a folder of its own" in output
    output = mine.succeed("dvc", "exp", "run", "--temp", "--copy-paths", "data/user/shapes", "download")
    assert "download: shapes from data/user/shapes" in output
