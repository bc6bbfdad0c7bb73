"""In which settings, and in which code, revisions differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stages.tools.compare.read import Result

UNUSED = ("protocols", "protocol.variants")  # the blocks to choose from; who has which variant is listed by itself


def differing(results: Sequence[Result]) -> dict[str, list[str]]:
    """Key of params.yaml → its value in each revision as text, empty where it has none; of what one of them uses alone."""
    flat = [dict(_flat(result.settings)) for result in results]
    used = {key for result in results for key in result.runs}
    keys = [key for key in dict.fromkeys(key for one in flat for key in one) if _is_used(key, used)]
    return {
        key: shown for key in keys if len(set(shown := [_text(one[key]) if key in one else "" for one in flat])) > 1
    }


def differing_code(results: Sequence[Result]) -> list[str]:
    """Files and folders of code that prepared the data or trained, and are not the same in all revisions."""
    known = sorted({path for result in results for path in result.code})
    return [path for path in known if len({result.code.get(path) for result in results}) > 1]


def _flat(block: Mapping[str, Any], above: str = "") -> Any:
    """Pairs of a dotted key and what stands there: all but a mapping."""
    for key, value in block.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _is_used(key: str, variants: set[str]) -> bool:
    block, *rest = key.split(".")
    return not key.startswith(UNUSED) and (block != "variants" or rest[0] in variants)


def _text(value: Any) -> str:
    """As in params.yaml."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
