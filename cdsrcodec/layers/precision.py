"""The number format that networks compute in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PRECISIONS = ("auto", "fp32", "bf16")


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision to compute with: "fp32" or "bf16" as named, or what "auto" stands for.

    auto takes bf16 where the hardware multiplies it natively; an emulated bf16 is
    slower than fp32.

    Raises:
        ValueError: no such precision.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # Early versions of torch cannot tell.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    native = any(capabilities.get(kind) for kind in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bf16" if native else "fp32"


def in_precision(
    network: Callable[[Tensor], Tensor], precision: str, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """The network with its convolutions in a precision, see resolve_precision."""
    use_bf16 = resolve_precision(precision, device) == "bf16"

    def compute(x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            return network(x)

    return compute
