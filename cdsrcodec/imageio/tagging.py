"""Metadata as the save options of each format that can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import PngImagePlugin

from cdsrcodec.imageio.tiff import directory_of

ICC_PROFILE = "icc_profile"
_KEPT = {
    "AVIF": {"exif", "xmp", ICC_PROFILE},
    "BMP": {"dpi"},
    "JPEG": {"exif", "xmp", ICC_PROFILE, "dpi"},
    "PNG": {"exif", "xmp", ICC_PROFILE, "dpi"},
    "TIFF": {"exif", "xmp", ICC_PROFILE, "dpi"},
    "WEBP": {"exif", "xmp", ICC_PROFILE},
}
# A marker segment has 65 535 bytes, of which names take some; a density has 16 bits.
_JPEG_MAX_BYTES = {"exif": 65_533, "xmp": 65_504}
_JPEG_MAX_DPI = 0xFFFF
_XMP_KEYWORD = "XML:com.adobe.xmp"


def holds_profile(format_name: str) -> bool:
    """Whether files of this format (Pillow's name) say in which colour space they are."""
    return ICC_PROFILE in _KEPT.get(format_name, set())


def save_options(info: Mapping[Any, Any], format_name: str) -> tuple[dict[str, Any], list[str]]:
    """What to hand to Pillow's `save` so that the metadata of `info` are kept.

    Args:
        info: with any of the keys of `Metadata.info`.
        format_name: Pillow's name.

    Returns:
        The options, and a line for each part that is too long for the format. What a
        format has no place for at all is left out without a word.
    """
    kept = {name: info[name] for name in sorted(_KEPT.get(format_name, ())) if name in info}
    dropped = []
    if format_name == "JPEG":
        for name, max_bytes in _JPEG_MAX_BYTES.items():
            if len(kept.get(name, b"")) > max_bytes:
                del kept[name]
                dropped.append(f"the {name.upper()} metadata are too long for a JPEG: left out")
        if max(kept.get("dpi", (0,))) > _JPEG_MAX_DPI:
            del kept["dpi"]
    elif format_name == "PNG" and "xmp" in kept:
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt(_XMP_KEYWORD, kept.pop("xmp").decode())
        kept["pnginfo"] = texts
    elif format_name == "TIFF":
        kept["tiffinfo"] = directory_of(kept.pop("exif", None), kept.pop("xmp", None))
    return kept, dropped
