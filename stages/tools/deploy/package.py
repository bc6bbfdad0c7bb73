"""Pack one trained model into an archive: weights, preprocessing, class names, and the code that answers requests.

An image that has torch, numpy, pillow and pydantic answers with it, and installs nothing: `container.py`.
"""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
from PIL import Image
from safetensors.numpy import load_file

from stages.shared.prepared_data import load_constants, permutation_of, shape_of
from stages.shared.run_records import own_net_digests, own_net_files
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler
from stages.tools.deploy.choose import Choice
from stages.tools.deploy.service import ARCHIVE, START

EXAMPLE = "example.json"
READ_AT_ONCE = 1 << 20  # bytes
# The project's files that answer in SageMaker's container. Nothing else of the repository leaves this machine.
CODE = (
    "__init__.py",
    "shared/__init__.py",
    "shared/architectures",
    "shared/metrics.py",
    "shared/params",
    "shared/paths.py",
    "tools/__init__.py",
    "tools/deploy/__init__.py",
    "tools/deploy/container.py",
    "tools/deploy/handler.py",
    "tools/deploy/http_protocol.py",
    "tools/deploy/server.py",
)
# What the container needs beside these and its image may lack travels with them, at the versions of this machine: it is
# pure Python, so that it runs on another one. The image has torch, numpy, pillow and pydantic.
PACKAGES = (
    *("anyio", "click", "h11", "idna", "jaxtyping", "ruamel.yaml", "starlette", "typing-extensions", "uvicorn"),
    "wadler-lindig",
)


def package(choice: Choice, prepared: Path, runs: Path, out: Path) -> str:
    """Write model.tar.gz into `out`, and the first test image as example.json and example.png, to try the model with.

    Returns the archive's SHA-256. Equal inputs give equal bytes. Raises StageError if the weights do not fit the
    settings and the prepared data.
    """
    constants = load_constants(prepared)
    if constants["pixel_range"] != [0, 255]:
        raise StageError(
            f"{constants['title']}: its pixels are floats, and the server takes images of 8 bits; save your images as "
            "uint8 to deploy a net that is trained on them"
        )
    image = _first_test_image(prepared, constants)
    contents = {
        EXAMPLE: _json({"pixels": image.tolist()}),
        handler.MODEL: _json(_card(choice, constants)),
        handler.WEIGHTS: (runs / choice.variant / f"seed_{choice.seed}" / "weights.safetensors").read_bytes(),
        START: (Path(__file__).parent / START).read_bytes(),
        **_code(Path(__file__).parents[2]),
        **_packages(),
        **{name: file.read_bytes() for name, file in own_net_files(choice.run.architecture.own_module).items()},
    }
    (out / ARCHIVE).write_bytes(_archive(contents))
    with unpacked(out / ARCHIVE) as folder:
        try:
            handler.model_fn(folder)
        except (RuntimeError, safetensors.SafetensorError) as error:
            reason = " ".join(str(error).split())[:160]
            raise StageError(
                f"variant {choice.variant!r}, seed {choice.seed}: its weights are not those of params.yaml, "
                f"data/prepared and this code; run `dvc repro train` ({reason})"
            ) from None
    (out / EXAMPLE).write_bytes(contents[EXAMPLE])
    if image.ndim == 2 or image.shape[2] == 3:  # what a PNG can hold
        Image.fromarray(image).save((out / EXAMPLE).with_suffix(".png"))
    return digest(out / ARCHIVE)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A folder with what the archive holds, for as long as the block lasts. Raises StageError if it is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
                while tar.fileobj and tar.fileobj.read(READ_AT_ONCE):  # to the end, where gzip's checksum is
                    pass
        except FileNotFoundError:
            raise StageError(f"{archive} is missing; `python -m stages.tools.deploy package` makes it") from None
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise StageError(
                f"{archive} is damaged ({error}); `python -m stages.tools.deploy package` makes it again"
            ) from None
        if not (Path(folder) / handler.MODEL).exists():
            raise StageError(
                f"{archive} holds no {handler.MODEL}, so it is no package of this project; "
                "`python -m stages.tools.deploy package` makes one"
            )
        yield Path(folder)


def check_starts(folder: Path) -> None:
    """Raises StageError if SageMaker's container could not start this unpacked package."""
    if not (folder / START).exists():
        raise StageError(
            f"the package holds no {START}, since an earlier version of this project made it, and no container could "
            "start it; `python -m stages.tools.deploy package` makes it anew"
        )


def digest(archive: Path) -> str:
    """SHA-256, in hexadecimal digits. Raises StageError if there is no archive."""
    if not archive.exists():
        raise StageError(f"{archive} is missing; `python -m stages.tools.deploy package` makes it")
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _card(choice: Choice, constants: dict[str, Any]) -> dict[str, Any]:
    """All that model_fn reads but the weights."""
    sample = choice.run.sample
    order = permutation_of(sample, constants)
    canvas = shape_of(sample, constants)  # where images are scattered, one to classify stands in the middle
    margin = [
        edge + (size - prepared) // 2
        for edge, size, prepared in zip(constants["margin"], canvas[1:], constants["shape"][1:], strict=True)
    ]
    return {
        "description": {
            "variant": choice.variant,
            "seed": choice.seed,
            "dataset": constants["title"],
            "val_accuracy": choice.val_accuracy,
        },
        "own_net": own_net_digests(choice.run.architecture.own_module),
        "architecture": choice.run.architecture.model_dump(mode="json"),
        "canvas": list(canvas),
        "margin": margin,
        "order": None if order is None else order.tolist(),
        "classes": constants["classes"],
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _code(stages: Path) -> dict[str, bytes]:
    """Name in the package → bytes, of the modules on the list."""
    files = [
        file
        for name in CODE
        for file in ([stages / name] if (stages / name).is_file() else (stages / name).rglob("*.py"))
    ]
    return {f"stages/{file.relative_to(stages).as_posix()}": file.read_bytes() for file in files}


def _packages() -> dict[str, bytes]:
    """Name in the package → bytes, of the libraries that travel with it. Raises StageError if one is not installed."""
    reader = Path(__file__).with_name("safetensors_reader.py").read_bytes()
    contents = {"packages/safetensors/__init__.py": b"", "packages/safetensors/torch.py": reader}
    for name in PACKAGES:
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            raise StageError(f"the library {name} is not installed; `make venv` installs it") from None
        for file in files:
            if _travels(file):
                contents[f"packages/{file.as_posix()}"] = Path(str(file.locate())).read_bytes()
    return contents


def _travels(file: metadata.PackagePath) -> bool:
    """Whether a library's file is code, its licence, or says its version; else it is a program, a cache or a record."""
    named = file.name == "METADATA" or "licenses" in file.parts or file.name.startswith(("LICEN", "COPYING"))
    return ".." not in file.parts and (file.suffix == ".py" or (named and ".dist-info" in file.parts[0]))


def _archive(contents: dict[str, bytes]) -> bytes:
    """A .tar.gz without owner, time or order of its own."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(contents):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(contents[name]), 0o644
            tar.addfile(entry, io.BytesIO(contents[name]))
    return packed.getvalue()


def _first_test_image(prepared: Path, constants: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """As published, without its margin: (height, width), or (height, width, channels) where there are several."""
    above, beside = constants["margin"]
    canvas = load_file(prepared / "test.safetensors")["images"][0]
    image = canvas[:, above : canvas.shape[1] - above, beside : canvas.shape[2] - beside].transpose(1, 2, 0)
    return np.ascontiguousarray(image[:, :, 0] if len(canvas) == 1 else image)
