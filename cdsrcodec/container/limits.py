"""What a reader accepts of files that the format itself allows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds, checked before anything of their size is allocated.

    Attributes:
        max_pixels: width times height, in pixels. The default is where Pillow
            stops as well: its decompression bomb error comes above twice
            `PIL.Image.MAX_IMAGE_PIXELS` = 89 478 485.
        max_chunk_bytes: data of all chunks of a file together, in bytes.
    """

    max_pixels: int = 2 * 89_478_485
    max_chunk_bytes: int = 64 * 2**20
