"""What `dvc exp run --set-param` writes into params.yaml, in which DVC lays out every block anew."""

import re

import pytest
from pipeline_workspace import clone, yaml

# -S → the value that the file then has. Public reports told of numbers that became text, and the other way round.
CHANGES = {
    "protocol=quick": "quick",
    "architecture.norm=batch": "batch",
    "architecture.kernel=[3,5]": [3, 5],
    "recipe.lr=1e-3": 0.001,
    "recipe.weight_decay=0": 0,
    "eda.images=300": 300,
}


def value(settings, change):
    block, _, key = change.partition("=")[0].partition(".")
    return settings[block][key] if key else settings[block]


def comments(text):
    return [comment.strip() for comment in re.findall(r"#.*", text)]


@pytest.fixture
def own(tmp_path):
    return clone(tmp_path / "clone", own_settings=True)


@pytest.mark.slow
def test_settings_as_dvc_writes_them_keep_their_meaning_and_their_comments(own):
    before = own.read("params.yaml")
    changes = list(CHANGES)
    for some in (changes[:3], changes[3:]):  # one after the other, so that DVC reads what it has written
        own.succeed("dvc", "exp", "run", *(f"--set-param={change}" for change in some), "check")
    after = own.read("params.yaml")
    wanted, settings = yaml.load(before), yaml.load(after)
    for change, expected in CHANGES.items():
        assert value(settings, change) == expected
        assert type(value(settings, change)) is type(expected)
        block, _, key = change.partition("=")[0].partition(".")
        if key:
            wanted[block][key] = expected
        else:
            wanted[block] = expected
    assert settings == wanted
    assert comments(after) == comments(before)
    assert own.succeed("python", "-m", "stages.check").startswith("check: protocol 'quick': "), "nothing is wrong"


@pytest.mark.slow
def test_an_anchor_of_the_users_keeps_its_values_when_dvc_writes_the_file(own):
    """DVC writes each alias out, and drops the anchor."""
    own.edit(
        "params.yaml",
        "seeds: [0, 1, 2]\n    few_seeds: [0, 1, 2]\n",
        "seeds: &three [0, 1, 2]\n    few_seeds: *three\n",
    )
    before = yaml.load(own.read("params.yaml"))
    own.succeed("dvc", "exp", "run", "--set-param", "protocol=quick", "check")
    after = own.read("params.yaml")
    assert yaml.load(after) == before | {"protocol": "quick"}
    own.succeed("dvc", "exp", "run", "--set-param", "protocols.quick.few_seeds=[0,1]", "check")
    quick = yaml.load(own.read("params.yaml"))["protocols"]["quick"]
    assert (quick["seeds"], quick["few_seeds"]) == ([0, 1, 2], [0, 1])


MISTAKES = {
    "recipe.lr=0.001f": "recipe.lr = '0.001f': should be a valid number",
    "data.dataset=no": "data.dataset = 'no': should be 'fashion_mnist'",
    "data.file=1_000": "data.file = 1000: should be text",
    "+architecture.krnel=3": "architecture.krnel = 3: unknown key (did you mean 'kernel'?)",
}


@pytest.mark.slow
def test_mistakes_in_changed_settings_are_named_all_at_once(own):
    code, output = own.run("dvc", "exp", "run", *(f"--set-param={change}" for change in MISTAKES), "check")
    assert code != 0
    assert [message for message in MISTAKES.values() if message not in output] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("architecture.krnel=3", "Key 'krnel' is not in struct"),
        ("protocol=quik", "'quik' is not one of quick, default, "),
    ],
)
def test_a_name_that_is_not_there_is_refused(change, message, own):
    code, output = own.run("dvc", "exp", "run", "--set-param", change, "check")
    assert code != 0
    assert message in output
