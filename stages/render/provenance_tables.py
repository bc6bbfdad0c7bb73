"""What the report was made from: the settings, the variants, the data's digests and the pinned versions, as tables.

Nothing here depends on the clock or the commit: an equal pipeline gives an equal report, whichever commit holds it. The
commit goes to data/timings/render.json.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from stages.shared import params, paths, provenance, stage_command
from stages.shared.drawing.numbers import plural
from stages.shared.drawing.tables import cell, escape, pipe_tables
from stages.shared.lettering.class_names import BREAK, breakable

DIGITS = 16  # of a digest in the report; its CSV has all
BLOCKS = ("protocol", "data", "machine", "eda", "sample", "architecture", "recipe", "probe", "inference")


def settings_as_text(settings: params.Params) -> dict[str, dict[str, str]]:
    """The blocks of params.yaml for the prose: settings.recipe.batch_size. "protocol" is the block that it chooses."""
    blocks = _blocks(settings)
    return {name: {key: escape(_text(value)) for key, value in block.items()} for name, block in blocks.items()}


def origin(settings: params.Params) -> dict[str, str]:
    """A digest of the settings, the CPU that renders, and those that trained published results."""
    dumped = settings.model_dump(mode="json")
    used = _blocks(settings) | {name: dumped[name] for name in ("families", "variants")}
    digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
    return {"params_sha256": digest[:DIGITS], "cpus": _cpus()}


def _cpus() -> str:
    sentence = f"The report was rendered on: {escape(provenance.cpu_name())}."
    if not paths.TRAINED_ON.exists():
        return sentence
    trained_on = pd.read_csv(paths.TRAINED_ON)
    counts = trained_on.groupby(["cpu", "instructions"]).size()
    parts = [
        f"{escape(cpu)} with {instructions} ({plural(count, 'variant')})"
        for (cpu, instructions), count in counts.items()
    ]
    return f"{sentence} Its nets were trained on: {', '.join(parts)}."


def write(settings: params.Params, folder: Path) -> None:
    """Write four tables as markdown and CSV: changes of the variants, settings, files of the data, versions."""
    variants = settings.active_variants
    _write(
        folder / "variants",
        "Every variant and what of the base it changes.",
        {"Variant": _labels(list(variants)), "Change": [_changes(settings, item.run) for item in variants.values()]},
    )

    blocks = settings_as_text(settings).items()
    rows = {f"{block}.{key}": value for block, values in blocks for key, value in values.items()}
    _write(
        folder / "settings",
        f"The settings in params.yaml: the protocol *{escape(settings.protocol)}*, "
        "and the base that every variant starts from.",
        _setting_columns(rows | {"protocol.variants": f"the {len(variants)} of @tbl-variants"}),
        _without_escapes(pd.DataFrame(_setting_columns(rows))),
    )

    digests = paths.read_json(paths.RAW / "dataset.json")["sha256"]
    _write(
        folder / "files",
        "The data's files, as unpacked.",
        {
            "File": [cell(breakable(name)) for name in digests],
            "SHA-256, its first digits": [text[:DIGITS] for text in digests.values()],
        },
        pd.DataFrame({"File": list(digests), "SHA-256": list(digests.values())}),
    )

    versions = _pinned_versions()
    _write(
        folder / "versions",
        "The versions that requirements.lock pins.",
        {"Package": list(map(cell, versions)), "Version": list(versions.values())},
    )


def _blocks(settings: params.Params) -> dict[str, dict[str, Any]]:
    dumped = settings.model_dump(mode="json")
    chosen = {"name": settings.protocol} | settings.chosen_protocol.model_dump(mode="json")
    return {name: chosen if name == "protocol" else dumped[name] for name in BLOCKS}


def _setting_columns(rows: dict[str, str]) -> dict[str, list[str]]:
    return {"Setting": [escape(name) for name in rows], "Value": list(rows.values())}


def _write(stem: Path, caption: str, columns: dict[str, list[str]], data: pd.DataFrame | None = None) -> None:
    """data: what the CSV holds, where it is not what the table shows."""
    frame = pd.DataFrame(columns)
    text = pipe_tables(frame, f"tbl-{stem.name}", caption)
    # pipe_tables aligns all columns but the first to the right, as numbers want it; these are words.
    words_to_the_left = re.sub(r"(-+):(?=\|)", r":\1", text)
    stem.with_suffix(".md").write_text(words_to_the_left, encoding="utf-8")
    data = _without_escapes(frame) if data is None else data
    data.to_csv(stem.with_suffix(".csv"), index=False, lineterminator="\n")


def _without_escapes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(lambda text: re.sub(r"\\(.)", r"\1", text).replace(BREAK, ""))


def _labels(variants: list[str]) -> list[str]:
    """The names that the figures and tables use; a variant without a finished run is only in the second file."""
    files = [paths.FIGURES / "tables" / f"{name}.csv" for name in ("results", "diverged")]
    tables = [pd.read_csv(file, keep_default_na=False, dtype=str) for file in files if file.exists()]
    labels = {row["variant"]: row["label"] for table in tables for row in table.to_dict("records")}
    return [cell(labels[variant]) for variant in variants]


def _changes(settings: params.Params, run: params.Run) -> str:
    """The differences from the base, as "kernel: 5; padding: valid"; a dash for the base itself.

    Without the number of seeds, which the tables of results have.
    """
    changes: dict[str, Any] = {}
    for block in ("sample", "architecture", "recipe"):
        base = getattr(settings, block).model_dump(mode="json")
        changed = getattr(run, block).model_dump(mode="json")
        changes |= {key: value for key, value in changed.items() if value != base[key]}
    changes.pop("seeds", None)
    return cell("; ".join(f"{key}: {_text(value)}" for key, value in changes.items()) or "–")


def _text(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, dict):  # a user's own net
        return ", ".join(f"{key}: {_text(part)}" for key, part in value.items() if part != {})
    if isinstance(value, str):
        return breakable(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _pinned_versions() -> dict[str, str]:
    stage_command.need(paths.LOCK, "render")
    # A line of a lock file is "name==version ; marker".
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", paths.LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    return {name: pins.get(name.replace("_", "-"), "–") for name in provenance.PACKAGES}
