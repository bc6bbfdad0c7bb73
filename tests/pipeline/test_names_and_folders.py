"""Strange names of folders, classes and files, on a machine with a strange locale: each comes out as it was written."""

import json
import subprocess

import numpy as np
import pytest
from PIL import Image
from pipeline_workspace import STAGES, clone, commit, stages_in

from stages.shared import paths

pytestmark = pytest.mark.slow

FOLDER = "pics [1] #2"  # what git and DVC read as patterns and remarks in their lists of ignored files
CLASSES = {
    "NA": "what pandas reads as unknown",
    "None": "the same",
    "Ba$$in": "a formula to matplotlib",
    "\\alpha^2": "another",
    "[4] hello?": "a pattern",
    "#1 !": "a remark",
    "-minus": "an option",
    "a|b_*c*": "a table's cell, and emphasis",
    "<b>&amp;": "HTML",
    "@fig-x": "a reference of Quarto's",
    "{{< var x >}}": "a shortcode of Quarto's",
    "e\u0301": "two characters for one letter, as macOS writes them",
    "猫": "a letter that the locale's encoding lacks",
}
SMALL = {"baseline": "cnn", "train_size": 200, "val_size": 60, "epochs": 2, "seeds": [0, 1, 2], "few_seeds": [0, 1]}
SMALL |= {"margin": 1, "probe_images": 40, "longer": None, "variants": ["cnn", "kernel_1"]}


@pytest.fixture
def latin_1(tmp_path):
    """The environment of a machine whose locale is not UTF-8, without a home, and with a long name for TMPDIR."""
    locales, temporary = tmp_path / "locales", tmp_path / ("x" * 100)
    locales.mkdir()
    temporary.mkdir()
    command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(locales / "de_DE.ISO-8859-1")]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs localedef, and its sources of locales")
    environment = {"LC_ALL": "de_DE.ISO-8859-1", "LOCPATH": str(locales), "TMPDIR": str(temporary)}
    return environment | {"PYTHONUTF8": "0"}  # which `make` sets to 1


def in_strange_folders(root):
    workspace = clone(
        root / "clone",
        {
            "data": {"dataset": "folder", "folder": FOLDER, "size": 8, "colour": "rgb"},
            "protocols": {"tiny": SMALL},
        },
    )
    rng = np.random.default_rng(0)
    for level, name in enumerate(CLASSES):
        folder = workspace.folder / "data" / "user" / FOLDER / name
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = np.clip(rng.normal(19 * level, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"?[{number}] #'\".png")
    return workspace


def test_names_of_every_kind_reach_the_report_as_they_were_written(tmp_path, latin_1):
    """Sockets of the notebook's kernel have 107 bytes for their names, and TMPDIR alone has more."""
    workspace = in_strange_folders(tmp_path / "it's [x] & more")
    asked = "import locale, sys; print(locale.getpreferredencoding(), sys.getfilesystemencoding())"
    assert workspace.succeed("python", "-c", asked, **latin_1) == "ISO-8859-1 iso8859-1\n"
    output = workspace.succeed("env", "-u", "HOME", "dvc", "repro", **latin_1)
    assert stages_in(output) == set(STAGES)
    assert r"\u2192 data/eda" in output, "an arrow, printed as its code"
    names = json.loads(workspace.read("data/raw/dataset.json"))["classes"]
    assert set(names) == {"é" if name == "e\u0301" else name for name in CLASSES}
    page = workspace.read("data/report/index.html")
    for shown in ("NA", "None", "Ba$$in", "&lt;b&gt;&amp;amp;", "@fig-x", "{{&lt; var x &gt;}}", "a|b_*c*", "é", "猫"):
        assert f">{shown}<" in page, shown
    assert not list((tmp_path / ("x" * 100)).glob("tmp*"))  # torch leaves an empty folder of another name


def test_dvc_tracks_a_folder_whose_name_looks_like_a_pattern_and_takes_it_along(tmp_path):
    workspace = in_strange_folders(tmp_path / "it's [x] & more")
    workspace.succeed("dvc", "add", f"data/user/{FOLDER}")
    commit(workspace, "Let DVC track the images")
    output = workspace.succeed("dvc", "exp", "run", "--temp", "--set-param", "data.size=6", "download")
    assert f"download: {FOLDER} from data/user/{FOLDER}: 520 train images" in output


def test_what_dvc_cannot_do_in_a_folder_with_letters_beyond_ascii_is_explained(tmp_path):
    workspace = clone(tmp_path / "ü" / "clone")
    assert stages_in(workspace.succeed("dvc", "repro", "check")) == {"check"}
    code, output = workspace.run("dvc", "exp", "run", "--temp", "check")
    assert code != 0, "DVC has learnt it: take this test and the remark away"
    message = "'ascii' codec can't encode character"
    assert message in output
    assert f"`{message}`, of `dvc exp run --temp`" in (paths.ROOT / "docs" / "installation.md").read_text("utf-8")
