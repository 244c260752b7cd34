"""Fetches a file over HTTP into place: resumed where it was broken off, checked, all or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cdsrcodec.errors import FileAccessError, ModelError

OnProgress = Callable[[int, int], None]
"""Told the bytes that are here and the bytes in all."""

TIMEOUT_S = 30.0  # without a byte
MAX_BYTES = 256 << 20
"""The zoo's largest file has a fifth of it; a server must not fill the disk."""
PART_SUFFIX = ".part"
_BLOCK_BYTES = 1 << 18
_HTTP_PARTIAL, _HTTP_NOT_SATISFIABLE = 206, 416
_HINT = "hint: try again later, or get the file elsewhere and cdsrcodec models import it"


def fetch(
    url: str, target: Path, *, sha256_start: str, on_progress: OnProgress | None = None
) -> None:
    """Download a file whose hash is known.

    What has come is kept beside the target in a .part file, from which the next call goes on.
    The target appears only when its size and hash are right. One that is there already, and
    right, is left.

    Args:
        url: http or https.
        target: its folder exists, and no other process fetches it.
        sha256_start: hex digits that the SHA-256 of the file begins with.
        on_progress: called for each block.

    Raises:
        FileAccessError: the server cannot be reached or does not give the file, the connection
            breaks off, or the disk is full.
        ModelError: other bytes than expected have come; they are not kept.
    """
    part = target.with_name(target.name + PART_SUFFIX)
    with _access_errors(url):
        if target.exists() and _sha256(target).startswith(sha256_start):
            return
        _complete(url, part, on_progress)
        sha256 = _sha256(part)
        if not sha256.startswith(sha256_start):
            part.unlink()
            raise ModelError(
                f"{url}: not the bytes that were published: their SHA-256 begins with "
                f"{sha256[: len(sha256_start)]}, not {sha256_start}. hint: try again"
            )
        part.replace(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complete(url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Bring the .part file to the size that the server says."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code != _HTTP_NOT_SATISFIABLE or not start:
            raise
        return  # the part is whole already, or the hash will tell
    with response:
        if response.status != _HTTP_PARTIAL:
            start = 0  # the server gives the whole file, whatever was asked for
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise FileAccessError(f"{url}: the server does not tell the size. {_HINT}")
        total = start + int(length)
        if total > MAX_BYTES:
            raise FileAccessError(f"{url}: {total} bytes are no model of the zoo. {_HINT}")
        with part.open("ab") as file:
            file.truncate(start)
            received = start + _receive(response, file, start, total, on_progress)
    if received < total:
        raise FileAccessError(
            f"{url}: the connection broke off after {received} of {total} bytes. "
            "hint: the same command goes on from there"
        )


def _receive(
    response: HTTPResponse, file: BinaryIO, start: int, total: int, on_progress: OnProgress | None
) -> int:
    """Append what comes to the file, and give the number of its bytes."""
    received = 0
    while block := response.read(_BLOCK_BYTES):
        file.write(block)
        received += len(block)
        if on_progress is not None:
            on_progress(start + received, total)
    return received


@contextmanager
def _access_errors(url: str) -> Iterator[None]:
    """One line for all that can go wrong between here, the server and the disk."""
    try:
        yield
    except FileAccessError:
        raise
    except HTTPError as error:
        raise FileAccessError(
            f"{url}: the server says {error.code} {error.reason}. {_HINT}"
        ) from error
    except (OSError, HTTPException, UnicodeError) as error:  # the latter of names that are no hosts
        raise FileAccessError(f"{url}: cannot be fetched: {_reason(error)}. {_HINT}") from error


def _reason(error: Exception) -> str:
    """In one line; an URLError has the error itself in it."""
    cause = getattr(error, "reason", error)
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())
