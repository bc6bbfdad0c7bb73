"""Who may import whom, and that DVC knows every file that a stage imports."""

import ast
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.shared import paths
from stages.shared.run_records import imported_files

STAGES = paths.ROOT / "stages"
PIPELINE = YAML(typ="safe", pure=True).load((paths.ROOT / "dvc.yaml").read_text())["stages"]
BESIDE = ("cloud", "shared", "tools")  # the folders of stages/ that are no stage
# Folder → the other folders of stages/ that it may import, beside shared. A stage imports no other stage.
MAY_IMPORT = {
    "train": {"cloud"},  # where it trains when it does not train here
    "cloud": {"train"},  # what a job runs
    "tools": {"cloud", "train"},
}
WITHOUT_TORCH = ("check", "download", "prepare", "eda", "collect", "figures", "render")
WITHOUT_TORCH += ("shared/inference", "shared/drawing", "shared/params", "tools/compare")
# Imported only where a variant is a user's own net, within the function that needs it.
WITH_TORCH = {"stages/shared/architectures/own_net.py", "stages/shared/own_nets.py"}
# Files that stages import and that are deps of none, each for its reason.
EXEMPT = {
    "stages/shared/params": "DVC compares the values themselves, so that a new setting of the report retrains no model",
    "stages/shared/instruction_set.py": "DVC compares its setting",
    "stages/shared/paths.py": "names where results lie, not what they are",
    "stages/shared/stage_command.py": "starts a stage, and writes times that no digest depends on",
    "stages/shared/provenance.py": "describes the machine and the commit",
    "stages/shared/machine_limits.py": "says how much of the machine may be used",
    "stages/shared/run_records.py": "decides which runs to make, not what they are",
    "stages/shared/process_pool.py": "decides where work runs, not what it is",
    "stages/cloud": "decides where work runs, not what it is",
}


def sources(folder):
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]


@cache
def imports(file):
    """Full names of the modules of this project that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; write stages.…"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in names if name.split(".")[0] == "stages"}


@cache
def file_of(module):
    """The file, relative to the repository, that a module's name belongs to; None for a name inside a module."""
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (paths.ROOT / candidate).exists():
            return candidate.as_posix()
    return None


def reached(start, not_beyond=()):
    """Every file of this project that is loaded with the files of `start`.

    not_beyond: files and folders whose own imports do not count.
    """
    seen, todo = set(), [file.relative_to(paths.ROOT).as_posix() for file in start]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        if is_below(file, not_beyond):
            continue
        todo += [path for path in map(file_of, imports(paths.ROOT / file)) if path]
    return seen


def is_below(file, places):
    return any(file == place or file.startswith(f"{place}/") for place in places)


def folder_of(name):
    """The folder of stages/ that a module's full name belongs to."""
    return name.split(".")[1] if "." in name else "stages"


def test_stages_holds_one_folder_for_each_stage_and_what_is_shared_stands_beside_and_is_in_the_cloud():
    folders = {folder.name for folder in STAGES.iterdir() if folder.is_dir() and folder.name != "__pycache__"}
    assert folders == {*PIPELINE, *BESIDE}
    assert [file.name for file in STAGES.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("folder", [*PIPELINE, *BESIDE])
def test_imports_go_one_way(folder):
    allowed = {folder, "shared"} | MAY_IMPORT.get(folder, set())
    for file in sources(STAGES / folder):
        others = {folder_of(name) for name in imports(file)} - {"stages"}
        assert others <= allowed, f"{file} imports {sorted(others - allowed)}"


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_file_that_a_stage_imports_is_among_its_deps(stage):
    deps = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("stages/")]
    for dep in deps:
        assert (paths.ROOT / dep).exists(), f"dvc.yaml names {dep}, which is not there"
    files = reached(sources(STAGES / stage), not_beyond=EXEMPT)
    files = {file for file in files if not file.endswith("__init__.py")}
    for file in files:
        assert is_below(file, [*deps, *EXEMPT]), f"{file} is imported by {stage}, but it is no dep of it in dvc.yaml"
    for dep in deps:
        assert any(is_below(file, [dep]) for file in files), f"dvc.yaml: {stage} does not import {dep}"


