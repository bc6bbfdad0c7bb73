"""The report as one checked text, which both renderers take."""

import re
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.render import check, sources
from stages.render.project import VARIABLES
from stages.shared.stage_command import StageError

BIBLIOGRAPHY = "references.bib"
FRONT_MATTER = ("title", "subtitle")


def checked(project: Path) -> tuple[str, dict[str, str]]:
    """The text with includes and variables in their places, and the front matter.

    Raises StageError, listing every problem with its file and line.
    """
    problems: list[str] = []
    front, lines = sources.read(project, problems)
    reader = YAML(typ="safe", pure=True)
    variables = reader.load((project / VARIABLES).read_text(encoding="utf-8"))
    keys = re.findall(r"^@\w+\{\s*([^,\s]+)", (project / BIBLIOGRAPHY).read_text(encoding="utf-8"), re.MULTILINE)
    problems += [
        f"{BIBLIOGRAPHY}: the key {key} is there twice" for key in sorted({key for key in keys if keys.count(key) > 1})
    ]
    problems += check.problems_of(project, lines, variables, set(keys))
    try:
        head = reader.load(front) or {}
    except YAMLError as error:
        head = {}
        problems.append(
            f"{sources.INDEX}: the lines between --- are not valid YAML: {' '.join(str(error).split())[:200]}"
        )
    problems += [
        f"{sources.INDEX}: {key!r} is not supported in the front matter (title and subtitle are)"
        for key in head
        if key not in FRONT_MATTER
    ]
    if problems:
        many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise StageError(
            f"the report's sources have {many}; nothing was rendered\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )
    text = "\n".join(line.text for line in lines) + "\n"
    return sources.VARIABLE.sub(lambda match: str(check.lookup(variables, match[1])), text), {
        key: str(value) for key, value in head.items()
    }
