"""A newcomer's way through the README, in its order and with its commands, under a quick protocol made small.

Choose the protocol, add a variant, declare an expectation, check, run, commit, try another rate, compare.
"""

import json
import re

import pandas as pd
import pytest
from pipeline_workspace import clone, trained_in
from report_content import Page

from stages.shared import paths

pytestmark = pytest.mark.slow

README = (paths.ROOT / "README.md").read_text(encoding="utf-8")
SMALL = {"train_size": 200, "val_size": 60, "epochs": 1, "probe_images": 30}
WHO = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
SOMEBODY = dict.fromkeys(WHO, "somebody")
# What a newcomer writes in place of the README's example: old → new.
VARIANT = {
    "kernel_9:": "deeper:",
    "{kernel: 9×9}": '{depth: "3 layers, new"}',
    "{kernel: 9}": "{channels: [16, 32, 64], norm: batch, activation: gelu}",
}
CLAIM = {
    "kernel_9_no_better:": "deeper_is_better:",
    "A kernel of nine pixels buys nothing that matters over one of three.": "A third layer with batch norm helps.",
    "family: kernel\n": "family: depth\n",
    "variant: kernel_9,": "variant: deeper,",
    "direction: not_above": "direction: above",
}
# It ends before the report, which compare does not read.
EXPERIMENT = {"batch_norm": "slow", "architecture.norm=batch": "recipe.lr=0.001 collect"}


def replaced(text, changes):
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the README"
        text = text.replace(old, new)
    return text


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(*starts):
    """The lines of the README's shell blocks that begin so, without their remarks; each stands there."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    chosen = [next(line for line in lines if line.startswith(start)) for start in starts]
    return "\n".join(["set -e", *(line.partition("#")[0].rstrip() for line in chosen)])


def as_bash(workspace, script):
    return workspace.succeed("bash", "-c", script, **SOMEBODY)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A clone with the quick protocol, small and on a dataset that needs no download, and the newcomer's edits."""
    workspace = clone(tmp_path_factory.mktemp("newcomer") / "clone", own_settings=True)
    workspace.pretend_environment()
    workspace.edit("params.yaml", "\nprotocol: default", "\nprotocol: quick")
    workspace.edit("params.yaml", "dataset: fashion_mnist", "dataset: digits")
    whole = workspace.read("params.yaml")
    start, quick, rest = re.split(r"(^  quick:\n.*?\n      \]\n)", whole, maxsplit=1, flags=re.M | re.S)
    for key, value in SMALL.items():
        quick = re.sub(rf"^    {key}: .*$", f"    {key}: {value}", quick, flags=re.MULTILINE)
    quick = re.sub(r"variants:\s*\[.*?\]", "variants: [cnn, deeper]", quick, flags=re.DOTALL)
    variant, _, claim = blocks("yaml")
    rest = rest.replace("\nvariants:\n", f"\nvariants:\n{replaced(variant, VARIANT)}", 1)
    (workspace.folder / "params.yaml").write_text(start + quick + rest, encoding="utf-8")
    with (workspace.folder / "hypotheses.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\n{replaced(claim, CLAIM)}")
    return workspace


def test_the_way_of_a_newcomer_ends_in_a_comparison(newcomer):
    check = newcomer.succeed("make", "check-params")
    assert "check: protocol 'quick': 2 variants, 6 runs" in check

    ran = as_bash(newcomer, commands("dvc repro"))
    assert trained_in(ran) == {"cnn": 3, "deeper": 3}
    assert_report_says_what_was_changed_and_cited(newcomer)
    claims = pd.read_csv(newcomer.folder / "data/results/hypotheses.csv").set_index("hypothesis")
    assert claims.loc["deeper_is_better", "declared"] == "before its runs"

    settings = newcomer.read("params.yaml")
    as_bash(newcomer, commands("git add", "git commit"))
    assert newcomer.git("status", "--porcelain") == ""
    slow = replaced(commands("dvc exp run --name"), EXPERIMENT)
    assert trained_in(as_bash(newcomer, slow)) == {"cnn": 3, "deeper": 3}
    compared = as_bash(newcomer, replaced(commands("make compare A=HEAD B=batch_norm"), {"batch_norm": "slow"}))
    assert re.search(r"^recipe\.lr +0\.003 +0\.001$", compared, re.MULTILINE), compared
    assert len(re.findall(r"^deeper .* not stated .* 3 ", compared, re.MULTILINE)) >= 1, compared
    assert "sign-flip p" in compared
    assert "p is of the sign-flip test over seeds" in " ".join(compared.split())

    same = " ".join(newcomer.succeed("make", "compare", "A=slow").split())
    assert "Nothing differs" in same
    assert "The workspace is slow: `dvc exp run` leaves the results of an experiment there." in same
    assert newcomer.read("params.yaml") != settings, "dvc exp run has laid it out anew"
    (back,) = re.findall(r"^`(git checkout \. && dvc checkout)` brings", README, re.MULTILINE)
    as_bash(newcomer, back)
    assert newcomer.read("params.yaml") == settings
    assert newcomer.stages_to_run() == set()


def assert_report_says_what_was_changed_and_cited(workspace):
    page = Page(workspace.read("data/report/index.html"))
    changed = "3 layers, new differs from 2 layers also in norm (batch, not none) and activation (gelu, not relu)."
    assert changed in page.text
    (source,) = re.findall(r"source: (\w+)", blocks("yaml")[2])
    assert re.search(r"A third layer with batch norm helps\. [(\[][^)\]]*Simonyan[^)\]]*[)\]] Measured,", page.text), (
        source
    )
    assert "Over 3 seeds, the sign-flip test has no p below 0.250 before the adjustment" in page.text
    assert json.loads(workspace.read("data/declared/quick.json"))["deeper_is_better"]
