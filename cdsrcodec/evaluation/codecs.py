"""The codecs that are compared: those of the registry, and classical ones through Pillow.

Importing it imports neither numpy nor Pillow: the command line names the codecs in its help.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cdsrcodec import api
from cdsrcodec.container.header import QUALITY_STEPS
from cdsrcodec.errors import InputImageError, ModelError
from cdsrcodec.evaluation.digests import file_sha256
from cdsrcodec.evaluation.scales import Scale
from cdsrcodec.models.registry import CODECS as LEARNED
from cdsrcodec.models.registry import entries_of
from cdsrcodec.models.store import models_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JXL_PACKAGE = "pillow_jxl"


@dataclass(frozen=True)
class LearnedCodec:
    """A codec of the registry at one effort, through `cdsrcodec.api`."""

    name: str
    codec: str
    effort: int = 0
    device: str = "auto"

    @property
    def scale(self) -> Scale:
        """Whole qualities, and those between where the codec has them."""
        codec = LEARNED[self.codec]
        step = 1.0 if codec.takes_whole_qualities else 1 / QUALITY_STEPS
        whole = tuple(quality for quality in codec.qualities if quality.is_integer())
        return Scale(codec.qualities[0], codec.qualities[-1], step, whole)

    @property
    def warm_up_qualities(self) -> tuple[float, ...]:
        """Those that load all of its weights: one, but where each has a network of its own."""
        codec = LEARNED[self.codec]
        return codec.qualities if codec.folder is None else codec.qualities[:1]

    def encode(self, x: NDArray[np.uint8], quality: float) -> bytes:
        """A .cdsr stream of x (H, W, 3).

        Raises:
            ModelError: the codec has no such effort or quality.
            CdsrError: as api.encode.
        """
        try:
            return api.encode(
                x, quality=quality, codec=self.codec, effort=self.effort, device=self.device
            )
        except InputImageError:
            raise
        except ValueError as error:
            raise ModelError(f"{self.name} at quality {quality:g}: {error}") from error

    def decode(self, stream: bytes) -> NDArray[np.uint8]:
        """The native picture, (H, W, 3)."""
        import numpy as np

        return np.asarray(api.decode(stream, device=self.device))

    def describe(self) -> dict[str, Any]:
        """All that decides its files and pictures, for keys and reports."""
        folder = LEARNED[self.codec].folder or models_folder()
        files = [file for entry in entries_of(self.codec) for file in entry.files]
        return {
            "codec": self.codec,
            "effort": self.effort,
            "device": self.device,
            "weights": {str(path.relative_to(folder)): file_sha256(path) for path in files},
        }

    def missing(self) -> str | None:
        """What it lacks to run here; None for nothing."""
        entries = entries_of(self.codec)
        qualities = {entry.quality for entry in entries}
        if not (None in qualities or qualities >= set(self.scale.ladder)):
            return f"cdsrcodec models pull {self.codec} brings its weights"
        there = all(file.is_file() for entry in entries for file in entry.files)
        return None if there else "its weights are not here"


@dataclass(frozen=True)
class PillowCodec:
    """A classical codec, through Pillow.

    Attributes:
        name: what the reports call it.
        file_format: Pillow's name of the format.
        feature: what Pillow calls its library; None for a plug-in.
        scale: of its own quality.
        options: of Image.save, but for the quality.
        quality_options: the quality as options of Image.save.
    """

    name: str
    file_format: str
    feature: str | None
    scale: Scale
    options: tuple[tuple[str, Any], ...]
    quality_options: Callable[[float], dict[str, Any]]

    @property
    def warm_up_qualities(self) -> tuple[float, ...]:
        """One that loads its library."""
        return (self.scale.lowest,)

    def encode(self, x: NDArray[np.uint8], quality: float) -> bytes:
        """The whole file of x (H, W, 3), headers included.

        Raises:
            InputImageError: the format cannot hold this picture.
        """
        from PIL import Image

        self._register()
        file = io.BytesIO()
        options = {**dict(self.options), **self.quality_options(quality)}
        try:
            Image.fromarray(x).save(file, self.file_format, **options)
        except (OSError, ValueError) as error:
            raise InputImageError(f"{self.name} cannot code it: {error}") from error
        return file.getvalue()

    def decode(self, stream: bytes) -> NDArray[np.uint8]:
        """The picture of a file that `encode` made, (H, W, 3)."""
        import numpy as np
        from PIL import Image

        self._register()
        with Image.open(io.BytesIO(stream)) as image:
            return np.asarray(image.convert("RGB"))

    def describe(self) -> dict[str, Any]:
        """All that decides its files and pictures, for keys and reports."""
        import PIL
        from PIL import features

        library = features.version(self.feature) if self.feature else _version("pillow-jxl-plugin")
        return {
            "codec": self.name,
            "options": dict(self.options),
            "library": library,
            "pillow": PIL.__version__,
        }

    def missing(self) -> str | None:
        """What it lacks to run here; None for nothing."""
        from PIL import features

        if self.feature is None:
            there = find_spec(JXL_PACKAGE) is not None
            return None if there else "pip install 'cdsrcodec[jxl]' brings its plug-in"
        return None if features.check(self.feature) else "this Pillow was built without it"

    def _register(self) -> None:
        """Make the format of a plug-in known to Pillow, decoded in one thread as it is encoded."""
        if self.feature is None:
            from pillow_jxl import JpegXLImagePlugin

            JpegXLImagePlugin.DECODE_THREADS = 0


Codec = LearnedCodec | PillowCodec


def _whole(quality: float) -> dict[str, Any]:
    return {"quality": round(quality)}


def _layer(quality: float) -> dict[str, Any]:
    return {"quality_layers": [quality]}


def _avif(subsampling: str) -> PillowCodec:
    return PillowCodec(
        f"avif{subsampling.replace(':', '')}",
        "AVIF",
        "avif",
        Scale(0, 100, 1, (10, 30, 50, 66, 80)),
        (("subsampling", subsampling), ("speed", 4)),
        _whole,
    )


# Mean rates of the ladders on photographs of 768x512 go from about 0.13 to 2 bpp, those of
# JPEG, which has nothing below, from 0.15. AVIF takes seconds a megapixel, so it has few rungs.
PILLOW_CODECS = {
    codec.name: codec
    for codec in (
        # Optimised Huffman tables; 4:2:0, as is Pillow's default.
        PillowCodec(
            "jpeg", "JPEG", "jpg", Scale(1, 95, 1, (4, 8, 16, 30, 50, 70, 82, 89)),
            (("optimize", True),), _whole,
        ),
        # The slowest and best search.
        PillowCodec(
            "webp", "WEBP", "webp", Scale(0, 100, 1, (0, 3, 15, 35, 60, 76, 85, 91)),
            (("method", 6),), _whole,
        ),
        _avif("4:2:0"),
        _avif("4:4:4"),
        # Its quality is the PSNR in dB that the encoder aims at.
        PillowCodec(
            "jp2", "JPEG2000", "jpg_2000", Scale(20, 50, 0.25, tuple(range(26, 43, 2))),
            (("quality_mode", "dB"), ("irreversible", True)), _layer,
        ),
        # One thread, so that several workers do not crowd each other out.
        PillowCodec(
            "jxl", "JXL", None, Scale(0, 99, 1, (5, 20, 40, 60, 76, 88)),
            (("effort", 7), ("num_threads", 1)), _whole,
        ),
    )
}  # fmt: skip
CODEC_NAMES = (*LEARNED, *PILLOW_CODECS)


def find_codec(text: str, *, device: str) -> Codec:
    """The codec that the user calls NAME, or NAME:EFFORT for a learned one.

    Raises:
        ValueError: there is none.
    """
    name, separator, effort = text.partition(":")
    if name in LEARNED and (effort.isdecimal() or not separator):
        return LearnedCodec(text, name, int(effort or 0), device)
    if name in PILLOW_CODECS and not separator:
        return PILLOW_CODECS[name]
    raise ValueError(f"there is no codec {text!r}; there are {', '.join(CODEC_NAMES)}")


def _version(distribution: str) -> str:
    from importlib.metadata import version

    return version(distribution)
