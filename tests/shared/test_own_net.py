"""A user's own net: built, counted, saved and tried; and each mistake in one line that says what is allowed."""

import pytest
import torch
from own_net import HEAD, WHOLE, own_architecture, own_module, use_folder
from torch import nn
from untrained_net import BASE

from stages.shared import own_nets, run_records
from stages.shared.architectures import own_net
from stages.shared.architectures.build import build, logits_of, save_weights, trained
from stages.shared.architectures.closed_form import closed_form
from stages.shared.architectures.own_net import OwnNetError
from stages.shared.stage_command import StageError

SHAPE, CLASSES = (1, 12, 8), 3
TWIN = BASE.model_copy(update={"channels": (4, 8)})  # what the template is with a width of 4


@pytest.fixture(autouse=True)
def modules(monkeypatch, tmp_path):
    return use_folder(monkeypatch, tmp_path, my_net=HEAD, whole=WHOLE)


def built(architecture, seed=0):
    return build(architecture, SHAPE, CLASSES, [0.5], [0.3], torch.Generator().manual_seed(seed))


def pixels(count=5):
    return torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


# --- what is built


def test_the_template_costs_what_the_same_net_of_this_project_costs_and_begins_with_the_same_weights():
    own = own_architecture("template.py", width=4)
    one, two = (closed_form(architecture, SHAPE, CLASSES) for architecture in (own, TWIN))
    assert (one.parameters, one.macs) == (two.parameters, two.macs)
    assert (one.map_sizes, one.receptive_field) == ([], None)
    torch.testing.assert_close(list(built(own).parameters()), list(built(TWIN).parameters()), rtol=0, atol=0)
    torch.testing.assert_close(logits_of(built(own), pixels()), logits_of(built(TWIN), pixels()))


