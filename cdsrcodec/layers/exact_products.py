"""Whether float32 matrix products are what IEEE 754 says, in this process and at this moment.

They need not be: torch.set_float32_matmul_precision, the fp32_precision of torch's backends and
oneDNN's DNNL_DEFAULT_FPMATH_MODE let a product round its factors to bf16 or TF32, on the machines
that have such units. So it is tried, with integers that any rounding changes.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# Large enough that no library takes another way through it than through those of a layer.
_SIDE, _INNER = 128, 224


def float32_is_exact() -> bool:
    """Whether a product of integers with sums just below 2^24 is right; takes 0.2 ms."""
    left, right, expected = _trial()
    return torch.equal(torch.zeros_like(expected).addmm_(left, right), expected)


# Tensors of inference mode could not be used outside of it.
@cache
@torch.inference_mode(False)
def _trial() -> tuple[Tensor, Tensor, Tensor]:
    """Two factors and their product, which takes all 24 bits of float32.

    Along a diagonal stand 12 and 13 bits in one factor and 12 and 11 in the other: more than
    bf16, fp16 or TF32 keep of either. The rest is small, and as odd as even.
    """
    numbers = torch.Generator().manual_seed(0)
    left = torch.randint(-5, 6, (_SIDE, _INNER), generator=numbers)
    right = torch.randint(-5, 6, (_INNER, _SIDE), generator=numbers)
    at = torch.arange(_SIDE)
    left[at, at] = torch.where(at % 2 == 0, 4095, 8191)
    right[at, at] = torch.where(at % 2 == 0, 4095, 2047)
    return left.float(), right.float(), (left @ right).float()
