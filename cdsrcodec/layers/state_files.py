"""Files of weights that a user brings, read without running what is in them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from cdsrcodec.errors import ModelError
from cdsrcodec.layers.memory import one_memory_error

_WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys of training checkpoints that the weights stand under."""


def cannot_be_read(file: Path) -> str:
    """What to say of a file of weights that could not be read: also why, if it cannot be opened."""
    try:
        file.open("rb").close()
    except OSError as error:
        return f"{file}: the weights cannot be read: {error.strerror}"
    return f"{file}: the weights cannot be read"


def read_state(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a .safetensors file or of what torch.save wrote, on the CPU.

    Raises:
        ModelError: it cannot be read, would run code, or holds other things than named tensors.
        MemoryError: there is no room for them.
    """
    try:
        # The warnings are of a pickle's age.
        with one_memory_error(), warnings.catch_warnings(action="ignore"):
            if file.suffix.lower() == ".safetensors":
                return load_file(file)
            state = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # On damaged bytes torch raises about every exception there is.
    except Exception as error:
        raise ModelError(
            f"{cannot_be_read(file)}. hint: a .pth or .safetensors file of tensors"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and wrapper in state:
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise ModelError(f"{file}: holds no weights. hint: a .pth or .safetensors file of tensors")
    return state
