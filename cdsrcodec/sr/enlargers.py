"""The 4x networks of pixels by name, and their weights out of a file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from cdsrcodec.errors import ModelError
from cdsrcodec.layers.memory import one_memory_error
from cdsrcodec.layers.state_files import cannot_be_read
from cdsrcodec.sr.edsr import Edsr
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger
from cdsrcodec.sr.srresnet import SrResNet
from cdsrcodec.sr.wdsr import Wdsr

NETWORKS: dict[str, type[PixelEnlarger]] = {"edsr": Edsr, "wdsr": Wdsr, "srgan": SrResNet}
NETWORK_KEY = "network"
"""Of a weight file's metadata: the network's name in NETWORKS."""


@torch.inference_mode(False)
def load_enlarger(network: str, file: Path) -> PixelEnlarger:
    """A network with the weights that `cdsrcodec train export` wrote, in float32 on the CPU.

    Args:
        network: a name in NETWORKS.
        file: safetensors, with the network's name in its metadata.

    Raises:
        ModelError: no such file, or weights of another network.
        MemoryError: there is no room for them.
    """
    try:
        with one_memory_error(), safe_open(file, "pt") as opened:
            found = (opened.metadata() or {}).get(NETWORK_KEY)
            state = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{cannot_be_read(file)}. "
            "hint: name an enlarger.safetensors that cdsrcodec train export wrote"
        ) from error
    hint = "hint: train and export that network, or use another --upscaler"
    if found != network:
        found = found or "something else"
        raise ModelError(f"{file}: not the exported weights of {network}, but of {found}. {hint}")
    with torch.device("meta"):
        enlarger = NETWORKS[network]()
    try:
        enlarger.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ModelError(f"{file}: not the tensors of {network}. {hint}") from error
    return enlarger
