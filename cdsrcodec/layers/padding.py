"""Padding of pictures to what a strided network can take."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Edge-replicate (B, C, H, W) at the right and bottom until H and W divide by `multiple`."""
    height, width = x.shape[-2:]
    pad = (0, -width % multiple, 0, -height % multiple)
    return F.pad(x, pad, mode="replicate") if any(pad) else x
