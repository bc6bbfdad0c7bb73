"""Archives that are made to write outside their folder, for every part of the project that unpacks one."""

import io
import tarfile
from pathlib import Path

OUTSIDE = "owned"  # no archive may make a file of this name outside its folder


def member(name, content=b"x", **changes):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in changes.items():
        setattr(entry, field, value)
    return entry, content if entry.isreg() else b""


def hostile(folder):
    """Each way out of the folder that a tar archive knows."""
    return {
        "above": [member(f"../{OUTSIDE}")],
        "absolute": [member(f"{folder / OUTSIDE}")],
        "through a link": [member("way", b"", type=tarfile.SYMTYPE, linkname=".."), member(f"way/{OUTSIDE}")],
        "a link to a file": [member("model.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")],
        "a hard link": [member("model.json", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
        "a device": [member("model.json", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    }


WAYS = sorted(hostile(Path("/")))


def packed(path, entries):
    with tarfile.open(path, "w:gz") as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))
    return path


def nothing_outside(folder):
    """Whether no file was written above the test's folder, nor in / and /tmp."""
    return not [
        path for path in (*folder.parent.rglob(OUTSIDE), Path("/", OUTSIDE), Path("/tmp", OUTSIDE)) if path.exists()
    ]
