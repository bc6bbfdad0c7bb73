"""The answer in the README: the first page of the published report, in its words and with its picture."""

import re
import shutil
from pathlib import Path

from stages.shared import paths
from stages.shared.stage_command import StageError
from stages.tools.reference import report, workspace

PROTOCOL = "reference"
README, PICTURE = Path("README.md"), Path("docs/answer.svg")
START = "<!-- `make readme` writes the answer from data/reference. -->"
END = "<!-- The answer ends here. -->"
FIGURE = re.compile(r'!\[(?P<caption>.*)\]\(.*fig-alt="(?P<alternative>[^"]*)"\}')


def refresh(project: Path) -> None:
    """Write the answer between its marks in the README, and its picture into docs/."""
    text = (project / README).read_text(encoding="utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        raise StageError(
            f"{README} should have the lines {START!r} and {END!r} once each; `git checkout` brings them back"
        )
    with paths.scratch_folder("readme") as root:
        block = answer(root)
        picture = root / "data" / "figures" / "figures" / "answer.svg"
        shutil.copyfile(picture, project / PICTURE)
    before, _, rest = text.partition(START)
    (project / README).write_text(f"{before}{block}{rest.partition(END)[2]}", encoding="utf-8")


def answer(root: Path) -> str:
    """The README's lines from START to END. Lays the published results and their figures out in `root`."""
    report.lay_out(PROTOCOL, root)
    for stage in ("collect", "figures"):
        workspace.run(root, stage)
    sentences, _, figure = (root / "data" / "figures" / "answer.md").read_text(encoding="utf-8").partition("\n\n")
    shown = FIGURE.match(figure)
    if shown is None:
        raise StageError("the figures stage wrote no picture of the answer")
    return f"{START}\n{sentences}\n\n![{shown['alternative']}]({PICTURE})\n\n{shown['caption']}\n{END}"
