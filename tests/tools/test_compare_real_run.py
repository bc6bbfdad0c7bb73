"""`compare`, and DVC's own comparison, after a real run and a real experiment."""

import json
import shutil

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def with_experiment(finished_workspace, tmp_path_factory):
    """A clone with results at HEAD, and an experiment in which one variant's kernel is larger. Copy it or leave it."""
    from pipeline_workspace import Workspace, commit

    folder = tmp_path_factory.mktemp("compared") / "copy"
    shutil.copytree(finished_workspace.folder, folder, symlinks=True)
    workspace = Workspace(folder)
    commit(workspace, "Results")
    change = "variants.kernel_1.run.architecture.kernel=2"
    workspace.succeed("dvc", "exp", "run", "--temp", "--name", "larger", "--set-param", change, "collect")
    return workspace


def test_an_experiment_differs_from_head_in_the_variant_that_it_changes_alone(with_experiment):
    status = with_experiment.git("status", "--porcelain")
    printed = with_experiment.succeed("python", "-m", "stages.tools.compare", "HEAD", "larger")
    words = " ".join(printed.split())
    assert "variants.kernel_1.run.architecture.kernel 1 2 " in words, printed
    assert "Both have 3 variants. The runs of 2 are the same, byte for byte (cnn, fully_connected). " in words
    assert "The rest, seen from larger: 1 is " in words
    assert printed.rstrip().endswith("compare: data/compare/index.html")
    assert "kernel_1" in with_experiment.read("data/compare/index.html")
    assert with_experiment.git("status", "--porcelain") == status

    of_variants = ("--targets", "data/results/variants.json")
    changes = json.loads(with_experiment.succeed("dvc", "metrics", "diff", "HEAD", "larger", *of_variants, "--json"))
    accuracy = changes["data/results/variants.json"]["kernel_1.accuracy"]
    accuracies = [accuracy["old"], accuracy["new"]]
    cells = next(line.split() for line in printed.splitlines() if line.startswith("kernel_1 "))
    assert [float(cells[1]), float(cells[4])] == [round(100 * value, 2) for value in accuracies]
    assert float(cells[7].replace("−", "-")) == pytest.approx(100 * (accuracies[1] - accuracies[0]), abs=0.01)


def test_make_compare_prints_markdown_for_a_pull_request_and_nothing_else(with_experiment):
    with_experiment.pretend_environment()
    shell, command = ("bash", "-c"), "make --silent compare FORMAT=markdown"
    printed = with_experiment.succeed(*shell, f"{command} A=HEAD B=larger 2> data/log.txt")
    assert with_experiment.read("data/log.txt").strip() == "compare: data/compare/index.html"
    assert printed.startswith("**`larger` against `HEAD`, test accuracy: ")
    assert "| `variants.kernel_1.run.architecture.kernel` | `1` | `2` |" in printed
    assert printed.rstrip().endswith("</details>")
    short, _, details = printed.partition("<details>")
    assert len(short) < 1000
    assert "| `kernel_1` |" in details
    assert "Nothing differs" in with_experiment.succeed(*shell, command)


def test_dvc_shows_an_experiment_on_lines_of_160_characters_with_the_setting_that_differs(with_experiment):
    command = ("dvc", "exp", "show", "--only-changed", "--drop", ".*/.*", "--no-pager")
    printed = with_experiment.succeed(*command, COLUMNS="160")
    assert max(map(len, printed.splitlines())) <= 160
    assert "…" not in printed
    (header,) = [line.split() for line in printed.splitlines() if "Experiment" in line]
    assert "variants.kernel_1.run.architecture.kernel" in header
    assert "kernel_1.accuracy" not in printed
