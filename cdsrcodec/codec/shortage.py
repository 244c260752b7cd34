"""What is done where memory runs out: smaller tiles, and in the end one kind of error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from cdsrcodec.codec.tiles import LEAST_CORE

Result = TypeVar("Result")
# What plain RuntimeErrors say: torch on Linux and on Windows, oneDNN, cuBLAS and cuDNN.
_TEXTS = (
    "can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "could not create a primitive",
    "_STATUS_ALLOC_FAILED",
)


def in_smaller_tiles(work: Callable[[int], Result], core: int) -> Result:
    """What work(core) gives; where memory runs out it is begun anew with half the core.

    Args:
        work: runs a network in tiles whose side, without halo, it is told.
        core: to begin with.

    Raises:
        MemoryError: it runs out with tiles of LEAST_CORE too.
    """
    while True:
        try:
            return work(core)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if core <= LEAST_CORE:
                raise MemoryError(str(error)) from error
        # Out here, where the error keeps no frame of the attempt, and so no tensor of it, alive.
        core = max(LEAST_CORE, core // 2)


@contextmanager
def one_memory_error() -> Iterator[None]:
    """Within, whatever says that memory ran out becomes a MemoryError. Decorates as well."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: of Python, of a GPU, or of torch and oneDNN on the CPU."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(text in str(error) for text in _TEXTS)