@pytest.mark.parametrize("names", [("template.py",), ("my_net.py",), ("whole.py", "Whole")])
def test_a_net_is_drawn_from_its_seed_alone_and_disturbs_nobody_elses_chance(names):
    architecture = own_architecture(*names, **({"units": 6} if "Whole" in names else {}))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = built(architecture).state_dict()
    assert torch.equal(torch.rand(1), expected)
    again, other = (built(architecture, seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_net_with_views_shared_and_lazy_weights_is_saved_and_read_again(tmp_path):
    architecture = own_architecture("whole.py", "Whole", units=6)
    model = built(architecture)
    logits_of(model, pixels())  # in training mode, so that batch norm has statistics
    save_weights(model, tmp_path / "weights.safetensors")
    again = trained(architecture, SHAPE, CLASSES, tmp_path / "weights.safetensors")
    assert torch.equal(logits_of(model.eval(), pixels()), logits_of(again, pixels()))
    # 4·9 + 4 of the convolution, 2·4 of the norm, 10·6·4 places; the two shared layers have one weight, two biases.
    assert closed_form(architecture, SHAPE, CLASSES).parameters == 40 + 8 + (240 + 1) * 6 + 36 + 2 * 6 + 7 * 3


def test_a_net_is_read_from_its_file_as_it_is_now_with_what_that_imports(modules):
    (modules / "my_net.py").write_text("from modules.other import Net\n")
    (modules / "other.py").write_text(HEAD)
    assert built(own_architecture())[1][0].linear.bias is not None
    (modules / "other.py").write_text(HEAD.replace("classes)", "classes, bias=False)"))
    assert built(own_architecture())[1][0].linear.bias is None
    assert not (modules / "__pycache__").exists(), "the folder is a dep of stages"


# --- what a run depends on


def digests():
    return run_records.own_net_digests(own_module())


def test_a_run_depends_on_the_file_and_on_what_it_imports_of_the_project(modules):
    assert run_records.own_net_digests(None) == {}
    first = digests()
    assert first.keys() == {"modules/my_net.py"}
    (modules / "my_net.py").write_text(HEAD + "\n# edited\n")
    assert digests() != first
    imports = (
        "from modules import one\nfrom .two import x\nfrom stages.shared.architectures.layers import GlobalAverage\n"
    )
    (modules / "my_net.py").write_text(imports + HEAD)
    (modules / "one.py").write_text("import modules.three\n")
    for name in ("two", "three", "unused"):
        (modules / f"{name}.py").write_text("x = 1\n")
    own = {f"modules/{name}.py" for name in ("my_net", "one", "two", "three")}
    assert own < digests().keys()
    assert "stages/shared/architectures/layers.py" in digests()
    assert "modules/unused.py" not in digests()


def test_a_run_depends_on_the_files_of_a_package_and_on_its_init(modules):
    (modules / "blocks").mkdir()
    for name in ("__init__", "norms", "unused"):
        (modules / "blocks" / f"{name}.py").write_text("x = 1\n")
    (modules / "my_net.py").write_text("from modules.blocks.norms import x\n" + HEAD)
    assert digests().keys() == {f"modules/{name}.py" for name in ("my_net", "blocks/__init__", "blocks/norms")}


@pytest.mark.parametrize(("file", "message"), [("nobody.py", "no such file"), ("broken.py", "line 1")])
def test_a_run_without_a_readable_file_is_refused(file, message, modules):
    (modules / "broken.py").write_text("class\n")
    with pytest.raises(StageError, match=f"module.file = '{file}': .*{message}"):
        run_records.own_net_digests(own_module(file))


# --- what is tried before anything is trained


def test_nets_that_keep_the_contract_pass():
    own_nets.check(own_module("template.py"), SHAPE, CLASSES)
    own_nets.check(own_module("template.py", width=3), (3, 9, 9), 7)
    own_nets.check(own_module(), SHAPE, CLASSES)
    own_nets.check(own_module("whole.py", "Whole", units=6), SHAPE, CLASSES)


def test_a_constructor_may_take_any_number_of_places_and_a_keyword(modules):
    source = changed("self, shape, classes, width=4", "self, *sizes, width")
    (modules / "my_net.py").write_text(source.replace("super()", "shape, classes = sizes\n        super()"))
    own_nets.check(own_module(width=3), SHAPE, CLASSES)


def changed(old, new):
    assert old in HEAD
    return HEAD.replace(old, new)


FORWARD = "return self.linear(images.flatten(1))"
LAYER = "self.linear = nn.Linear(shape[0] * shape[1] * shape[2], classes)"
SAME = f"{LAYER}\n        self.features = nn.Flatten()\n        self.head = "
KEY = "module.class = 'Net': "
# What is wrong → source, arguments, what is said.
MISTAKES = {
    "no Python": ("class Net(\n", {}, ["module.file = 'my_net.py': it cannot be imported: SyntaxError", "line 1"]),
    "fails on import": (
        "import torch\nimport nobody\n",
        {},
        ["module.file = 'my_net.py': it cannot be imported: ModuleNotFoundError: No module named 'nobody'", "line 2"],
    ),
    "exits on import": ("import sys\nsys.exit('no')\n", {}, ["cannot be imported: SystemExit: no (my_net.py, line 2)"]),
    "no such class": (changed("class Net", "class Nett"), {}, [KEY, "my_net.py has no such class (have: Nett)"]),
    "no module": ("def Net(): pass\n", {}, [KEY, "not as a class of torch.nn.Module (have: none)"]),
    "misspelt argument": (
        HEAD,
        {"widht": 16},
        ["module.arguments.widht = 16: Net has no such argument (did you mean 'width'?); it takes width"],
    ),
    "missing argument": (changed("width=4", "width"), {}, ["module.arguments lacks width, which Net needs"]),
    "no room for the shape": (changed("shape, classes, width=4", "width=4"), {}, [KEY, "called as Net(shape, classes"]),
    "constructor fails": (
        changed("self.classes = classes", "assert width > 9, 'too narrow'"),
        {"width": 2},
        [KEY, "Net((1, 12, 8), 3, width=2) fails: AssertionError: too narrow (my_net.py, line 9)"],
    ),
    "no parameters": (changed(LAYER, ""), {}, [KEY, "it has no parameters"]),
    "weights of another generator": (
        changed(LAYER, f"{LAYER}\n        import numpy\n        self.linear.bias.data[0] = numpy.random.rand()"),
        {},
        [KEY, "built twice under the same seed, 'linear.bias' differs"],
    ),
    "names of its own each time": (
        changed(LAYER, f"{LAYER}\n        self.register_buffer(f'at_{{id(self)}}', torch.zeros(1))"),
        {},
        [KEY, "built twice under the same seed, 'at_"],
    ),
    "chance outside the weights": (
        changed(LAYER, f"{LAYER}\n        self.noise = torch.rand(classes)").replace(
            FORWARD, f"{FORWARD} + self.noise"
        ),
        {},
        [KEY, "random numbers that are not saved with its weights", "register_buffer"],
    ),
    "forward fails": (
        changed("images.flatten(1)", "images"),
        {},
        [KEY, "its forward fails on images of shape (3, 1, 12, 8): RuntimeError:", "(my_net.py, line 13)"],
    ),
    "one batch size alone": (
        changed("images.flatten(1)", "images.reshape(3, -1)"),
        {},
        [KEY, "images of shape (5, 1,"],
    ),
    "other classes": (
        changed(", classes)", ", 7)"),
        {},
        [KEY, "gives (3, 7) for images", "allowed is (3, 3), a logit"],
    ),
    "no tensor": (changed(FORWARD, "return None, images"), {}, [KEY, "its forward gives tuple; allowed is a tensor"]),
    "not finite": (changed(FORWARD, f"{FORWARD} / 0"), {}, [KEY, "not finite before any training"]),
    "chance in evaluation": (
        changed(FORWARD, FORWARD.replace("images", "nn.functional.dropout(images)", 1)),
        {},
        [KEY, "in evaluation mode, two passes over the same images differ"],
    ),
    "changes its input": (
        changed(FORWARD, FORWARD.replace("images", "images.mul_(2)")),
        {},
        [KEY, "it changes the images"],
    ),
    "unused parameter": (
        changed(LAYER, f"{LAYER}\n        self.unused = nn.Linear(2, 2)"),
        {},
        [KEY, "no gradient reaches unused.weight, unused.bias; use it in forward, or leave it out"],
    ),
    "infinite gradient": (
        changed(LAYER, f"{LAYER}\n        self.root = nn.Parameter(torch.zeros(()))").replace(
            FORWARD, f"{FORWARD} + self.root.sqrt()"
        ),
        {},
        [KEY, "the first gradient of root is not finite"],
    ),
    "no gradient": (changed(FORWARD, FORWARD.replace("))", ")).detach()")), {}, [KEY, "no gradient can be computed"]),
    "features beside forward": (
        changed(LAYER, f"{SAME}nn.Linear(shape[1] * shape[2], classes)").replace("self.linear(", "self.linear(2 * "),
        {},
        [KEY, "features and head, but its forward is not head(features(images))"],
    ),
    "features of three axes": (
        changed(LAYER, f"{SAME}nn.Sequential(nn.Flatten(), self.linear)").replace("nn.Flatten()\n", "nn.Flatten(2)\n"),
        {},
        [KEY, "its features give (5, 1, 96); allowed are maps"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_one_line_with_the_key_the_value_and_what_is_allowed(name, modules):
    source, arguments, messages = MISTAKES[name]
    (modules / "my_net.py").write_text(source)
    with pytest.raises(OwnNetError) as caught:
        own_nets.check(own_module(**arguments), SHAPE, CLASSES)
    for message in messages:
        assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named_with_those_that_are(modules):
    with pytest.raises(OwnNetError, match=r"module.file = 'nobody.py': .*modules/ \(have: my_net.py, template.py"):
        own_nets.check(own_module("nobody.py"), SHAPE, CLASSES)


def test_all_variants_are_tried_and_each_that_fails_has_a_line():
    good, bad = own_module("template.py"), own_module("template.py", depth=1)
    lines = own_nets.mistakes({name: (own, SHAPE, CLASSES) for name, own in {"a": good, "b": bad, "c": bad}.items()})
    assert [line.split(" = ")[0] for line in lines] == [
        f"variants.{name}.run.architecture.module.arguments.depth" for name in "bc"
    ]
    assert own_nets.mistakes({}) == []


def test_a_net_without_features_is_taken_as_a_whole():
    assert isinstance(built(own_architecture())[1], own_net.WholeNet)
    assert isinstance(built(own_architecture("template.py"))[1], own_net.OwnFeatures)
    assert isinstance(built(own_architecture())[2], nn.Identity)
