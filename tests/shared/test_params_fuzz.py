"""Settings files with mistakes, cut off, or made to break the reader: valid settings or one clear message, and soon."""

import copy
import io
import os
import re
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.check.costs import missed_costs, refuse_too_large
from stages.shared import params, paths
from stages.train.run_spec import RunSpec

SECONDS = 5  # of the processor, for one file
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))  # a release run sets more
yaml = YAML(typ="safe", pure=True)
yaml.sort_base_mapping_type_on_output = False


def few():
    """The repository's settings with the variants that others refer to, and one of each kind of change."""
    tree = yaml.load(paths.PARAMS.read_text())
    keys = {family["reference"] for family in tree["families"].values()}
    keys |= {protocol["baseline"] for protocol in tree["protocols"].values()}
    keys |= {"cnn_300", "locally_connected_narrow", "fully_connected_narrow", "cnn_permuted", "linear"}
    keys |= {"kernel_1", "kernel_1_matched"}
    tree["variants"] = {key: tree["variants"][key] for key in sorted(keys)}
    for protocol in tree["protocols"].values():
        protocol["variants"] = [key for key in protocol["variants"] if key in keys]
        protocol["rates"] = {key: rate for key, rate in protocol.get("rates", {}).items() if key in keys}
        if protocol["longer"]:
            protocol["longer"]["variants"] = [key for key in protocol["longer"]["variants"] if key in keys]
    return tree


def dumped(tree):
    buffer = io.StringIO()
    yaml.dump(tree, buffer)
    return buffer.getvalue()


def dumped_if_it_can(tree):
    """Of a tree that YAML cannot write, such as one with half a character, nothing is left."""
    try:
        return dumped(tree)
    except Exception:
        return ""


FEW = few()
TEXT = dumped(FEW)
SETTINGS = params.load()
HYPOTHESES = yaml.load(paths.HYPOTHESES.read_text())
HYPOTHESES = {key: HYPOTHESES[key] for key in ("gap_original", "permutation_takes_the_lead")}

INFINITE = [float("nan"), float("inf"), -float("inf")]
HUGE = [10**9, 10**12, 2**63, 10**400, -1, -(10**12), 0, 1e308, -1e308, 5e-324, *INFINITE, True, None]
KEYS = ["cnn", "conv", "all", "protocol"]
WORDS = ["", " ", *KEYS, "patches_99999", "1e-3", "*default", "é×", "\u202e", "😀", "\x00", "a" * 5000, "~", "null"]
scalars = st.one_of(st.sampled_from(HUGE), st.sampled_from(WORDS), st.integers(), st.floats(), st.text(max_size=8))
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(st.sampled_from([*KEYS, "kernel", "lr"]), scalars, max_size=2),
)
# A line each.
LINES = """\
<<: *default
&a a: *a
x: &x [*x]
x: &b [1, 1, 1, 1, 1, 1, 1, 1, 1]
!!bool maybe
!!int x
!!timestamp 1
!!set {a, b}
x: !!binary ////
x: !!python/object/apply:os.system [echo]
x: "\\ud800"
x: 2026-13-45
x: .nan
x: 1_000
3: 4
~: 1
true: 1
? {a: b}
--- 1
...
%YAML 1.1
\tx: 1
- 1
{
]
"
'
|
>
@
`
\ufeff""".splitlines()
LINES += ["x: 0x" + "f" * 5000, "x: " + "9" * 5000, "x: " + "[" * 200, "? [1, 2]\n: 3"]


