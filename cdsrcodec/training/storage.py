"""Files of a run: written whole or not at all, and read without running what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cdsrcodec.errors import FileAccessError, TrainingError
from cdsrcodec.imageio.writer import write_bytes
from cdsrcodec.layers.memory import one_memory_error


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Within, what torch and the system raise on a full disk, say, is one error.

    Raises:
        FileAccessError: in the place of theirs.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise FileAccessError(
            f"{path}: cannot be written: {reason.splitlines()[0]}. "
            "hint: name another folder, or make room on the disk"
        ) from error


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file; save_file would give it to its owner alone.

    Raises:
        FileAccessError: it cannot be written.
    """
    write_bytes(save(tensors, metadata), path)


def read_metadata(file: Path, *, hint: str) -> dict[str, str]:
    """What a safetensors file says of its tensors.

    Raises:
        TrainingError: no such file; with the hint.
    """
    with _reading_errors(file, hint), safe_open(file, "pt") as opened:
        return opened.metadata() or {}


def tensor_names(file: Path, *, hint: str) -> set[str]:
    """The names of the tensors of a safetensors file.

    Raises:
        TrainingError: no such file; with the hint.
    """
    with _reading_errors(file, hint), safe_open(file, "pt") as opened:
        return set(opened.keys())


def fill_network(network: nn.Module, file: Path, *, hint: str) -> None:
    """Fill a network from a safetensors file of all its tensors, whatever their precision.

    Raises:
        TrainingError: no such file, or of another network; with the hint.
        MemoryError: there is no room for them.
    """
    with _reading_errors(file, hint), one_memory_error():
        network.load_state_dict({k: v.float() for k, v in load_file(file).items()})


@contextmanager
def _reading_errors(file: Path, hint: str) -> Iterator[None]:
    """Within, whatever tells that a file holds no weights, or others, is one error.

    Raises:
        TrainingError: in the place of theirs.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrainingError(f"{file}: not weights of this network. hint: {hint}") from error


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and containers of them.

    Raises:
        FileAccessError: it cannot be written; an older checkpoint stays, and nothing else does.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # with_suffix may name a file of the user's
    with writing_errors(path):
        try:
            torch.save(state, temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What write_checkpoint wrote; a pickle that would run code is refused.

    Raises:
        TrainingError: the file is damaged, or no checkpoint.
        MemoryError: there is no room for it.
    """
    try:
        with one_memory_error():
            state = torch.load(path, map_location=device, weights_only=True)
    except MemoryError:
        raise
    # On damaged bytes torch raises about every exception there is: a KeyError for a text.
    except Exception as error:
        raise TrainingError(
            f"{path}: not a checkpoint, or a damaged one. hint: remove it to start anew"
        ) from error
    if not isinstance(state, dict):
        raise TrainingError(f"{path}: not a checkpoint of a run. hint: remove it to start anew")
    return state
