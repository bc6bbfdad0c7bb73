"""Where the notebook puts what it finds: figures, tables, facts and bare numbers, each also shown in the notebook."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import SVG, Markdown
from matplotlib.figure import Figure

from stages.eda.findings.finding import Finding
from stages.shared import paths
from stages.shared.drawing import style
from stages.shared.drawing.tables import pipe_tables

DIGITS = 9  # of a bare number: what lies beyond is rounding, and may differ between machines


@dataclass(frozen=True)
class Table:
    """shown: strings, the first column names the row. full: every row, with all digits."""

    shown: pd.DataFrame
    caption: str
    full: pd.DataFrame


class Outputs:
    """Collects under `folder`: figures/, tables/, and in the end facts.yml and numbers.json."""

    def __init__(self, folder: Path) -> None:
        self.facts: dict[str, str] = {}
        self._numbers: dict[str, Any] = {}
        self._folder = folder
        for name in ("figures", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def figure(self, name: str, figure: Figure) -> SVG:
        file = self._folder / "figures" / f"{name}.svg"
        style.save(figure, file)
        return SVG(filename=str(file))

    def table(self, name: str, table: Table) -> Markdown:
        stem = self._folder / "tables" / name
        text = pipe_tables(table.shown, f"tbl-eda-{name}", table.caption)
        stem.with_suffix(".md").write_text(text, encoding="utf-8")
        table.full.to_csv(
            stem.with_suffix(".csv"), index=False, float_format="%.6f", lineterminator="\n", encoding="utf-8"
        )
        return Markdown(table.shown.to_markdown(index=False, disable_numparse=True))

    def say(self, name: str, finding: Finding) -> Markdown:
        """Keep the facts, and the numbers under `name`; shows the sentences. Raises ValueError if a fact was said before."""
        twice = sorted(self.facts.keys() & finding.facts.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: said twice; every fact needs a name of its own")
        self.facts |= finding.facts
        self._numbers[name] = _bare(finding.values)
        return Markdown("\n\n".join(text for key, text in finding.facts.items() if key.endswith("_sentence")))

    def close(self) -> None:
        """Write facts.yml, in the format of the report's other facts, and numbers.json."""
        lines = (f"  {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in sorted(self.facts.items()))
        (self._folder / "facts.yml").write_text("eda:\n" + "".join(lines), encoding="utf-8")
        paths.write_json(self._folder / "numbers.json", self._numbers)


def _bare(value: Any) -> Any:
    """Python's own numbers, rounded; null for what is not known."""
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_bare(inner) for inner in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
