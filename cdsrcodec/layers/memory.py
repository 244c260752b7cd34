"""One kind of error where memory runs out, whatever says so."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# What errors of other kinds say: torch on Linux and on Windows, oneDNN, CUDA where torch does not
# allocate, as when it begins on a full GPU, cuBLAS and cuDNN up to 8 and from 9 on, and the
# operating system in the words of torch and safetensors, which map files into memory.
_TEXTS = (
    "can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "could not create a primitive",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
    "Cannot allocate memory",
)


@contextmanager
def one_memory_error() -> Iterator[None]:
    """Within, whatever says that memory ran out becomes a MemoryError. Decorates as well."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: of Python, of a GPU, or of torch and oneDNN on the CPU."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    of_system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return known or of_system or any(text in str(error) for text in _TEXTS)
