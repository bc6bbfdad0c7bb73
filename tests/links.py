"""Dead links: every relative link and anchor of the Markdown files points to something that is there.

`python tests/links.py` prints what does not resolve and exits 1. Addresses on the network are only checked for their
form: a check that asks other people's servers fails for reasons that are not ours.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchor(heading: str) -> str:
    """GitHub's id of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def dead_links(file: Path) -> list[str]:
    dead = []
    for target in LINK.findall(CODE.sub("", file.read_text())):
        address = urlparse(target)
        if address.scheme in ("http", "https"):
            if "." not in address.netloc:
                dead.append(target)
            continue
        if address.scheme == "mailto":
            continue
        path = (file.parent / address.path).resolve() if address.path else file
        if not path.exists():
            dead.append(target)
        elif address.fragment and path.suffix == ".md":
            headings = re.findall(r"^#+\s+(.*)$", path.read_text(), re.MULTILINE)
            if address.fragment not in map(anchor, headings):
                dead.append(target)
    return dead


def main() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.splitlines()]
    dead = [f"{file.relative_to(ROOT)}: {target}" for file in files for target in dead_links(file)]
    if dead:
        sys.exit("dead links:\n" + "\n".join(dead))
    print(f"links: {len(files)} Markdown files, none dead")


if __name__ == "__main__":
    main()
