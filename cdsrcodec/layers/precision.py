"""The number format that networks compute in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Lock

import torch
from torch import Tensor

PRECISIONS = ("auto", "fp32", "bf16")


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision to compute with: "fp32" or "bf16" as named, or what "auto" stands for.

    auto takes bf16 on a GPU that multiplies it natively, and fp32 on every CPU: one with
    AVX-512 BF16 takes longer for bf16, and loses 0.02 dB and more (docs/architecture.md).

    Raises:
        ValueError: no such precision.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    if name != "auto":
        return name
    is_native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if is_native else "fp32"


def in_precision(
    network: Callable[[Tensor], Tensor], precision: str, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """The network with its convolutions in a precision, see resolve_precision.

    fp32 is that, not TF32, and whatever autocast the caller may be in.
    """
    use_bf16 = resolve_precision(precision, device) == "bf16"

    def compute(x: Tensor) -> Tensor:
        """The network, in the precision that was chosen."""
        with full_fp32(device), torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            return network(x)

    return compute


def full_fp32(device: torch.device) -> AbstractContextManager[None]:
    """Inside, convolutions of fp32 on a GPU do not round what they multiply to TF32.

    torch lets them by default. Its switch is one for the process, so it is as it was when the
    last of the threads has left that are inside. On a CPU nothing is switched.
    """
    return _TF32 if device.type == "cuda" else nullcontext()


class Tf32Switch:
    """A switch of torch's that is off while anyone is inside.

    Args:
        holder: whose attribute it is.
        name: of the attribute.
        forbidden: the value that switches TF32 off.
    """

    def __init__(self, holder: object, name: str, forbidden: object) -> None:
        self._holder, self._name, self._forbidden = holder, name, forbidden
        self._before: object = None
        self._users = 0
        self._lock = Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = getattr(self._holder, self._name)
                setattr(self._holder, self._name, self._forbidden)
            self._users += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                setattr(self._holder, self._name, self._before)


# That of convolutions: networks here multiply nothing else. Versions of torch that have a switch
# for these alone refuse to tell the older one, of all that cuDNN does, once someone has used it.
_CUDNN = torch.backends.cudnn
_TF32 = (
    Tf32Switch(_CUDNN.conv, "fp32_precision", "ieee")
    if hasattr(_CUDNN, "conv")
    else Tf32Switch(_CUDNN, "allow_tf32", False)
)
