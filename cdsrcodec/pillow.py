"""Plug-in for Pillow: after `import cdsrcodec.pillow`, it opens and saves .cdsr files.

Opening reads and checks the bytes, and decodes nothing: size, mode and info are there
at once, torch is imported when pixels are asked for. Documentation: docs/pillow.md.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile

from cdsrcodec import api
from cdsrcodec.chunks.sidecar import has_alpha, sidecar_of
from cdsrcodec.container import read_stream
from cdsrcodec.container.header import MAGIC
from cdsrcodec.errors import CdsrError, InputImageError
from cdsrcodec.imageio.reader import check_one_frame

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

FORMAT = "CDSR"
MIME_TYPE = "image/x-cdsr"
# Of Pillow's save options, those that are handed to the encoder as they are.
_ENCODER_OPTIONS = ("quality", "effort", "codec", "metric", "device", "strip", "downscale")
# Those that replace what the image itself has; None or nothing takes it away.
_METADATA_OPTIONS = ("exif", "xmp", "icc_profile", "dpi")


class CdsrImageFile(ImageFile.ImageFile):
    """A .cdsr file of which nothing is decoded until `load`."""

    format = FORMAT
    format_description = "CDSR image"

    _data = b""

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        try:
            stream = read_stream(self._data)
        except CdsrError as error:
            raise OSError(str(error)) from error  # what Pillow's callers expect
        header, sidecar = stream.header, sidecar_of(stream)
        self._size = (header.width_px, header.height_px)
        self._mode = ("L" if sidecar.origin.is_grey else "RGB") + ("A" if has_alpha(stream) else "")
        self.info.update(sidecar.metadata.resized(*self._size, 1).info())

    def load(self) -> PixelAccess | None:
        """Decode the picture, once.

        Raises:
            OSError: it cannot be decoded; the cause is the CdsrError that says why.
        """
        if self._im is None:
            try:
                image = api.decode(self._data)
            except CdsrError as error:
                raise OSError(str(error)) from error
            self._data = b""
            self.im = image.im
            self.info.clear()  # of a profile that cannot be applied, no more is told
            self.info.update(image.info)
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return Image.Image.load(self)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, file: IO[bytes], _filename: str | bytes) -> None:
    given: dict[str, Any] = image.encoderinfo
    metadata = {name: given[name] for name in _METADATA_OPTIONS if name in given}
    if metadata:
        check_one_frame(image)  # of an animation, the copy would be one frame
        image = image.copy()
        for name, value in metadata.items():
            image.info[name] = value.tobytes() if isinstance(value, Image.Exif) else value
    options = {name: given[name] for name in _ENCODER_OPTIONS if name in given}
    file.write(api.encode(image, **options))


def _save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Save with `save_all=True`, which programs give for any format: the one frame there is."""
    if list(image.encoderinfo.get("append_images", ())):
        raise InputImageError("append_images: a .cdsr file has one picture. hint: a file for each")
    _save(image, file, filename)


Image.register_open(FORMAT, CdsrImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_save_all(FORMAT, _save_all)
Image.register_extension(FORMAT, ".cdsr")
Image.register_mime(FORMAT, MIME_TYPE)
