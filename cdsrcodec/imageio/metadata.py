"""What a picture file tells beside its pixels: Exif, XMP, ICC profile and resolution."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from PIL import Image

from cdsrcodec.imageio.exif import clean_exif, fit_exif
from cdsrcodec.imageio.tiff import descriptive_tags

EXIF_PREFIX = b"Exif\0\0"
# The longest Exif block, XMP packet or ICC profile that is kept.
MAX_BLOCK_BYTES = 4 * 2**20
# No printer or scanner comes near; more would be a mistake of the file.
MAX_DPI = 100_000.0
STRIPPABLE = ("all", "exif", "xmp", "icc")

_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>))\s*\d+")


@dataclass(frozen=True)
class Metadata:
    """What a picture file tells beside its pixels; None where it does not.

    Attributes:
        exif: an Exif block from its TIFF header on, for the upright picture.
        xmp: an XMP packet, UTF-8.
        icc_profile: the profile that the samples had; that of sRGB counts as none.
        dpi: pixels per inch, horizontal and vertical.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None

    def without(self, kinds: str | Iterable[str]) -> Metadata:
        """The metadata less some of STRIPPABLE; "all" takes the resolution too.

        Args:
            kinds: words, or a string of them with commas.

        Raises:
            ValueError: another kind.
        """
        # A generator, which gives them but once, must not leave in what was to be left out.
        kinds = set(kinds.split(",") if isinstance(kinds, str) else kinds)
        if unknown := kinds - set(STRIPPABLE):
            raise ValueError(f"strip must be of {', '.join(STRIPPABLE)}, not {min(unknown)!r}")
        if "all" in kinds:
            return Metadata()
        fields = {"exif": "exif", "xmp": "xmp", "icc": "icc_profile"}
        return replace(self, **dict.fromkeys((fields[kind] for kind in kinds), None))

    def resized(self, width_px: int, height_px: int, scale: int | Fraction) -> Metadata:
        """The metadata of a picture of these sides that was made `scale` times as large.

        Resolutions change with it, so that it is printed at the same size.
        """
        exif = self.exif
        if exif is not None:
            try:
                exif = fit_exif(exif, width_px, height_px, scale=scale)
            except ValueError:
                exif = None
        dpi = self.dpi and (float(self.dpi[0] * scale), float(self.dpi[1] * scale))
        return replace(self, exif=exif, dpi=dpi)

    def info(self) -> dict[str, Any]:
        """Under the names that Pillow's `Image.info` has for it."""
        exif = None if self.exif is None else EXIF_PREFIX + self.exif
        named = {"exif": exif, "xmp": self.xmp, "icc_profile": self.icc_profile, "dpi": self.dpi}
        return {name: value for name, value in named.items() if value is not None}


def read_metadata(image: Image.Image, *, is_on_its_side: bool) -> tuple[Metadata, list[str]]:
    """Exif, XMP and resolution of a loaded image, for its upright picture.

    The ICC profile is the business of whoever converts the colours.

    Args:
        image: as it was opened.
        is_on_its_side: making it upright exchanges width and height.

    Returns:
        The metadata, and a line for each part that was dropped because it is broken.
    """
    dropped = []
    kept: dict[str, bytes | None] = {}
    for name, read in (("exif", _read_exif), ("xmp", _read_xmp)):
        try:
            with warnings.catch_warnings(action="ignore"):
                block = read(image)
            if block is not None and len(block) > MAX_BLOCK_BYTES:
                raise ValueError(f"{len(block)} bytes are more than {MAX_BLOCK_BYTES}")
        except MemoryError:
            raise
        except Exception as error:  # Pillow's parsers raise all there is on damaged bytes
            dropped.append(f"the {name.upper()} metadata are dropped: {_one_line(error)}")
            block = None
        kept[name] = block or None
    dpi = _read_dpi(image.info)
    if dpi is not None and is_on_its_side:
        dpi = dpi[::-1]
    return Metadata(exif=kept["exif"], xmp=kept["xmp"], dpi=dpi), dropped


def _read_exif(image: Image.Image) -> bytes | None:
    block = image.info.get("exif")
    if isinstance(block, bytes) and block:
        while block.startswith(EXIF_PREFIX):
            block = block.removeprefix(EXIF_PREFIX)
        return clean_exif(block)
    # TIFF and old PNG files keep the tags elsewhere.
    tags = Image.Exif()
    tags.update(descriptive_tags(image.getexif()))
    return tags.tobytes().removeprefix(EXIF_PREFIX) if len(tags) else None


def _read_xmp(image: Image.Image) -> bytes | None:
    packet = image.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes):
        return None
    packet = packet.strip(b"\0 \r\n\t")
    packet.decode()  # UnicodeDecodeError is a ValueError
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def _read_dpi(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """The resolution, where it is one: writers that know none store 0 or 1."""
    try:
        x_dpi, y_dpi = (float(value) for value in info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    is_plausible = all(math.isfinite(dpi) and 1 < dpi <= MAX_DPI for dpi in (x_dpi, y_dpi))
    return (x_dpi, y_dpi) if is_plausible else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
