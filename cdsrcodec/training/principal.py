"""A start for strided transforms: their linear path as a hierarchical principal component analysis.

From random weights a codec spends its first thousand steps on finding what a linear transform
does at once.

Source: the Karhunen-Loeve transform; the hierarchy over 2x2 blocks is that of a wavelet packet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST_TAP = 2
"""Of a 5x5 kernel with stride and padding 2: taps 2 and 3 are the 2x2 block of an output."""
_BLOCK = slice(FIRST_TAP, FIRST_TAP + 2)


@torch.no_grad()
def start_at_principal_components(
    analysis: Sequence[nn.Conv2d], synthesis: Sequence[nn.ConvTranspose2d], x: Tensor
) -> None:
    """Set the convolutions of g_a to a hierarchical PCA, and those of g_s to its transpose.

    Each layer keeps as many components of the 2x2 blocks below it as it has channels, scaled to
    a standard deviation of at most 1, which nonlinearities that are linear about 0 leave alone.
    The last layer keeps the scale of the picture: its transform is orthonormal.

    Args:
        analysis: 5x5 convolutions of stride 2, from the picture down.
        synthesis: 5x5 transposed ones of stride 2, from the picture down too.
        x: (B, 3, P, P) patches in [0, 1], P divisible by 2^len(analysis).
    """
    mean = x.mean((0, 2, 3))
    features = x - mean[:, None, None]
    scale = torch.ones(x.shape[1], dtype=x.dtype)  # what of `features` each channel is divided by
    for index, (down, up) in enumerate(zip(analysis, synthesis, strict=True)):
        unscaled = features * scale[:, None, None]
        blocks = F.pixel_unshuffle(unscaled, 2).transpose(0, 1).flatten(1)  # (4 C, positions)
        values, vectors = torch.linalg.eigh((blocks @ blocks.mT / blocks.shape[1]).double())
        order = values.argsort(descending=True)[: down.out_channels]
        basis = vectors[:, order].mT.to(x.dtype)  # rows are components
        kept = len(basis)
        is_last = index == len(analysis) - 1
        deviations = values[order].clamp(min=0).sqrt().to(x.dtype)
        new_scale = torch.ones(down.out_channels, dtype=x.dtype)
        if not is_last:
            new_scale[:kept] = deviations.clamp(min=1.0)
        inputs = features.shape[1]
        taps = basis.view(kept, inputs, 2, 2) * scale[:, None, None]
        stretch = new_scale[:kept, None, None, None]
        # What has no component stays random, and is no part of what has one: zeros there
        # learn, since what they multiply is none.
        down.weight[:kept] = 0
        down.weight[:kept, :inputs, _BLOCK, _BLOCK] = taps / stretch
        up.weight[:, :inputs] = 0
        up.weight[:kept, :inputs, _BLOCK, _BLOCK] = taps / scale[:, None, None] ** 2 * stretch
        nn.init.zeros_(_bias(down))
        nn.init.zeros_(_bias(up))
        features = (basis @ blocks).view(kept, len(x), *[s // 2 for s in features.shape[2:]])
        features = features.transpose(0, 1) / new_scale[:kept, None, None]
        scale = new_scale[:kept]
    _bias(analysis[0]).sub_(analysis[0].weight.sum((2, 3)) @ mean)
    _bias(synthesis[0]).add_(mean)


def _bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
