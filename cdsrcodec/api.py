"""The Python interface: pictures, streams and files.

Importing this module imports no torch: `info` needs none, and the functions
that do import it when they are called.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdsrcodec.chunks.facts import origin_of
from cdsrcodec.container import FORMAT_VERSION, Limits, read_stream
from cdsrcodec.errors import CdsrError, FileAccessError, InputImageError
from cdsrcodec.models.registry import codec_of_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from cdsrcodec.imageio.reader import Picture

Sr = Literal[1, 4]


@dataclass(frozen=True)
class ChunkInfo:
    """One chunk of a stream: its kind, size, and whether a reader must know it."""

    kind: str
    data_bytes: int
    critical: bool


@dataclass(frozen=True)
class StreamInfo:
    """What a stream says about itself.

    `bpp` is of the whole stream, per native pixel. `source` is colour model and bits per
    sample of the picture that was encoded, such as "L;16"; None for 8-bit RGB.
    """

    version: int
    codec: str
    model_id: int
    entropy_tag: str
    quality: float
    width_px: int
    height_px: int
    stream_bytes: int
    header_bytes: int
    payload_bytes: int
    bpp: float
    source: str | None
    chunks: tuple[ChunkInfo, ...]


@dataclass(frozen=True)
class EncodeReport:
    """Result of encode_file.

    `psnr_rgb_db` only where it was asked for; `warnings` has a line for each part of the
    metadata that was dropped because it is broken.
    """

    width_px: int
    height_px: int
    stream_bytes: int
    bpp: float
    psnr_rgb_db: float | None
    elapsed_s: float
    device: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecodeReport:
    """Result of decode_file: the picture written.

    `warnings` has a line for each part of the metadata that is malformed or could not be
    written.
    """

    width_px: int
    height_px: int
    elapsed_s: float
    device: str
    warnings: tuple[str, ...] = ()


def encode(
    image: Image.Image | NDArray[np.uint8],
    *,
    quality: float = 4.0,
    codec: str = "cdsr1",
    effort: int = 0,
    device: str = "auto",
    strip: Collection[str] = (),
) -> bytes:
    """Code a picture.

    Alpha is coded losslessly. EXIF, XMP, ICC profile and resolution of a PIL image are kept.

    Args:
        image: a PIL image, which is brought to upright 8-bit sRGB, or a uint8 array
            (H, W, 3) of RGB.
        quality: 1.0 (smallest) to 8.0 (best), real, in steps of 1/32.
        codec: a codec of the registry.
        effort: 0; searching encoders are not part of this version.
        device: "auto", "cpu" or "cuda", for the transforms.
        strip: metadata to leave out: "exif", "xmp", "icc" or "all".

    Returns:
        A .cdsr stream (docs/format.md).

    Raises:
        ValueError: quality, effort or strip out of range.
        InputImageError: not a picture that can be coded.
        LimitError: more pixels than the format's readers accept.
        ModelError, DeviceError: no such codec or device.
    """
    from cdsrcodec.chunks.sidecar import chunks_of
    from cdsrcodec.codec import encode_pixels, resolve_device

    if effort != 0:
        raise ValueError(f"effort must be 0 in this version, not {effort}")
    picture = _to_picture(image)
    return encode_pixels(
        picture.pixels,
        quality=quality,
        codec=codec,
        device=resolve_device(device),
        chunks=chunks_of(picture, strip),
    )


def decode(
    data: bytes, *, sr: Sr = 1, upscaler: str = "latent", device: str = "auto"
) -> Image.Image:
    """Decode a stream to a picture.

    Its mode is RGB, or L where the source was grey, with an alpha channel (RGBA, LA) where
    that has transparent pixels. Metadata are in its `info`, under Pillow's names; with an
    ICC profile, the pixels are in that colour space, else in sRGB.

    Args:
        data: a .cdsr stream.
        sr: 1 for native size, 4 for four times that each way, from the latent.
        upscaler: the 4x decoder.
        device: "auto", "cpu" or "cuda", for the transforms.

    Raises:
        ValueError: sr is neither 1 nor 4.
        FormatError, LimitError: not a stream that this reader takes.
        ModelError: its weights, or such an upscaler, are not here.
        DesyncError: it decodes to other symbols than were encoded.
        DeviceError: no such device.
    """
    from cdsrcodec.codec import decode_picture, resolve_device

    image, _ = decode_picture(data, sr=sr, upscaler=upscaler, device=resolve_device(device))
    return image


def info(data: bytes) -> StreamInfo:
    """What a stream says about itself; checks the bytes but decodes nothing.

    Raises:
        FormatError, LimitError, ModelError: as decode.
    """
    stream = read_stream(data)
    header, origin = stream.header, origin_of(stream)
    entry = codec_of_stream(header.model_id, header.entropy_tag)
    return StreamInfo(
        version=FORMAT_VERSION,
        codec=entry.name,
        model_id=header.model_id,
        entropy_tag=header.entropy_tag.hex(),
        quality=header.quality,
        width_px=header.width_px,
        height_px=header.height_px,
        stream_bytes=len(data),
        header_bytes=len(data) - len(stream.payload),
        payload_bytes=len(stream.payload),
        bpp=8 * len(data) / (header.width_px * header.height_px),
        source=None if origin is None else str(origin),
        chunks=tuple(
            ChunkInfo(c.kind.decode("ascii"), len(c.data), c.is_critical) for c in stream.chunks
        ),
    )


def encode_file(
    source: Path,
    target: Path,
    *,
    quality: float = 4.0,
    codec: str = "cdsr1",
    effort: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    measure_psnr: bool = False,
    strip: Collection[str] = (),
) -> EncodeReport:
    """Code the picture file `source` into the stream file `target`.

    The file appears whole or not at all, and only after its symbols have been decoded
    again and compared. Arguments as `encode`, and:

    Args:
        source: any picture that Pillow reads.
        target: the stream file.
        quality: as encode.
        codec: as encode.
        effort: as encode.
        device: as encode.
        overwrite: replace an existing target.
        measure_psnr: decode the stream and report the PSNR of the 8-bit picture.
        strip: as encode.

    Raises:
        FileAccessError, OutputExistsError: about source or target.
        DesyncError: the comparison failed: a fault of the machine or of this program.
        CdsrError, ValueError: as encode.
    """
    import numpy as np

    from cdsrcodec.chunks.sidecar import chunks_of
    from cdsrcodec.codec import decode_pixels, decode_symbols, encode_pixels, resolve_device
    from cdsrcodec.imageio.fidelity import psnr_db
    from cdsrcodec.imageio.reader import read_picture
    from cdsrcodec.imageio.writer import check_output, write_bytes

    begin_s = time.perf_counter()
    if effort != 0:
        raise ValueError(f"effort must be 0 in this version, not {effort}")
    check_output(target, source, overwrite=overwrite)
    torch_device = resolve_device(device)
    picture = read_picture(source, max_pixels=Limits().max_pixels)
    pixels, chunks = picture.pixels, chunks_of(picture, strip)
    with _about(source):
        data = encode_pixels(
            pixels, quality=quality, codec=codec, device=torch_device, chunks=chunks
        )
        decode_symbols(data)
    psnr_rgb_db = None
    if measure_psnr:
        decoded = decode_pixels(data, sr=1, upscaler="latent", device=torch_device)
        psnr_rgb_db = psnr_db(np.subtract(pixels, decoded, dtype=np.int32))
    write_bytes(data, target)
    height_px, width_px = pixels.shape[:2]
    return EncodeReport(
        width_px,
        height_px,
        len(data),
        8 * len(data) / (width_px * height_px),
        psnr_rgb_db,
        time.perf_counter() - begin_s,
        torch_device.type,
        picture.warnings,
    )


def decode_file(
    source: Path,
    target: Path,
    *,
    sr: Sr = 1,
    upscaler: str = "latent",
    device: str = "auto",
    overwrite: bool = False,
) -> DecodeReport:
    """Decode the stream file `source` into the picture file `target`.

    The format is that of target's extension; the file appears whole or not at all.

    Args:
        source: a .cdsr file.
        target: the picture file.
        sr: as decode.
        upscaler: as decode.
        device: as decode.
        overwrite: replace an existing target.

    Raises:
        InputImageError: target's extension names no picture format, or one that has no
            alpha while the picture has transparent pixels.
        FileAccessError, OutputExistsError: about source or target.
        CdsrError, ValueError: as decode.
    """
    from cdsrcodec.chunks.sidecar import has_alpha
    from cdsrcodec.imageio.tagging import holds_profile
    from cdsrcodec.imageio.writer import (
        check_alpha,
        check_output,
        check_size,
        output_format,
        write_image,
    )

    begin_s = time.perf_counter()
    check_output(target, source, overwrite=overwrite)
    data = _read_file(source)
    with _about(source):
        stream = read_stream(data)
    check_size(target, stream.header.width_px * sr, stream.header.height_px * sr)
    if has_alpha(stream):
        check_alpha(target)
    from cdsrcodec.codec import decode_picture, resolve_device

    torch_device = resolve_device(device)
    with _about(source):
        image, warnings = decode_picture(
            data,
            sr=sr,
            upscaler=upscaler,
            device=torch_device,
            in_source_space=holds_profile(output_format(target)),
        )
    warnings += write_image(image, target)
    return DecodeReport(
        image.width, image.height, time.perf_counter() - begin_s, torch_device.type, warnings
    )


def info_file(path: Path) -> StreamInfo:
    """`info` of a file.

    Raises:
        FileAccessError: it cannot be read.
        CdsrError: as info.
    """
    data = _read_file(path)
    with _about(path):
        return info(data)


def verify_file(path: Path) -> StreamInfo:
    """Decode all symbols of a file and compare both checksums, without making a picture.

    Raises:
        CdsrError: what is wrong with the file.
    """
    from cdsrcodec.chunks.sidecar import alpha_of
    from cdsrcodec.codec import decode_symbols

    data = _read_file(path)
    with _about(path):
        alpha_of(read_stream(data))
        decode_symbols(data)
        return info(data)


def _to_picture(image: Image.Image | NDArray[np.uint8]) -> Picture:
    import numpy as np
    from PIL import Image

    from cdsrcodec.imageio.reader import Picture, to_picture

    if isinstance(image, Image.Image):
        return to_picture(image)
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputImageError(
            f"an array must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}. "
            "hint: convert it, or pass a PIL image"
        )
    return Picture(pixels)


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise FileAccessError(f"{path}: a directory. hint: name a .cdsr file") from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read: {error.strerror}") from error


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Begin the message of a CdsrError with the file that it is about."""
    try:
        yield
    except CdsrError as error:
        error.args = (f"{path}: {error}",)
        raise
