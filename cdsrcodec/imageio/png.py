"""What Pillow leaves undone where it scales the samples of a PNG file to 8 bits."""

from __future__ import annotations

from PIL import Image

# Its raw modes of grey with 2 and 4 bits, and what it multiplies these samples by.
_SCALES = {"L;2": 0x55, "L;4": 0x11}
_RGB_16 = "RGB;16B"
_GREY_ALPHA_16 = "LA;16B"


def load_whole(image: Image.Image) -> Image.Image:
    """Load an image, and finish what Pillow leaves undone.

    The transparent colour of a PNG file is given in the samples of the file, and has to be
    scaled as these are; that is done in the image itself, so that it is the same the next
    time. Of an image that was loaded before, nothing tells what its samples were.

    Returns:
        The image; of 16-bit grey with alpha, which comes as RGBA, one in mode LA.

    Raises:
        Exception: whatever Pillow raises on damaged bytes.
    """
    raw_mode = _raw_mode_of(image)
    image.load()
    key = image.info.get("transparency")
    if raw_mode in _SCALES and isinstance(key, int):
        image.info["transparency"] = key * _SCALES[raw_mode]
    elif raw_mode == _RGB_16 and isinstance(key, tuple):
        image.info["transparency"] = tuple(sample >> 8 for sample in key)
    return image.convert("LA") if raw_mode == _GREY_ALPHA_16 else image


def _raw_mode_of(image: Image.Image) -> str | None:
    """How the samples of a PNG file are stored, in Pillow's words, until it is loaded."""
    tiles = getattr(image, "tile", None)
    if image.format != "PNG" or not tiles:
        return None
    return str(tiles[0].args)
