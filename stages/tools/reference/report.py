"""Render the report of a bundle, without training anything."""

import os
import shutil
from pathlib import Path

from stages.shared import paths
from stages.tools.reference import bundle, workspace


def render(protocol: str, out: Path) -> None:
    """Write index.html and report.pdf of the published results into the folder `out`.

    Raises StageError if the bundle is not whole.
    """
    with paths.scratch_folder("reference-report") as root:
        lay_out(protocol, root)
        for stage in ("collect", "figures", "render"):
            workspace.run(root, stage)
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        os.replace(root / "data" / "report", out)


def lay_out(protocol: str, root: Path) -> None:
    """Lay the bundle out as a workspace in which every run is trained and probed."""
    folder, data = bundle.folder(protocol), root / "data"
    settings, hypotheses = (folder / name for name in bundle.SETTINGS)
    available = bundle.finished_variants(protocol)
    workspace.lay_out(root, settings, hypotheses, protocol, available)
    bundle.unpack_data(protocol, data)
    bundle.unpack_variants(protocol, available, data)
    bundle.unpack_nets(protocol, data)
    (data / "declared").mkdir(exist_ok=True)
    shutil.copyfile(folder / f"{protocol}.json", data / "declared" / f"{protocol}.json")
    machines = {variant: row for variant, row in bundle.trained_on(protocol).items() if variant in available}
    bundle.write_trained_on(machines, data / paths.TRAINED_ON.name)
