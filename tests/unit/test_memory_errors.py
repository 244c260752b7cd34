"""Memory that runs out while weights are read: one kind of error, whoever reads them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from cdsrcodec.codec.loading import latent_upscaler
from cdsrcodec.layers.memory import is_out_of_memory
from cdsrcodec.layers.state_files import read_state
from cdsrcodec.sr.enlargers import load_enlarger
from cdsrcodec.sr.esrgan import load_esrgan
from cdsrcodec.sr.registry import UPSCALERS
from cdsrcodec.training.codec_recipe import TrainableCdsr1, load_network
from cdsrcodec.training.storage import fill_network, read_checkpoint

CPU = torch.device("cpu")
FILE = Path("weights.safetensors")
# As the libraries said it when the address space was limited; safetensors of another release.
ERRORS = {
    "mapping": RuntimeError("unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)"),
    "torch": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "gpu": torch.OutOfMemoryError("CUDA out of memory"),
    "system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "safetensors": SafetensorError("I/O error: Cannot allocate memory (os error 12)"),
    "python": MemoryError("Cannot allocate memory (os error 12)"),
}
# What reads a file, and the step of it that needs the memory.
READERS: dict[str, tuple[str, Callable[[], object]]] = {
    "codec": (
        "cdsrcodec.codec.loading.safe_open",
        lambda: latent_upscaler.__wrapped__(UPSCALERS[0], CPU),
    ),
    "enlarger": ("cdsrcodec.sr.enlargers.safe_open", lambda: load_enlarger("edsr", FILE)),
    "safetensors": ("cdsrcodec.layers.state_files.load_file", lambda: read_state(FILE)),
    "pickle": ("torch.load", lambda: read_state(Path("weights.pth"))),
    "checkpoint": ("torch.load", lambda: read_checkpoint(Path("checkpoint.pt"), CPU)),
    "start of a codec": (
        "cdsrcodec.training.codec_recipe.load_file",
        lambda: load_network(TrainableCdsr1(), FILE),
    ),
    "start of a training": (
        "cdsrcodec.training.storage.load_file",
        lambda: fill_network(nn.Identity(), FILE, hint="take another"),
    ),
}


def raising(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("reader", READERS)
def test_weights_that_there_is_no_room_for_are_not_called_unreadable(
    monkeypatch: pytest.MonkeyPatch, reader: str, error: Exception
) -> None:
    step, read = READERS[reader]
    monkeypatch.setattr(step, raising(error))
    with pytest.raises(MemoryError, match="memory"):
        read()


def test_weights_that_there_is_no_room_for_in_float32_are_not_called_those_of_another_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / FILE)
    monkeypatch.setattr("cdsrcodec.sr.esrgan._renamed", raising(ERRORS["torch"]))
    with pytest.raises(MemoryError, match="can't allocate"):
        load_esrgan(tmp_path / FILE)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), RuntimeError("shapes")])
def test_other_errors_are_not_about_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)
