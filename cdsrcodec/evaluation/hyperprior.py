"""The codec of the super-resolution studies: bmshj2018-hyperprior as CompressAI trained it.

Its weights are not ours to ship: it runs where torch's cache has those that CompressAI fetches.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsrcodec.evaluation.digests import file_sha256
from cdsrcodec.evaluation.scales import Scale

if TYPE_CHECKING:
    import numpy as np
    from compressai.models import ScaleHyperprior
    from numpy.typing import NDArray
    from torch import Tensor

NAME = "bmshj2018-hyperprior"
QUALITIES = tuple(range(1, 9))
SCALE = Scale(QUALITIES[0], QUALITIES[-1], 1, QUALITIES)
MULTIPLE_PX = 64
# Height, width, quality, bytes of y; those of z are the rest.
HEADER = struct.Struct("<HHBI")


@dataclass(frozen=True)
class HyperpriorCodec:
    """Scale hyperprior (Balle et al. 2018, arXiv:1802.01436), trained for MSE, a network a quality.

    A stream is a header of 9 bytes, the string of y and that of z.
    """

    name: str = NAME
    device: str = "auto"
    scale: Scale = SCALE

    def encode(self, x: NDArray[np.uint8], quality: float) -> bytes:
        """The stream of x (H, W, 3)."""
        import torch

        from cdsrcodec.layers.padding import pad_to_multiple

        # A copy: Pillow's arrays are read-only, which torch warns of.
        unit = torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255
        network, device = _network(round(quality), self.device)
        with torch.inference_mode():
            coded = network.compress(pad_to_multiple(unit, MULTIPLE_PX).to(device))
        y_string: bytes
        z_string: bytes
        y_string, z_string = (strings[0] for strings in coded["strings"])
        head = HEADER.pack(*x.shape[:2], round(quality), len(y_string))
        return head + y_string + z_string

    def decode(self, stream: bytes) -> NDArray[np.uint8]:
        """The picture of a stream that `encode` made, (H, W, 3)."""
        import torch

        height_px, width_px, quality, y_bytes = HEADER.unpack_from(stream)
        y_end = HEADER.size + y_bytes
        strings = [[stream[HEADER.size : y_end]], [stream[y_end:]]]
        z_size = [-(-side // MULTIPLE_PX) for side in (height_px, width_px)]
        network, _ = _network(quality, self.device)
        with torch.inference_mode():
            x_hat: Tensor = network.decompress(strings, z_size)["x_hat"]
        samples = (255 * x_hat[0, :, :height_px, :width_px]).round().clamp(0, 255).byte()
        pixels: NDArray[np.uint8] = samples.permute(1, 2, 0).cpu().numpy()
        return pixels

    def describe(self) -> dict[str, Any]:
        """All that decides its files and pictures, for keys and reports."""
        from importlib.metadata import version

        return {
            "codec": self.name,
            "device": self.device,
            "library": version("compressai"),
            "weights": {path.name: file_sha256(path) for path in map(checkpoint, QUALITIES)},
        }

    def missing(self) -> str | None:
        """What it lacks to run here; None for nothing."""
        absent = [path for path in map(checkpoint, QUALITIES) if not path.is_file()]
        if not absent:
            return None
        return f"{absent[0].parent} has no {absent[0].name}, which CompressAI's zoo fetches"


def checkpoint(quality: int) -> Path:
    """Where torch keeps the weights of a quality once CompressAI fetched them."""
    import torch
    from compressai.zoo.image import model_urls

    url: str = model_urls[NAME]["mse"][quality]
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


@lru_cache(maxsize=len(QUALITIES))
def _network(quality: int, device: str) -> tuple[ScaleHyperprior, Any]:
    """The network of a quality, and the device that it is on."""
    from compressai.zoo import bmshj2018_hyperprior

    from cdsrcodec.codec import resolve_device

    # The file is there, see `missing`: nothing is fetched.
    network: ScaleHyperprior = bmshj2018_hyperprior(quality, metric="mse", pretrained=True)
    torch_device = resolve_device(device)
    return network.eval().to(torch_device), torch_device