@st.composite
def trees(draw, whole):
    """A value, or several, anywhere in the tree, replaced, removed, renamed, moved, nested, or joined by another."""
    tree = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        block, trail = tree, []
        while isinstance(block, dict | list) and block and (not trail or draw(st.integers(0, 4)) > 0):
            trail.append(
                (block, draw(st.sampled_from(sorted(block) if isinstance(block, dict) else range(len(block)))))
            )
            block = trail[-1][0][trail[-1][1]]
        if not trail:
            continue
        parent, key = draw(st.sampled_from(trail))
        action = draw(st.sampled_from(["replace", "replace", "remove", "rename", "add", "wrap", "swap", "grow"]))
        if action == "remove":
            del parent[key]
        elif action == "replace":
            parent[key] = draw(values)
        elif action == "wrap":
            parent[key] = draw(st.sampled_from([lambda inner: [inner], lambda inner: {"run": inner}, str]))(parent[key])
        elif action == "grow" and isinstance(parent[key], list | str):
            parent[key] = parent[key] * draw(st.integers(2, 40))
        elif action == "swap" and isinstance(parent, dict):
            other = draw(st.sampled_from(sorted(parent)))
            parent[key], parent[other] = parent[other], parent[key]
        elif isinstance(parent, dict):
            name = draw(st.one_of(st.sampled_from(["architecture", "recipe", f"{key}s", *WORDS]), st.text(max_size=6)))
            parent[name] = parent.pop(key) if action == "rename" else draw(values)
    return tree


