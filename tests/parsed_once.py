"""A settings file takes a quarter of a second to parse, and tests read the same one hundreds of times."""

import copy
from pathlib import Path
from typing import Any

MOST_TEXTS = 64
PARSED: dict[bytes, dict[str, Any]] = {}


def install() -> None:
    """Let this process parse a text once. A text that is refused is parsed again each time."""
    from stages.shared.params import yaml_files

    parse = yaml_files.parse_yaml

    def parse_once(content: bytes, path: Path) -> dict[str, Any]:
        if content not in PARSED:
            parsed = parse(content, path)
            if len(PARSED) >= MOST_TEXTS:
                PARSED.clear()
            PARSED[content] = parsed
        return copy.deepcopy(PARSED[content])

    yaml_files.parse_yaml = parse_once
