"""The processes that train together: one, or those that `torchrun` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Group:
    """This process among those of the run.

    Attributes:
        device: where this process trains.
        rank: 0..world_size-1; rank 0 writes the files.
        world_size: number of processes.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module itself, or in DistributedDataParallel when there are several processes."""
        if self.world_size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def agree(self, value: float) -> float:
        """Rank 0's value, on every rank: clocks differ, the end of a run must not."""
        if self.world_size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return float(shared)


def is_first_process() -> bool:
    """Whether this process is the one that speaks and writes: rank 0, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined_group(device: torch.device) -> Iterator[Group]:
    """The group that torchrun's environment describes, left at the end; alone without one.

    Args:
        device: "cpu" trains over gloo; "cuda" takes the device of the local rank, over nccl.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(device, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
