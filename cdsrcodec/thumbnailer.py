"""The program `cdsrcodec-thumbnailer`, which file managers call for previews.

packaging/cdsrcodec.thumbnailer tells them how.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import cdsrcodec.pillow
from cdsrcodec.errors import CdsrError

MAX_SIZE_PX = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the thumbnail that the arguments ask for.

    Returns:
        0, or 1 after a line on stderr.

    Raises:
        SystemExit: wrong usage, with 2.
    """
    parser = argparse.ArgumentParser(prog="cdsrcodec-thumbnailer", description="Thumbnail, a PNG.")
    parser.add_argument("source", metavar="IN", type=Path, help="a .cdsr file")
    parser.add_argument("target", metavar="OUT", type=Path, help="the PNG, replaced if it exists")
    parser.add_argument("size_px", metavar="SIZE", type=int, help="longest side in pixels")
    given = parser.parse_args(arguments)
    if not 1 <= given.size_px <= MAX_SIZE_PX:
        parser.error(f"SIZE must be 1 to {MAX_SIZE_PX}")
    try:
        write_thumbnail(given.source, given.target, given.size_px)
    except (CdsrError, OSError, MemoryError) as error:
        # What libraries say of memory may be several lines.
        reason = "out of memory" if isinstance(error, MemoryError) else error
        sys.stderr.write(f"error: {given.source}: {reason}\n")
        return 1
    return 0


def write_thumbnail(source: Path, target: Path, size_px: int) -> None:
    """Decode a .cdsr file and write it as a PNG, reduced to `size_px` on its longest side.

    Raises:
        OSError: it cannot be read or decoded, or the PNG cannot be written.
        MemoryError: memory runs out.
    """
    with Image.open(source, formats=[cdsrcodec.pillow.FORMAT]) as image:
        image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
        # File managers show previews as they are, and need no camera data.
        image.save(target, "PNG", icc_profile=image.info.get("icc_profile"))
