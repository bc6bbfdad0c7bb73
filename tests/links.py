"""Dead links: every relative link and anchor of the Markdown files leads to something that is there.

`python tests/links.py` prints what does not resolve and exits 1. Only the form of addresses on the network is checked:
a check that asks other servers fails for reasons that are not ours.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlparse

import pypandoc

ROOT = Path(__file__).parents[1]


def main() -> None:
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    dead = [f"{file.relative_to(ROOT)}: {target}" for file in files for target in dead_links(file)]
    if dead:
        sys.exit("dead links:\n" + "\n".join(dead))
    print(f"links: {len(files)} Markdown files, none dead")


def dead_links(file: Path) -> list[str]:
    return [target for target in contents(file)[0] if is_dead(file, target)]


def is_dead(file: Path, target: str) -> bool:
    address = urlparse(target)
    if address.scheme in ("http", "https"):
        return "." not in address.netloc
    if address.scheme == "mailto":
        return False
    path = (file.parent / unquote(address.path)).resolve() if address.path else file
    if not path.exists():
        return True
    return bool(address.fragment) and path.suffix == ".md" and unquote(address.fragment) not in contents(path)[1]


@cache
def contents(file: Path) -> tuple[list[str], set[str]]:
    """The targets of a file's links and images, and the ids of its headings, as GitHub makes them."""
    targets, ids = [], set()
    nodes = json.loads(pypandoc.convert_file(str(file), "json", format="gfm"))["blocks"]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            nodes.append(node.get("c"))
            if node.get("t") in ("Link", "Image"):
                targets.append(node["c"][2][0])
            elif node.get("t") == "Header":
                ids.add(node["c"][1][0])
    return sorted(targets), ids


if __name__ == "__main__":
    main()
