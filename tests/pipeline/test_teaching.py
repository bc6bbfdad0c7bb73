"""docs/teaching.md as written: each exercise's edits and its command, under a protocol that is made small."""

import re

import pandas as pd
import pytest
from pipeline_workspace import clone, trained_in
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


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """A clone in which the document's protocol is chosen, on a dataset that needs no download."""
    workspace = clone(tmp_path_factory.mktemp("lesson") / "clone", own_settings=True)
    (protocol,) = blocks("Before the first", "yaml")
    workspace.edit("params.yaml", "protocols:\n", f"protocols:\n{protocol}")
    workspace.edit("params.yaml", "\nprotocol: default", "\nprotocol: lesson")
    workspace.edit("params.yaml", "dataset: fashion_mnist", "dataset: digits")
    for key, value in SMALL.items():
        old = re.search(rf"^    {key}: .*$", workspace.read("params.yaml"), re.MULTILINE)
        workspace.edit("params.yaml", old[0], f"    {key}: {value}")
    return workspace


def do(workspace, section):
    """Make the exercise's edits and run its command; returns what the command printed."""
    variants, net, hypothesis = blocks(section, "yaml")
    (command,) = blocks(section, "sh")
    of_lesson = re.search(r"^    variants: .*$", workspace.read("params.yaml"), re.MULTILINE)
    workspace.edit("params.yaml", f"{of_lesson[0]}\n", variants)
    workspace.edit("params.yaml", "\nvariants:\n", f"\nvariants:\n{net}")
    with (workspace.folder / "hypotheses.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\n{hypothesis}")
    return workspace.succeed("bash", "-euc", command)


def test_the_exercises_are_those_of_the_document():
    assert list(SECTIONS) == ["Before the first", *EXERCISES, "After the lesson"]


@pytest.mark.parametrize("section", EXERCISES)
def test_an_exercise_runs_as_written_and_the_report_answers_where_it_says(lesson, section):
    family, variant, title = EXERCISES[section]
    assert title in SECTIONS[section]
    output = do(lesson, section)
    assert variant in trained_in(output)
    level = re.search(r"families: \{\w+: \"?(.*?)\"?\}", blocks(section, "yaml")[1])[1]
    levels = pd.read_csv(lesson.folder / f"data/figures/tables/family-{family}.csv")
    assert dict(zip(levels["variant"], levels["level"], strict=True))[variant] == level
    page = Page(lesson.read("data/report/index.html"))
    assert any(text.endswith(title) for _, text in page.headings)
    statement = re.search(r"statement: (.*)", blocks(section, "yaml")[2])[1]
    assert statement in page.text
    assert (lesson.folder / f"data/figures/figures/picture-{family}.svg").exists()
    declared = pd.read_csv(lesson.folder / "data/results/hypotheses.csv").set_index("hypothesis")["declared"]
    assert declared[blocks(section, "yaml")[2].split(":")[0]] == "before its runs"
