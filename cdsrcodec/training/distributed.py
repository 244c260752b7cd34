"""The processes that train together: one, or those that `torchrun` started."""

from __future__ import annotations

import os
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


def join_group(device: torch.device) -> Group:
    """Join the group that torchrun's environment describes; alone without one.

    Args:
        device: "cpu" trains over gloo; "cuda" takes the device of the local rank, over nccl.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Group(device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend)
    return Group(device, distributed.get_rank(), world_size)


def leave_group(group: Group) -> None:
    """Undo join_group."""
    if group.world_size > 1:
        distributed.destroy_process_group()
