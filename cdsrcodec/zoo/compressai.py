"""The files that CompressAI's zoo publishes, and how they become installed models.

Names as in compressai/zoo/image.py of version 1.2.8. Each ends in the first eight hex digits of
its SHA-256.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from cdsrcodec.errors import FileAccessError, ModelError
from cdsrcodec.models import store
from cdsrcodec.models.registry import BMSHJ2018_HYPERPRIOR, CodecEntry, entries_of
from cdsrcodec.zoo.download import OnProgress, fetch
from cdsrcodec.zoo.importing import import_checkpoint
from cdsrcodec.zoo.origin import origin_of

URL_VARIABLE = "CDSRCODEC_ZOO_URL"
DEFAULT_URL = "https://compressai.s3.amazonaws.com/models/v1"
_HASHES = {
    "mse": (
        "7eb97409", "93677231", "6d87be32", "de1b779c", "f8b614e1", "1ab9c41e", "3804dcbd",
        "a583f0cf",
    ),
    "ms-ssim": (
        "5cf249be", "1ff60d1f", "92dd7878", "4377354e", "c34afc8d", "3a6d8229", "8747d3bc",
        "cc15b5f3",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ZooFile:
    """A published checkpoint."""

    name: str
    sha256_start: str
    quality: int
    metric: str


def zoo_files(metric: str) -> list[ZooFile]:
    """The checkpoints of a metric, by quality.

    Raises:
        ValueError: there are none.
    """
    if metric not in _HASHES:
        raise ValueError(f"the zoo has files for {' and '.join(_HASHES)}, not {metric}")
    infix = "" if metric == "mse" else f"-{metric}"
    return [
        ZooFile(f"{BMSHJ2018_HYPERPRIOR}{infix}-{quality}-{start}.pth.tar", start, quality, metric)
        for quality, start in enumerate(_HASHES[metric], 1)
    ]


def installed_from(file: ZooFile) -> CodecEntry | None:
    """The installed model that was made of a published checkpoint, if there is one."""
    for entry in entries_of(BMSHJ2018_HYPERPRIOR, file.metric):
        sha256 = origin_of(entry).sha256 or ""
        if entry.quality == file.quality and sha256.startswith(file.sha256_start):
            return entry
    return None


def pull(file: ZooFile, on_progress: OnProgress | None = None) -> CodecEntry:
    """Download a published checkpoint and install it; the checkpoint itself is not kept then.

    What could not be installed, on a full disk, is kept, and not downloaded by the next call.

    The environment variable CDSRCODEC_ZOO_URL names another server to take it from.

    Another process that pulls the same one is waited for; then there is nothing left to do.

    Raises:
        FileAccessError: it cannot be downloaded or stored.
        ModelError: other bytes than were published, or not a checkpoint.
    """
    base_url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if not _is_web_address(base_url):
        raise ModelError(f"{URL_VARIABLE}={base_url}: not an address. hint: https://SERVER/FOLDER")
    url = f"{base_url.rstrip('/')}/{file.name}"
    with _download_of(file) as checkpoint:
        if entry := installed_from(file):
            return entry
        fetch(url, checkpoint, sha256_start=file.sha256_start, on_progress=on_progress)
        try:
            entry = import_checkpoint(checkpoint, BMSHJ2018_HYPERPRIOR, file.quality, file.metric)
        except ModelError:  # it will never be of use; where it cannot be stored, the next call can
            checkpoint.unlink(missing_ok=True)
            raise
        checkpoint.unlink(missing_ok=True)
        return entry


def _is_web_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:  # brackets that hold no address
        return False


@contextmanager
def _download_of(file: ZooFile) -> Iterator[Path]:
    """Where a checkpoint is to be put: within, this process alone does so.

    The lock is the operating system's, so that of a process that was killed only an empty
    file remains, which locks nothing.
    """
    folder = store.home_folder() / "downloads"
    lock = FileLock(folder / f"{file.name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise FileAccessError(
            f"{folder}: cannot be made: {error.strerror}. "
            f"hint: name another folder in {store.HOME_VARIABLE}"
        ) from error
    try:
        yield folder / file.name
    finally:
        lock.release()
