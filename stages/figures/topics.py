"""The topics of the report, and how what they make is written.

A topic is a module with some of four functions. Every file and fact exists whatever ran, so that no reference breaks:

    figures(results)   yields (name, figure) for figures/<name>.svg; in place of a figure, a note why there is none
    texts(results)     path below data/figures → text: tables as markdown and CSV, and generated sections
    facts(results)     name → a ready-made string for the report's prose
    sections(results)  name → whether this run has something for report/_<name>.qmd, which is left out otherwise
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from matplotlib.figure import Figure

from stages.figures import (
    accuracy,
    answer,
    at_scale,
    calibration,
    convolution,
    costs,
    declared,
    families,
    hypotheses,
    insides,
    ladder,
    learning,
    learning_rates,
    mistakes,
    position,
    protocol,
    receptive_fields,
    replication,
    scoreboard,
    shifts,
    training_data,
    training_length,
    try_it,
)
from stages.figures.results import Results
from stages.shared.drawing import style

# In the order of the report.
TOPICS: tuple[ModuleType, ...] = (answer, scoreboard, ladder, protocol, declared, hypotheses, accuracy)
TOPICS += (training_data, costs, learning, training_length, at_scale, try_it, convolution)
TOPICS += (learning_rates, families, shifts, insides, receptive_fields, position, mistakes, calibration, replication)


def write(results: Results, folder: Path) -> tuple[int, int]:
    """Write every figure, text and fact; return how many figures and how many tables there are."""
    (folder / "figures").mkdir()
    (folder / "tables").mkdir()
    for name, figure in figures(results):
        path = folder / "figures" / f"{name}.svg"
        if isinstance(figure, str):
            style.note(figure, path)
        else:
            style.save(figure, path)
    for name, text in (texts(results) | sections(results)).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "facts.yml").write_text(as_yaml(facts(results)), encoding="utf-8")
    return len(list(folder.glob("figures/*.svg"))), len(list(folder.glob("tables/*.md")))


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    """The figures of all topics, one after the other."""
    for topic in TOPICS:
        if hasattr(topic, "figures"):
            yield from topic.figures(results)


def texts(results: Results) -> dict[str, str]:
    """The texts of all topics."""
    parts = [topic.texts(results) for topic in TOPICS if hasattr(topic, "texts")]
    return {name: text for part in parts for name, text in part.items()}


def facts(results: Results) -> dict[str, str]:
    """The facts of all topics."""
    parts = [topic.facts(results) for topic in TOPICS if hasattr(topic, "facts")]
    return {name: text for part in parts for name, text in part.items()}


def sections(results: Results) -> dict[str, str]:
    """For each section that depends on what ran a file <name>.md: an include of its prose, or nothing."""
    parts = [topic.sections(results) for topic in TOPICS if hasattr(topic, "sections")]
    return {
        f"{name}.md": f"{{{{< include _{name}.qmd >}}}}\n" if has_content else "\n"
        for part in parts
        for name, has_content in part.items()
    }


def as_yaml(facts: dict[str, str]) -> str:
    """The mapping under the key `facts`. A JSON string is a YAML string."""
    lines = [f"  {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in sorted(facts.items())]
    return "facts:\n" + "".join(lines)