@pytest.mark.parametrize("stage", ["train", "probe"])
def test_the_code_that_decides_a_run_is_among_its_stages_deps(stage):
    deps = [paths.ROOT / dep for dep in PIPELINE[stage]["deps"]]
    files = imported_files(f"stages.{stage}.run")
    assert files
    for file in files:
        assert any(file == dep or file.is_relative_to(dep) for dep in deps), f"{file} is no dep of {stage}"


ROOMS = sorted(path.stem for path in (STAGES / "shared").iterdir() if path.suffix != ".md" and path.stem[0] != "_")


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_shared_has_at_least_two_users(room):
    name = f"stages.shared.{room}"
    users = set()
    for file in STAGES.rglob("*.py"):
        parts = file.relative_to(STAGES).parts
        user = f"shared/{Path(parts[1]).stem}" if parts[0] == "shared" else parts[0]
        if user != f"shared/{room}" and any(f"{other}.".startswith(f"{name}.") for other in imports(file)):
            users.add(user)
    assert len(users) >= 2, f"{room} is used by {sorted(users)} alone"


@pytest.mark.parametrize("folder", WITHOUT_TORCH)
def test_this_folder_never_imports_torch(folder):
    for file in reached(sources(STAGES / folder), not_beyond=WITH_TORCH) - WITH_TORCH:
        for node in ast.walk(ast.parse((paths.ROOT / file).read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            assert "torch" not in {name.split(".")[0] for name in names}, f"{folder} loads torch through {file}"


@pytest.mark.parametrize("file", sources(STAGES), ids=lambda file: file.relative_to(STAGES).as_posix())
def test_what_needs_torch_for_an_own_net_is_imported_where_it_is_used(file):
    if file.relative_to(STAGES).parts[0] not in WITHOUT_TORCH and file.name != "closed_form.py":
        return
    at_top = ast.Module([node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ImportFrom)], [])
    named = {name for node in at_top.body for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names))}
    assert not named & {file.removesuffix(".py").replace("/", ".") for file in WITH_TORCH}


@pytest.mark.parametrize("file", sources(STAGES), ids=lambda file: file.relative_to(STAGES).as_posix())
def test_every_module_says_what_it_is_and_stays_short(file):
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{file} has no docstring"
    assert len(text.splitlines()) <= 400


UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}
# A call that would unpickle, or write where an archive says, unless it has this argument.
GUARDED = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "extractall": ("filter", "data"),
    "extract": ("filter", "data"),
    "unpack_archive": ("filter", "data"),
    "read_pickle": None,
    "to_pickle": None,
}


def unguarded(source):
    """What of a source could run code that a file holds, or write where it says."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (name for name in names if name.split(".")[0] in UNPICKLERS)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            for name in {called, called.rpartition(".")[2]} & GUARDED.keys():
                arguments = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
                if GUARDED[name] is None or arguments.get(GUARDED[name][0]) != GUARDED[name][1]:
                    yield called


@pytest.mark.parametrize("file", sources(STAGES), ids=lambda file: file.relative_to(STAGES).as_posix())
def test_nothing_unpickles_and_no_archive_says_where_it_is_unpacked(file):
    assert list(unguarded(file.read_text())) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pickle", ["pickle"]),
        ("from joblib.numpy_pickle import load", ["joblib.numpy_pickle"]),
        ("torch.load(f)", ["torch.load"]),
        ("torch.load(f, weights_only=False)", ["torch.load"]),
        ("torch.load(f, weights_only=True)", []),
        ("np.load(f, allow_pickle=True)", ["np.load"]),
        ("archive.extractall(folder)", ["archive.extractall"]),
        ("archive.extractall(folder, filter='data')", []),
        ("pd.read_pickle(f)", ["pd.read_pickle"]),
    ],
)
def test_what_would_unpickle_is_found(source, expected):
    assert list(unguarded(source)) == expected
