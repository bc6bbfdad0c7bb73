"""The results of a revision, read through DVC without a checkout."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from dvc.api import DVCFileSystem
from dvc.fs import DataFileSystem
from safetensors.numpy import load_file

from stages.shared import params, paths
from stages.shared.params import LONGER
from stages.shared.params.yaml_files import parse_yaml
from stages.shared.run_files import VariantResults, read_variant
from stages.shared.run_records import RECORD, file_digest
from stages.shared.stage_command import StageError
from stages.tools.compare.revisions import Revision

CODE = "stages/"
COMMITTED = ("params.yaml", "hypotheses.yaml", "modules", "dvc.lock", "data/metrics.json", "data/declared")
RUN_FILES = ("metrics.json", "curves.csv", "predictions.safetensors")
PROBE_FILES = ("probe.json", "shifts.csv", "by_image.safetensors")


@dataclass(frozen=True)
class Images:
    """The test set: images without the margin that the protocol put around them, (N, C, H, W), and labels, (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Results:
    """What a revision left.

    settings: params.yaml as it is there. code: path → digest, of the code that prepared the data and trained.
    dataset: its title. margin: pixels above and beside. variants: those that the protocol runs, in the order of
    params.yaml. digests: variant → seed → name → digest of the files of its run.
    """

    revision: Revision
    settings: dict[str, Any]
    code: dict[str, str]
    dataset: str
    test: Images
    margin: tuple[int, int]
    variants: dict[str, VariantResults]
    digests: dict[str, dict[int, dict[str, str]]]


def read(revision: Revision) -> Results:
    """Raises StageError, with what to run, if the revision has no results of its settings, or a file is not there."""
    files = _Files(revision)
    settings, stages = _settings(files), _stages(files)
    _check_is_up_to_date(settings, stages, revision)
    is_probed = _is_up_to_date(stages.get("probe"), settings, stages)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        constants = paths.read_json(files.copy(paths.PREPARED / "constants.json", folder, "prepare"))
        vertical, horizontal = constants["margin"]
        test = _test_images(files.copy(paths.PREPARED / "test.safetensors", folder, "prepare"), vertical, horizontal)
        variants, digests = {}, {}
        for key, seeds in _planned_seeds(settings, revision).items():
            digests[key] = {seed: _copy_run(files, Path(key, f"seed_{seed}"), is_probed, folder) for seed in seeds}
            try:
                probes = folder / "probes" if is_probed else None
                variants[key] = read_variant(key, seeds, test.labels, folder / "runs", probes)
            except StageError as error:
                reason, _, _ = str(error).replace(f"{folder}/", "data/").partition("; run `dvc repro")
                raise StageError(f"{revision.name!r}: {reason}; {revision.how_to_run('train')}") from None
    code = {dep["path"]: dep["md5"] for stage in ("prepare", "train") for dep in stages[stage].get("deps", [])}
    code = {path: digest for path, digest in code.items() if path.startswith(CODE)}
    return Results(revision, settings, code, constants["title"], test, (vertical, horizontal), variants, digests)


class _Files:
    """The files of a revision: those that git tracks, and those that its dvc.lock names, in DVC's cache or a remote.

    What the workspace's data/ holds is not asked: after `git checkout` without `dvc checkout` it is another revision's.
    """

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self._files = DVCFileSystem(str(paths.ROOT), rev=revision.commit)

    @cached_property
    def _data(self) -> DataFileSystem:
        return DataFileSystem(index=self._files.repo.index.data["repo"])

    def yaml(self, path: Path) -> dict[str, Any] | None:
        """None if the revision has no such file."""
        try:
            return parse_yaml(self._files.read_bytes(path.name), path)
        except FileNotFoundError:
            return None
        except params.ParamsError as error:
            raise StageError(f"{self.revision.name!r}: {error}") from None

    def copy(self, source: Path, folder: Path, stage: str) -> Path:
        """Copy a file of data/ to its place below `folder`. stage: which writes it."""
        target = folder / source.relative_to(paths.DATA)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._data.get_file(_relative(source), str(target))
        except FileNotFoundError:
            raise StageError(
                f"DVC's cache lacks {_relative(source)} of {self.revision.name!r}; `dvc fetch --all-commits` brings it "
                f"from a DVC remote; without one, {self.revision.how_to_run(stage)}"
            ) from None
        return target


def _stages(files: _Files) -> dict[str, Any]:
    """The stages of dvc.lock: of each the dependencies, settings and outputs that it last ran with."""
    revision, lock = files.revision, files.yaml(paths.DVC_LOCK)
    if lock is None:
        committed = revision.commit is None or revision.is_experiment
        reason = "nothing was run there" if committed else "nothing was run there, or the file was not committed"
        raise StageError(f"{revision.name!r} has no dvc.lock: {reason}; {revision.how_to_run()}")
    stages: dict[str, Any] = lock.get("stages", {})
    for stage in ("prepare", "train"):
        if stage not in stages:
            raise StageError(
                f"dvc.lock of {revision.name!r} has no stage {stage}: it never finished there; "
                f"{revision.how_to_run(stage)}"
            )
    return stages


def _settings(files: _Files) -> dict[str, Any]:
    settings = files.yaml(paths.PARAMS)
    if settings is None:
        raise StageError(f"{files.revision.name!r} has no {paths.PARAMS.name}; compare revisions of this pipeline")
    return settings


def _check_is_up_to_date(settings: dict[str, Any], stages: dict[str, Any], revision: Revision) -> None:
    for stage in ("prepare", "train"):
        changed = _changed_settings(stages[stage], settings)
        if changed:
            raise StageError(
                f"the results of {revision.name!r} were not made with the settings that it has now "
                f"({', '.join(changed)}); {_how_to_match(stages[stage], revision)}"
            )
    if not _is_up_to_date(stages["train"], settings, stages):
        raise StageError(
            f"the runs of {revision.name!r} were not trained on the data that it has now; {revision.how_to_run()}"
        )


def _how_to_match(stage: dict[str, Any], revision: Revision) -> str:
    """What to do about results of other settings. They may only wait in the workspace to be committed too."""
    if revision.commit is None or revision.is_experiment or not paths.PARAMS.exists():
        return revision.how_to_run()
    if not _changed_settings(stage, parse_yaml(paths.PARAMS.read_bytes(), paths.PARAMS)):
        return (
            "they were made with those of params.yaml in the workspace, which are not committed there: "
            f"`git add {' '.join(COMMITTED)}` and `git commit` keep settings and results together"
        )
    return revision.how_to_run()


def _is_up_to_date(stage: dict[str, Any] | None, settings: dict[str, Any], stages: dict[str, Any]) -> bool:
    """Whether a stage ran with these settings and on what the stages before it made."""
    if stage is None or _changed_settings(stage, settings):
        return False
    outs = {out["path"]: out["md5"] for entry in stages.values() for out in entry.get("outs", []) if "md5" in out}
    return all(outs.get(dep["path"], dep["md5"]) == dep["md5"] for dep in stage.get("deps", []))


def _changed_settings(stage: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Keys, such as `machine.instruction_set`, whose value is not the one that the stage last ran with."""
    recorded = stage.get("params", {}).get(paths.PARAMS.name, {})
    return [key for key, value in recorded.items() if _value(settings, key) != value]


def _value(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings


def _planned_seeds(settings: Mapping[str, Any], revision: Revision) -> dict[str, list[int]]:
    """Variant → seeds, of what the protocol runs, in the order of params.yaml.

    Read without the checks of params.load, so that a revision with other settings than the code has now can be read.
    """
    try:
        protocol = settings["protocols"][settings["protocol"]]
        planned = {}
        for key, variant in settings["variants"].items():
            sample = settings["sample"] | variant["run"].get("sample", {})
            if key in protocol["variants"]:
                planned[key] = list(protocol["seeds" if sample["seeds"] == "all" else "few_seeds"])
        longer = protocol.get("longer") or {"variants": []}
        planned |= {key + LONGER: planned[key] for key in longer["variants"]}
    except (KeyError, TypeError, AttributeError):
        raise StageError(
            f"params.yaml of {revision.name!r} has no `protocols` with `variants` and `seeds` as this version of the "
            "pipeline reads them; compare revisions since it has"
        ) from None
    return planned


def _copy_run(files: _Files, run: Path, is_probed: bool, folder: Path) -> dict[str, str]:
    """Copy the small files of a run and of its probe. Returns name → digest of all files of the run."""
    digests = _copy_recorded(files, paths.RUNS / run, RUN_FILES, folder, "train")
    diverged = "predictions.safetensors" not in digests
    if is_probed and not diverged:
        _copy_recorded(files, paths.PROBES / run, PROBE_FILES, folder, "probe")
    return digests


def _copy_recorded(files: _Files, source: Path, names: Sequence[str], folder: Path, stage: str) -> dict[str, str]:
    """Copy those of the named files that the record of the folder lists. Returns the record's digests."""
    revision, record = files.revision, files.copy(source / RECORD, folder, stage)
    try:
        digests: dict[str, str] = paths.read_json(record)["files"]
    except (ValueError, KeyError, TypeError):
        raise StageError(
            f"{_relative(source / RECORD)} of {revision.name!r} cannot be read; {revision.how_to_run(stage)}"
        ) from None
    for name in set(names) & set(digests):
        if file_digest(files.copy(source / name, folder, stage)) != digests[name]:
            raise StageError(
                f"{_relative(source / name)} of {revision.name!r} is damaged: it is not the file that {RECORD} beside "
                f"it names; {revision.how_to_run(stage)}"
            )
    return digests


def _test_images(path: Path, vertical: int, horizontal: int) -> Images:
    arrays = load_file(path)
    *_, height, width = arrays["images"].shape
    images = arrays["images"][..., vertical : height - vertical, horizontal : width - horizontal]
    return Images(images, arrays["labels"])


def _relative(path: Path) -> str:
    return path.relative_to(paths.ROOT).as_posix()
