"""Which program renders: Quarto, or pandoc and typst as pip has installed them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stages.render import embedded, quarto
from stages.shared.stage_command import StageError

VARIABLE = "REPORT_RENDERER"
# Each takes an assembled project and writes index.html and report.pdf into the second folder.
RENDERERS: dict[str, Callable[[Path, Path], None]] = {"quarto": quarto.render, "embedded": embedded.render}


def choose() -> str:
    """The renderer that the environment names, else Quarto where it is on PATH; says on stdout which, and why.

    Raises StageError if the name is unknown, or if Quarto is asked for and not there.
    """
    named, found = os.environ.get(VARIABLE, ""), shutil.which("quarto")
    if named and named not in RENDERERS:
        raise StageError(
            f"{VARIABLE}={named!r} is not one of {', '.join(RENDERERS)}; unset it, and what is installed decides"
        )
    if named == "quarto" and not found:
        raise StageError(
            f"{VARIABLE}=quarto, but no `quarto` is on PATH; install it from quarto.org, or set {VARIABLE}=embedded"
        )
    chosen = named or ("quarto" if found else "embedded")
    reason = f"{VARIABLE} says so" if named else f"found {found}" if found else "no `quarto` on PATH"
    print(f"render: with the {chosen} renderer ({reason})", flush=True)
    return chosen
