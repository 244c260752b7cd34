"""What is done where memory runs out: smaller tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cdsrcodec.codec.tiles import LEAST_CORE
from cdsrcodec.layers.memory import is_out_of_memory

Result = TypeVar("Result")


def in_smaller_tiles(work: Callable[[int], Result], core: int) -> Result:
    """What work(core) gives; where memory runs out it is begun anew with half the core.

    Args:
        work: runs a network in tiles whose side, without halo, it is told.
        core: to begin with.

    Raises:
        MemoryError: it runs out with tiles of LEAST_CORE too.
    """
    while True:
        try:
            return work(core)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if core <= LEAST_CORE:
                raise MemoryError(str(error)) from error
        # Out here, where the error keeps no frame of the attempt, and so no tensor of it, alive.
        core = max(LEAST_CORE, core // 2)
