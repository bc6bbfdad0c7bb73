"""One file over HTTP: resumed where it broke off, and put in place only once it is verified."""

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from stages.download.verify import PublishedFile, SourceFailed, WrongFile, verify

ANSWER_SECONDS = 8.0  # until a server's first answer: a machine without a network must not wait for long
READ_SECONDS = 30.0  # between two pieces of a file
ATTEMPTS = 3
PAUSE_SECONDS = 1.0
CHUNK = 1 << 16


class Interrupted(SourceFailed):
    """A transfer that began and broke off."""


def fetch(url: str, file: PublishedFile, target: Path) -> None:
    """Download `url` to `target`, going on from `<target>.part` if an earlier try left one.

    Raises SourceFailed if the server does not serve (what has come is kept for the next try), WrongFile if what it
    serves is not `file` (nothing is kept).
    """
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists()
    for clean in (not resumed, True):
        try:
            _transfer(url, part)
            verify(file, part)
        except WrongFile as error:
            part.unlink()
            if clean:
                raise WrongFile(f"{error} (from {url})") from None
            print(f"download: {target.name} is wrong after it was resumed; starting it again", flush=True)
        else:
            os.replace(part, target)
            return


def _transfer(url: str, part: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _continue(url, part)
        except Interrupted as error:
            if attempt == ATTEMPTS:
                raise
            print(f"download: {error}; going on from there (attempt {attempt + 1} of {ATTEMPTS})", flush=True)
            time.sleep(PAUSE_SECONDS)


def _continue(url: str, part: Path) -> None:
    """Append to `part` what it lacks; write it anew where the server knows no ranges."""
    offset = part.stat().st_size if part.exists() else 0
    # identity: a server that packs the packed file once more would break both ranges and digests.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with _answer(url, headers) as response:
        status, given = response.status_code, response.headers.get("Content-Range", "")
        if status == requests.codes.requested_range_not_satisfiable and offset:
            return  # nothing is missing, or the part is not of this file: the digest decides
        if status == requests.codes.partial_content and given.startswith(f"bytes {offset}-"):
            mode = "ab"
        elif status == requests.codes.ok:
            mode, offset = "wb", 0
        else:
            raise SourceFailed(f"answered {status} {response.reason} for {part.stem}")
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        with (
            part.open(mode) as out,
            tqdm(total=total, initial=offset, desc=part.stem, unit="B", unit_scale=True) as bar,
        ):
            try:
                for piece in response.raw.stream(CHUNK, decode_content=False):
                    out.write(piece)
                    bar.update(len(piece))
            except urllib3.exceptions.HTTPError as error:
                raise Interrupted(
                    f"{part.stem} broke off after {out.tell()} of {total or 'unknown'} bytes ({_reason(error)})"
                ) from None


def _answer(url: str, headers: dict[str, str]) -> requests.Response:
    """The response, its body unread. Raises SourceFailed if there is none in ANSWER_SECONDS."""
    try:
        return _within(
            ANSWER_SECONDS,
            lambda: requests.get(url, headers=headers, stream=True, timeout=(ANSWER_SECONDS, READ_SECONDS)),
        )
    except requests.RequestException as error:
        raise SourceFailed(f"no answer ({_reason(error)})") from None


def _within(seconds: float, call: Callable[[], requests.Response]) -> requests.Response:
    """What `call` returns. Looking up a name knows no timeout, and each address has its own: this bounds them together."""
    results: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put(call())
        except Exception as error:  # handed to the caller's thread, which raises it
            results.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise requests.ConnectTimeout(f"nothing within {seconds:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def _reason(error: Exception) -> str:
    """The cause at the bottom of a chain of wrapped errors, in few words."""
    seen: BaseException = error
    while (inner := getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)) and isinstance(
        inner, BaseException
    ):
        seen = inner
    text = " ".join(str(seen).split())
    return text.split(": ", 1)[-1] if text else type(seen).__name__