@st.composite
def texts(draw, text):
    """The file broken off, or with characters and lines lost, doubled, moved in or out, or put in."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        action = draw(st.sampled_from(["cut", "drop", "double", "indent", "tab", "insert", "character", "alias"]))
        if action == "cut":
            lines = [*lines[:place], lines[place][: draw(st.integers(0, len(lines[place])))]]
        elif action == "drop":
            lines = lines[:place] + lines[place + 1 :] or [""]
        elif action == "double":
            lines.insert(place, lines[place])
        elif action == "indent":
            lines[place] = draw(st.sampled_from([" ", "  ", "      "])) + lines[place]
        elif action == "tab":
            lines[place] = "\t" + lines[place].lstrip(" ")
        elif action == "insert":
            lines.insert(place, " " * draw(st.integers(0, 6)) + draw(st.sampled_from(LINES)))
        elif action == "alias":
            name, colon, value = lines[place].partition(":")
            lines[place] = f"{name}{colon} {draw(st.sampled_from(['&a', '*a', '<<', '!!set', '!!str']))} {value}"
        else:
            at = draw(st.integers(0, len(lines[place])))
            lines[place] = lines[place][:at] + draw(st.characters()) + lines[place][at:]
    return "\n".join(lines)


def content(draw):
    return draw.encode("utf-8", "surrogatepass") if isinstance(draw, str) else draw


def refusal(folder, params_file, hypotheses_file=None):
    """What the check stage does with these files. Returns its message, or nothing where they are valid."""
    for name, mutated in (("params.yaml", params_file), ("hypotheses.yaml", hypotheses_file)):
        if mutated is not None:
            (folder / name).write_bytes(content(mutated))
    start = time.process_time()
    try:
        loaded = SETTINGS if params_file is None else params.load(folder / "params.yaml")
        if hypotheses_file is not None:
            params.load_hypotheses(loaded, folder / "hypotheses.yaml")
        refuse_too_large(loaded)
        missed_costs(loaded)
        for variant in loaded.active_variants:
            for seed in loaded.seeds(variant)[:1]:
                RunSpec.of(loaded, variant, seed, "cpu", 60_000).determining_settings()
        message = ""
    except params.ParamsError as error:
        message = str(error)
    assert time.process_time() - start < SECONDS
    return message


def assert_clear(message, name):
    """One message: it names the file, holds in a terminal, and is no Python."""
    assert name in message.splitlines()[0]
    assert len(message.splitlines()[0]) < 600
    assert not re.search(r"Traceback|Error\(|pydantic|<class|object at 0x", message)
    message.encode()


patient = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
@patient
@given(mutated=st.one_of(trees(FEW).map(dumped_if_it_can), texts(TEXT)))
def test_any_params_file_is_valid_or_one_clear_message(mutated, tmp_path_factory):
    message = refusal(tmp_path_factory.getbasetemp(), mutated)
    if message:
        assert_clear(message, "params.yaml")


@pytest.mark.slow
@patient
@given(mutated=st.one_of(trees(HYPOTHESES).map(dumped_if_it_can), texts(dumped(HYPOTHESES))))
def test_any_hypotheses_file_is_valid_or_one_clear_message(mutated, tmp_path_factory):
    message = refusal(tmp_path_factory.getbasetemp(), None, mutated)
    if message:
        assert_clear(message, "hypotheses.yaml")


# Nine times nine times nine …: half a billion values.
LEVELS = [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(LEVELS)


def edited(old, new):
    assert old in TEXT, old
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize(
    ("mutated", "words"),
    [
        ("", "params.yaml must be a mapping"),
        (b"\xff\xfe", "params.yaml is not valid YAML: 'utf-8' codec"),
        ("x: 2026-13-45", "params.yaml is not valid YAML: month must be in 1..12"),
        ("x: !!bool maybe", "params.yaml is not valid YAML: "),
        ("x: " + "9" * 5000, "params.yaml is not valid YAML: "),
        ("x: 0x" + "f" * 5000, "x: should be a whole number from -2^53 to 2^53"),
        ("x: " + "[" * 900, "params.yaml is not valid YAML: "),
        ("x: " + "[" * 60 + "]" * 60, "or has more than 40 blocks in each other"),
        ("x: &x [*x]", "params.yaml refers to itself through an alias (*), or has more than 40 blocks in each other"),
        (BOMB, "params.yaml has more than 100,000 values, its aliases (*) written out"),
        ('x: "\\ud800"', "x = '\\ud800': should have no control characters"),
        ('x: "\\0"', "x = '\\x00': should have no control characters"),
        ("? [1, 2]\n: 3", "the key (1, 2) must be text"),
        (
            edited("kernel: 3", "kernel: 1000000000"),
            "architecture.kernel = 1000000000: should be a whole number from 1 up to 1000",
        ),
        (edited("margin: 2", "margin: 1000000"), "margin = 1000000: should be less than or equal to 1000"),
        (
            edited("epochs: 8", "epochs: 1000000000000"),
            "epochs = 1000000000000: should be less than or equal to 1000000000",
        ),
        (
            edited("hidden: []", "hidden: [1000000000]"),
            "parameters, more than 250,000,000; reduce channels, hidden or kernel",
        ),
        (edited("layout: permuted", f"layout: patches_{'9' * 5000}"), "should be original, permuted, patches_"),
    ],
    ids=range(18),
)
def test_each_kind_of_nonsense_is_refused_in_its_own_words(mutated, words, tmp_path):
    message = refusal(tmp_path, mutated)
    assert words in message
    assert_clear(message, "params.yaml")


@pytest.mark.parametrize(
    "mutated",
    [BOMB, edited("hidden: []", "hidden: [1000000000]"), edited("channels: [16, 32]", "channels: [1000000000, 32]")],
)
def test_what_is_refused_takes_no_memory(mutated, tmp_path):
    (tmp_path / "params.yaml").write_text(mutated)
    tracemalloc.start()
    with pytest.raises(params.ParamsError):
        refuse_too_large(params.load(tmp_path / "params.yaml"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200e6


def test_a_net_of_a_hundred_thousand_channels_ends_the_search_for_matching_widths(tmp_path):
    tree = copy.deepcopy(FEW)
    tree["variants"]["kernel_1_matched"]["run"]["architecture"]["channels"] = [100_000, 38]
    assert refusal(tmp_path, dumped(tree)) == ""


def test_many_seeds_are_refused_in_no_time():
    seeds = tuple(range(100_000))
    start = time.process_time()
    with pytest.raises(ValueError, match="seeds are 100000; the sign-flip test takes at most 40"):
        params.Protocol.model_validate(SETTINGS.chosen_protocol.model_dump() | {"seeds": seeds})
    assert time.process_time() - start < SECONDS
