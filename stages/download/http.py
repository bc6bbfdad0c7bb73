"""Download one file over HTTP: go on where it broke off, and put it in place only once it is verified.

torchvision's own download neither resumes nor gives up on a server that does not answer, and checks MD5 alone.
"""

import os
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from stages.download.published import PublishedFile, SourceFailed, WrongFile, verify

ANSWER_SECONDS = 8.0  # until a server's first answer: without a network the next source must not wait for long
READ_SECONDS = 30.0  # between two pieces of a file
ATTEMPTS = 3
PAUSE_SECONDS = 1.0
CHUNK = 1 << 16


class BrokeOff(SourceFailed):
    """A transfer that began and did not end."""


def fetch(url: str, file: PublishedFile, target: Path) -> None:
    """Download `url` to `target`, and go on from `<target>.part` if an earlier attempt left one.

    Raises SourceFailed if the server does not serve (what has come is kept for the next attempt), and WrongFile if
    the server's file is not `file` (nothing is kept).
    """
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists()
    try:
        _transfer(url, part)
        _put_in_place(file, part, target)
    except WrongFile as error:
        if not resumed:
            raise WrongFile(f"{error} (from {url})") from None
        print(f"download: {target.name} is wrong after it was resumed; starting it again", flush=True)
        fetch(url, file, target)


def _put_in_place(file: PublishedFile, part: Path, target: Path) -> None:
    """Rename `part` to `target`. Raises WrongFile, and removes `part`, if it is not the published file."""
    try:
        verify(file, part)
    except WrongFile:
        part.unlink()
        raise
    os.replace(part, target)


def _transfer(url: str, part: Path) -> None:
    """Bring `part` to its full length, in several attempts if need be."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _continue(url, part)
        except BrokeOff as error:
            if attempt == ATTEMPTS:
                raise
            print(f"download: {error}; going on from there (attempt {attempt + 1} of {ATTEMPTS})", flush=True)
            time.sleep(PAUSE_SECONDS)


def _continue(url: str, part: Path) -> None:
    """Append to `part` what it lacks; write it from the start where the server does not support ranges."""
    offset = part.stat().st_size if part.exists() else 0
    # identity: a server that packs the packed file once more would break both ranges and digests.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with _first_answer(url, headers) as response:
        status, content_range = response.status_code, response.headers.get("Content-Range", "")
        if status == requests.codes.requested_range_not_satisfiable and offset:
            return  # nothing is missing, or the part belongs to another file: the digest decides
        if status == requests.codes.partial_content and content_range.startswith(f"bytes {offset}-"):
            mode = "ab"
        elif status == requests.codes.ok:
            mode, offset = "wb", 0
        else:
            raise SourceFailed(f"answered {status} {response.reason} for {part.stem}")
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        bar = tqdm(total=total, initial=offset, desc=part.stem, unit="B", unit_scale=True)
        with part.open(mode) as out, bar:
            try:
                for piece in response.raw.stream(CHUNK, decode_content=False):
                    out.write(piece)
                    bar.update(len(piece))
            except urllib3.exceptions.HTTPError as error:
                progress = f"{out.tell()} of {total or 'unknown'} bytes"
                raise BrokeOff(f"{part.stem} broke off after {progress} ({_reason(error)})") from None


def _first_answer(url: str, headers: dict[str, str]) -> requests.Response:
    """The response, with its body unread. Raises SourceFailed if there is none within ANSWER_SECONDS.

    A thread bounds the whole: requests does not time the look-up of a name, and times each address of a server anew.
    """
    answer: Future[requests.Response] = Future()

    def ask() -> None:
        try:
            timeout = (ANSWER_SECONDS, READ_SECONDS)
            answer.set_result(requests.get(url, headers=headers, stream=True, timeout=timeout))
        except Exception as error:  # handed to the caller's thread, which raises it
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout=ANSWER_SECONDS)
    except TimeoutError:
        raise SourceFailed(f"no answer (nothing within {ANSWER_SECONDS:g} s)") from None
    except requests.RequestException as error:
        raise SourceFailed(f"no answer ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    """The innermost of the errors that requests and urllib3 wrap into each other, in few words."""
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    if isinstance(inner, BaseException):
        return _reason(inner)
    text = " ".join(str(error).split())
    return text.split(": ", 1)[-1] if text else type(error).__name__
