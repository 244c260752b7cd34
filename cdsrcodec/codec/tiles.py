"""Tile sizes of the networks, and how they fit into a limit of memory.

In latent positions of 16 px, and in pixels for the upscalers of pixels.

Receptive fields, one side: of cdsr1 g_a 136 px = 8.5 positions, g_s 9.5, the latent
upscaler 10.6 with a trunk of 6 blocks and 1/8 more for each further block; of
bmshj2018-hyperprior g_a 30 px = 1.9, g_s 1.9, the latent upscaler of the one with gains 3.

RRDBNet's receptive field is over 350 px, but what is far counts next to nothing: with a
halo of 32 px a photograph in tiles differed from it in one piece by 3 grey levels at
most, by more than one in 0.06 % of the samples; with the usual 10 px by up to 36.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral

from cdsrcodec.errors import LimitError
from cdsrcodec.models.registry import (
    BMSHJ2018_HYPERPRIOR,
    BMSHJ2018_HYPERPRIOR_GAIN,
    CDSR1,
)
from cdsrcodec.models.walking import TILE_CORE

LEAST_CORE = 8
# Python, torch and the weights: 0.71 GB; and what the allocator keeps of tiles that were freed.
PROGRAM_BYTES = 880_000_000
# For each pixel: 8-bit RGB, and that beside the same as Pillow holds it, alpha or not.
PIXEL_BYTES = 3
ASSEMBLED_BYTES = 7
# For each native pixel: an alpha plane, which waits meanwhile.
ALPHA_BYTES = 1


# With the halo of a step; what h_s takes of a tile, with its larger halo, is less.
_WALK_SIDE = TILE_CORE + 2


@dataclass(frozen=True)
class Tiling:
    """How a network goes through a picture.

    Attributes:
        core: side of a tile without its halo, where memory has no limit.
        halo: at least the receptive field.
        bytes_per_position: of main memory that the network takes at its peak, for each
            position of a tile with its halo; measured, with a tenth to spare.
    """

    core: int
    halo: int
    bytes_per_position: int

    def least_bytes(self, size: tuple[int, int]) -> int:
        """Memory of the network with the least tiles of a picture of (height, width) positions."""
        height, width = (min(side, LEAST_CORE + 2 * self.halo) for side in size)
        return self.bytes_per_position * height * width

    def within(
        self,
        max_memory_bytes: int | None,
        held_bytes: int,
        size: tuple[int, int],
        *,
        elsewhere_bytes: int = 0,
    ) -> Tiling:
        """The same network in tiles as large as a limit of memory allows, and no larger ones.

        Args:
            max_memory_bytes: for the whole process; None for no limit.
            held_bytes: what the process holds besides while the network runs, without
                the program itself.
            size: height and width of what it runs over, in positions.
            elsewhere_bytes: what another part of the work needs, before or after the network.

        Raises:
            LimitError: the least tiles or the other part do not fit; the message says what would.
        """
        if max_memory_bytes is None:
            return self
        check_memory(max_memory_bytes, max(elsewhere_bytes, held_bytes + self.least_bytes(size)))
        free_bytes = max_memory_bytes - PROGRAM_BYTES - held_bytes
        core = math.isqrt(free_bytes // self.bytes_per_position) - 2 * self.halo
        return replace(self, core=min(self.core, max(LEAST_CORE, core)))


def check_memory(max_memory_bytes: int | None, needed_bytes: int) -> None:
    """Refuse a limit of memory below what the work needs beside the program.

    Raises:
        LimitError: the message says the least limit that does.
        TypeError: the limit is no whole number.
    """
    if not isinstance(max_memory_bytes, Integral | None):
        kind = type(max_memory_bytes).__name__
        raise TypeError(f"max_memory_bytes must be a whole number of bytes, not {kind}")
    least_bytes = PROGRAM_BYTES + needed_bytes
    if max_memory_bytes is not None and max_memory_bytes < least_bytes:
        raise LimitError(
            f"{_in_words(max_memory_bytes)} of memory are too few for this picture. "
            f"hint: --max-memory {math.ceil(least_bytes / 1e6)}MB is the least"
        )


def _in_words(size_bytes: int) -> str:
    """332.6 MB: not rounded to the limit that would do, nor to 0."""
    return f"{size_bytes} bytes" if size_bytes < 10**6 else f"{size_bytes / 1e6:.7g} MB"


@dataclass(frozen=True)
class CodecNeeds:
    """What a codec takes of main memory.

    Attributes:
        analysis: of g_a.
        synthesis: of g_s.
        latent_bytes: for each position of a latent: its float32.
        walk_bytes: likewise, what a walk keeps and the coder takes.
        walk_tile_bytes: for each position of a tile of the walk, whose size is fixed.
        features_bytes: for each pixel: what a search keeps of g_a, halos included.
    """

    analysis: Tiling
    synthesis: Tiling
    latent_bytes: int
    walk_bytes: int
    walk_tile_bytes: int
    features_bytes: int

    def walking_bytes(self, size: tuple[int, int]) -> int:
        """Memory of the entropy networks for a latent of (height, width)."""
        tile = math.prod(min(side, _WALK_SIDE) for side in size)
        return self.walk_bytes * math.prod(size) + self.walk_tile_bytes * tile


_HYPERPRIOR = CodecNeeds(
    analysis=Tiling(core=40, halo=3, bytes_per_position=220_000),
    synthesis=Tiling(core=40, halo=3, bytes_per_position=260_000),
    latent_bytes=4 * 320,
    walk_bytes=12_000,
    walk_tile_bytes=17_000,
    features_bytes=0,
)
NEEDS = {
    CDSR1: CodecNeeds(
        analysis=Tiling(core=96, halo=12, bytes_per_position=19_000),
        synthesis=Tiling(core=96, halo=12, bytes_per_position=38_000),
        latent_bytes=4 * 224,
        walk_bytes=6_000,
        walk_tile_bytes=17_000,
        features_bytes=13,
    ),
    # With its larger networks, those of qualities 6 to 8.
    BMSHJ2018_HYPERPRIOR: _HYPERPRIOR,
    # As large as those of qualities 1 to 5, which take two thirds of that.
    BMSHJ2018_HYPERPRIOR_GAIN: replace(_HYPERPRIOR, latent_bytes=4 * 192, features_bytes=5),
}
LATENT_4X = {
    CDSR1: Tiling(core=36, halo=12, bytes_per_position=370_000),
    BMSHJ2018_HYPERPRIOR_GAIN: Tiling(core=50, halo=4, bytes_per_position=390_000),
}
"""Of the upscaler that reads a codec's latents."""
PIXELS = Tiling(core=256, halo=40, bytes_per_position=11_500)  # a network may say a smaller halo
ESRGAN = Tiling(core=192, halo=32, bytes_per_position=17_500)
