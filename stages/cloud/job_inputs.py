"""What a job reads, in S3 under the digest of its content: uploaded once."""

import gzip
import hashlib
import io
import tarfile
from functools import cache
from pathlib import Path

from stages.cloud import storage
from stages.cloud.account import client, errors_said
from stages.cloud.code import STAGES, code_of_job, code_of_stage
from stages.cloud.container import REQUIREMENTS
from stages.shared import paths
from stages.shared.stage_command import StageError

DATA = ("*.json", "*.safetensors")  # of data/prepared
# What training imports, beside torch, which is the image's own.
PACKAGES = (
    "annotated-types", "jaxtyping", "numpy", "pandas", "pydantic", "pydantic-core", "python-dateutil", "ruamel-yaml", "safetensors", "six", "tqdm",
    "typing-extensions", "typing-inspection", "wadler-lindig",
)  # fmt: skip


@cache
def code_digest() -> str:
    """Of the code and the package versions that the result depends on; an edit elsewhere pays for no job again."""
    total = hashlib.sha256("\n".join(_requirements()).encode())
    for file in code_of_stage():
        total.update(file.relative_to(STAGES).as_posix().encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@cache
def data_digest(prepared: Path) -> str:
    total = hashlib.sha256()
    for file in _data(prepared):
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@cache
def upload_code(folder: str) -> str:
    """folder: an S3 URI. Returns the prefix in it that holds the archive."""
    archive = code_archive()
    uri = f"{folder}/{hashlib.sha256(archive).hexdigest()[:16]}/"
    bucket, key = storage.split(f"{uri}code.tar.gz")
    if not storage.exists(f"{uri}code.tar.gz"):
        with errors_said():
            client("s3").put_object(Bucket=bucket, Key=key, Body=archive)
    return uri


@cache
def upload_data(folder: str, prepared: Path) -> str:
    """folder: an S3 URI. Returns the prefix in it that holds the prepared files; a mark beside it, written last, says that all are there."""
    uri = f"{folder}/{data_digest(prepared)[:16]}"
    bucket, key = storage.split(uri)
    if not storage.exists(f"{uri}.complete"):
        for file in _data(prepared):
            print(f"uploading {file.name}, {file.stat().st_size / 1e6:.1f} MB", flush=True)
            with errors_said():
                client("s3").upload_file(str(file), bucket, f"{key}/{file.name}")
        with errors_said():
            client("s3").put_object(Bucket=bucket, Key=f"{key}.complete", Body=b"")
    return f"{uri}/"


def code_archive() -> bytes:
    """A .tar.gz of the files of the allow-list; equal files give equal bytes."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for file in code_of_job():
            _add(archive, f"stages/{file.relative_to(STAGES).as_posix()}", file.read_bytes())
        _add(archive, REQUIREMENTS, "".join(f"{line}\n" for line in _requirements()).encode())
    return gzip.compress(tarred.getvalue(), mtime=0)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of user 0 and time 0
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _requirements() -> list[str]:
    """The pins of requirements.lock that a job needs."""
    pins = [line.split(";")[0].strip() for line in paths.LOCK.read_text(encoding="utf-8").splitlines()]
    found = [pin for pin in pins if pin.split("==")[0] in PACKAGES]
    if len(found) != len(PACKAGES):
        missing = sorted(set(PACKAGES) - {pin.split("==")[0] for pin in found})
        raise StageError(
            f"requirements.lock does not pin {', '.join(missing)}, which training needs; `make lock` writes it"
        )
    return found


def _data(prepared: Path) -> list[Path]:
    return sorted(file for pattern in DATA for file in prepared.glob(pattern))
