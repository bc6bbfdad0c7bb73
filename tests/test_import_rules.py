"""Who may call whom, and that DVC knows of everything a stage imports."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.probe import ahead
from stages.shared import paths
from stages.train import code

STAGES = paths.ROOT / "stages"
ROOMS = {
    "kept", "stale", "params", "paths", "instructions", "seeds", "layouts", "prepared", "provenance", "cores", "aws", "architectures", "inference", "drawing"
}  # fmt: skip
# Commands beside the pipeline: what they read they read from its outputs, and no result depends on them.
BESIDE = {"compare", "deploy"}
WITHOUT_TORCH = (
    "plan",
    "compare",
    "inference",
    "drawing",
    "collect",
    "figures",
    "render",
    "download",
    "prepare",
    "eda",
)
# Not deps of any stage, each for its reason.
EXEMPT = {
    "stages/__init__.py": "pins what instructions.py says, and no more",
    "stages/shared/params": "DVC tracks the values themselves, in params.yaml and data/plan, so a new knob for the report must not retrain a model",
    "stages/shared/instruction_set.py": "DVC tracks the setting, in params.yaml and data/plan",
    "stages/shared/paths.py": "names where results lie, not what they are",
    "stages/shared/stage_command.py": "times and records, in files that no hash depends on",
    "stages/shared/run_records.py": "keeps what others made, under a digest of all that made it",
    "stages/stale.py": "asks DVC what it would run",
    "stages/shared/process_pool.py": "decides where work runs, not what it is",
    "stages/cloud": "decides where work runs, not what it is",
    "stages/train": "decides where work runs, not what it is",
}
PIPELINE = YAML(typ="safe", pure=True).load((paths.ROOT / "dvc.yaml").read_text())


def sources(folder):
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]


def imports(file):
    """Full names of the modules of ours that a file imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; write stages.…"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in names if name.split(".")[0] == "stages"}


def file_of(module):
    """The file, relative to the repository, that a module's name belongs to; None for a name inside a module."""
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (paths.ROOT / candidate).exists():
            return candidate.as_posix()
    return None


def reached(start):
    """Every file of ours that is loaded when the files of `start` are."""
    seen, todo = set(), [file.relative_to(paths.ROOT).as_posix() for file in start]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        todo += [found for name in imports(paths.ROOT / file) if (found := file_of(name))]
        package = Path(file).parent / "__init__.py"
        if (paths.ROOT / package).exists():
            todo.append(package.as_posix())
    return seen


STAGE_FOLDERS = sorted(folder.name for folder in STAGES.iterdir() if (folder / "__main__.py").exists())


def test_every_stage_of_the_pipeline_has_a_folder_and_every_folder_a_stage():
    in_pipeline = set(PIPELINE["stages"])
    assert in_pipeline | BESIDE == set(STAGE_FOLDERS)
    assert in_pipeline & BESIDE == set()
    assert set(ROOMS) & in_pipeline == set()


@pytest.mark.parametrize("stage", STAGE_FOLDERS)
def test_a_stage_imports_only_its_own_folder_and_the_shared_rooms(stage):
    for file in sources(STAGES / stage):
        rooms = {name.split(".")[1] for name in imports(file) if "." in name}
        assert rooms <= ROOMS | {stage}, f"{file} imports {sorted(rooms - ROOMS - {stage})}"


@pytest.mark.parametrize("stage", sorted(set(STAGE_FOLDERS) - BESIDE))
def test_everything_a_stage_imports_is_among_its_deps(stage):
    block = PIPELINE["stages"][stage]
    deps = [dep for dep in block.get("do", block)["deps"] if dep.startswith("stages/")]
    for file in reached(sources(STAGES / stage)):
        covered = any(file == dep or file.startswith(f"{dep}/") for dep in [*deps, *EXEMPT])
        assert covered or file == f"stages/{stage}/__init__.py", (
            f"{file} is imported by {stage}, but it is not among its deps in dvc.yaml"
        )
    for dep in deps:
        assert (paths.ROOT / dep).exists(), f"dvc.yaml names {dep}, which is not there"


@pytest.mark.parametrize(("stage", "found"), [("train", code.code_of_stage()), ("probe", ahead.code_of_stage())])
def test_a_kept_seed_depends_on_the_code_that_its_stage_depends_on(stage, found):
    named = [paths.ROOT / dep for dep in PIPELINE["stages"][stage]["do"]["deps"] if dep.startswith("stages/")]
    exempt = [paths.ROOT / name for name in EXEMPT]
    assert set(found) == {
        file for dep in named for file in sources(dep) if not any(file.is_relative_to(other) for other in exempt)
    }


@pytest.mark.parametrize("room", sorted(ROOMS - {"params", "paths"}))
def test_a_shared_room_has_at_least_two_users(room):
    users = {
        file.relative_to(STAGES).parts[0]
        for file in STAGES.rglob("*.py")
        if any(name.split(".")[1:2] == [room] for name in imports(file))
        and file.relative_to(STAGES).parts[0].removesuffix(".py") != room
    }
    assert len(users) >= 2, f"{room} is used by {sorted(users)} alone"


def test_imports_go_one_way():
    assert reached([STAGES / "paths.py"]) <= {
        "stages/__init__.py",
        "stages/shared/instruction_set.py",
        "stages/shared/paths.py",
    }
    of_params = {file.relative_to(paths.ROOT).as_posix() for file in sources(STAGES / "params")}
    assert (
        reached(sources(STAGES / "params"))
        <= {"stages/__init__.py", "stages/shared/instruction_set.py", "stages/shared/paths.py"} | of_params
    )


@pytest.mark.parametrize("folder", WITHOUT_TORCH)
def test_this_folder_never_imports_torch(folder):
    for file in reached(sources(STAGES / folder)):
        for node in ast.walk(ast.parse((paths.ROOT / file).read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not any(str(name).split(".")[0] == "torch" for name in names), f"{folder} loads torch through {file}"


def test_only_paths_holds_path_strings():
    for file in sources(STAGES):
        if file == STAGES / "paths.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Path" and node.args:
                assert not isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno} spells out a path"


@pytest.mark.parametrize("file", sources(STAGES), ids=lambda file: file.relative_to(STAGES).as_posix())
def test_every_module_says_what_it_is_and_stays_short(file):
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{file} has no docstring"
    assert len(text.splitlines()) <= 450


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
                given = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
                if GUARDED[name] is None or given.get(GUARDED[name][0]) != GUARDED[name][1]:
                    yield called


@pytest.mark.parametrize("file", sources(STAGES), ids=lambda file: file.relative_to(STAGES).as_posix())
def test_nothing_unpickles_and_no_archive_says_where_it_is_unpacked(file):
    assert list(unguarded(file.read_text())) == []


@pytest.mark.parametrize(
    ("source", "found"),
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
def test_what_would_unpickle_is_found(source, found):
    assert list(unguarded(source)) == found
