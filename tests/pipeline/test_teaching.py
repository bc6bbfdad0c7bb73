"""docs/teaching.md as written: the exercises' edits and their command, under a protocol that is made small."""

import re

import pandas as pd
import pytest
from made_once import made_once
from pipeline_workspace import Workspace, clone, trained_in, yaml
from report_content import Page

from stages.shared import paths

pytestmark = pytest.mark.slow

DOC = (paths.ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
SECTIONS = dict(part.split("\n", 1) for part in DOC.split("\n## ")[1:])
# What an exercise is run with here, in place of the document's.
SMALL = {"train_size": 200, "val_size": 60, "epochs": 1, "seeds": [0, 1, 2], "few_seeds": [0, 1], "probe_images": 30}
# Exercise → the family whose section answers, the net that a student adds, and the title of that section.
EXERCISES = {
    "The shape of a window": ("kernel", "row_of_9", "Kernel size"),
    "The order of the pixels": ("structure", "mlp_patches_4", "Data structure"),
    "What a stride forgets": ("downsampling", "stride_4", "Downsampling"),
}


def blocks(section, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)


def lesson(folder):
    """A clone in which the document's protocol is chosen, made small, on a dataset that needs no download."""
    workspace = clone(folder, own_settings=True)
    (protocol,) = blocks("Before the first", "yaml")
    workspace.edit("params.yaml", "protocols:\n", f"protocols:\n{protocol}")
    workspace.edit("params.yaml", "\nprotocol: default", "\nprotocol: lesson")
    workspace.edit("params.yaml", "dataset: fashion_mnist", "dataset: digits")
    for key, value in SMALL.items():
        old = re.search(rf"^    {key}: .*$", workspace.read("params.yaml"), re.MULTILINE)
        workspace.edit("params.yaml", old[0], f"    {key}: {value}")
    return workspace


def edit(workspace, section):
    """Make the exercise's edits. Returns the variants that it gives the protocol."""
    variants, net, hypothesis = blocks(section, "yaml")
    set_variants(workspace, variants)
    workspace.edit("params.yaml", "\nvariants:\n", f"\nvariants:\n{net}")
    with (workspace.folder / "hypotheses.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\n{hypothesis}")
    return yaml.load(variants)["variants"]


def set_variants(workspace, line):
    """Replace the line of the lesson's variants."""
    of_lesson = re.search(r"^    variants: .*$", workspace.read("params.yaml"), re.MULTILINE)
    workspace.edit("params.yaml", f"{of_lesson[0]}\n", line)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A clone with the edits of every exercise, whose variants are run together. Returns it and what was printed.

    After each exercise's edits the settings are checked with its variants alone.
    """
    folder, output = made_once(tmp_path_factory, "lesson", do_all)
    return Workspace(folder), output


def do_all(folder):
    workspace, variants = lesson(folder), {}
    for section in EXERCISES:
        of_exercise = edit(workspace, section)
        checked = workspace.succeed("python", "-m", "stages.check")
        assert f"check: protocol 'lesson': {len(of_exercise)} variants, " in checked
        variants |= dict.fromkeys(of_exercise)
    set_variants(workspace, f"    variants: [{', '.join(variants)}]\n")
    (command,) = {blocks(section, "sh")[0] for section in EXERCISES}
    return workspace.succeed("bash", "-euc", command)


def test_the_exercises_are_those_of_the_document():
    assert list(SECTIONS) == ["Before the first", *EXERCISES, "After the lesson"]


@pytest.mark.parametrize("section", EXERCISES)
def test_an_exercise_runs_as_written_and_the_report_answers_where_it_says(done, section):
    workspace, output = done
    family, variant, title = EXERCISES[section]
    assert title in SECTIONS[section]
    assert variant in trained_in(output)
    level = re.search(r"families: \{\w+: \"?(.*?)\"?\}", blocks(section, "yaml")[1])[1]
    levels = pd.read_csv(workspace.folder / f"data/figures/tables/family-{family}.csv")
    assert dict(zip(levels["variant"], levels["level"], strict=True))[variant] == level
    page = Page(workspace.read("data/report/index.html"))
    assert any(text.endswith(title) for _, text in page.headings)
    statement = re.search(r"statement: (.*)", blocks(section, "yaml")[2])[1]
    assert statement in page.text
    assert (workspace.folder / f"data/figures/figures/picture-{family}.svg").exists()
    declared = pd.read_csv(workspace.folder / "data/results/hypotheses.csv").set_index("hypothesis")["declared"]
    assert declared[blocks(section, "yaml")[2].split(":")[0]] == "before its runs"
