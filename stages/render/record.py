"""What the report was made from: params.yaml, the data's digests, the pinned versions. Nothing that a clock or a commit moves.

An equal pipeline gives an equal report, whichever commit holds it, so its bytes name contents: the commit goes to
data/timings/render.json.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from stages.shared import params, paths, provenance, stage_command
from stages.shared.drawing.tables import cell, escape, pipe_tables

SHOWN = 16  # digits of a digest in the report; its CSV has all
BLOCKS = ("protocol", "data", "machine", "eda", "sample", "architecture", "recipe", "probe", "inference")


def settings(loaded: params.Params) -> dict[str, Any]:
    """params.yaml as text for the prose: settings.recipe.batch_size"""
    raw = loaded.model_dump(mode="json")
    return {block: {key: escape(_text(value)) for key, value in raw[block].items()} for block in BLOCKS}


def made(loaded: params.Params) -> dict[str, str]:
    raw = loaded.model_dump(mode="json")
    used = {name: raw[name] for name in (*BLOCKS, "families", "variants")}
    digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
    return {"params_sha256": digest[:SHOWN], "cpu": escape(provenance.cpu_name())}


def write_tables(loaded: params.Params, folder: Path) -> None:
    """Four tables, each as markdown and CSV: the changes of each variant, the settings, the data's files, the versions."""
    changes = {key: _changes(loaded, variant.run) for key, variant in loaded.active_variants.items()}
    _write(
        folder / "variants",
        "Every variant and what of the base it changes.",
        {"Variant": _labels(list(changes)), "Change": list(changes.values())},
    )

    rows = {f"{block}.{key}": value for block, values in settings(loaded).items() for key, value in values.items()}
    shown = rows | {"protocol.variants": f"the {len(changes)} of @tbl-variants"}
    caption = f"The settings in params.yaml: the protocol *{escape(loaded.protocol)}*, and the base that every variant starts from."
    frame = pd.DataFrame({"Setting": [escape(name) for name in rows], "Value": list(rows.values())})
    _write(
        folder / "settings", caption, {"Setting": list(frame["Setting"]), "Value": list(shown.values())}, _plain(frame)
    )

    digests = paths.read_json(paths.RAW / "dataset.json")["sha256"]
    frame = pd.DataFrame({"File": list(digests), "SHA-256": list(digests.values())})
    shown = {
        "File": [cell(name) for name in digests],
        "SHA-256, its first digits": [value[:SHOWN] for value in digests.values()],
    }
    _write(folder / "files", "The data's files, as unpacked.", shown, frame)

    versions = _pinned()
    _write(
        folder / "versions",
        "The versions that requirements.lock pins.",
        {"Package": [cell(name) for name in versions], "Version": list(versions.values())},
    )


def _write(stem: Path, caption: str, columns: dict[str, list[str]], data: pd.DataFrame | None = None) -> None:
    """data: what the CSV holds, where it is not what the table shows."""
    frame = pd.DataFrame(columns)
    text = pipe_tables(frame, f"tbl-{stem.name}", caption)
    words_to_the_left = re.sub(r"(-+):(?=\|)", r":\1", text)
    stem.with_suffix(".md").write_text(words_to_the_left, encoding="utf-8")
    (_plain(frame) if data is None else data).to_csv(stem.with_suffix(".csv"), index=False, lineterminator="\n")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(lambda text: re.sub(r"\\(.)", r"\1", text))


def _labels(keys: list[str]) -> list[str]:
    """The names that the figures and tables use."""
    files = [
        paths.FIGURES / "tables" / f"{name}.csv" for name in ("results", "diverged")
    ]  # the latter where a run diverged
    tables = [pd.read_csv(file, keep_default_na=False, dtype=str) for file in files if file.exists()]
    labels = {row["variant"]: row["label"] for table in tables for row in table.to_dict("records")}
    return [cell(labels[key]) for key in keys]


def _changes(loaded: params.Params, run: params.Run) -> str:
    """The differences from the base, as "kernel: 5; padding: valid"; a dash for the base itself. Tables of results have the seeds."""
    changed: dict[str, Any] = {}
    for own, base in (
        (run.sample, loaded.sample),
        (run.architecture, loaded.architecture),
        (run.recipe, loaded.recipe),
    ):
        changed |= {
            key: value
            for key, value in own.model_dump(mode="json").items()
            if value != base.model_dump(mode="json")[key]
        }
    changed.pop("seeds", None)
    return cell("; ".join(f"{key}: {_text(value)}" for key, value in changed.items()) or "–")


def _text(value: Any) -> str:
    return "–" if value is None else ", ".join(map(str, value)) or "–" if isinstance(value, list) else str(value)


def _pinned() -> dict[str, str]:
    stage_command.need(paths.LOCK, "render")
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", paths.LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    return {name: pins.get(name.replace("_", "-"), "–") for name in stage_command.PACKAGES}
