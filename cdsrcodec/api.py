"""The Python interface: pictures, streams and files.

Importing this module imports no torch: `info` needs none, and the functions
that do import it when they are called.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdsrcodec.container import FORMAT_VERSION, Limits, read_stream
from cdsrcodec.errors import CdsrError, FileAccessError, InputImageError
from cdsrcodec.models.registry import codec_of_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from cdsrcodec.codec import OnStep, Target

DEFAULT_QUALITY = 4.0
Sr = Literal[1, 4]


@dataclass(frozen=True)
class ChunkInfo:
    """One chunk of a stream: its kind, size, and whether a reader must know it."""

    kind: str
    data_bytes: int
    critical: bool


@dataclass(frozen=True)
class StreamInfo:
    """What a stream says about itself. `bpp` is of the whole stream, per native pixel."""

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
    chunks: tuple[ChunkInfo, ...]


@dataclass(frozen=True)
class EncodeReport:
    """Result of encode_file; `psnr_rgb_db` only where it was asked for."""

    width_px: int
    height_px: int
    quality: float
    stream_bytes: int
    bpp: float
    psnr_rgb_db: float | None
    elapsed_s: float
    device: str


@dataclass(frozen=True)
class DecodeReport:
    """Result of decode_file: the picture written."""

    width_px: int
    height_px: int
    elapsed_s: float
    device: str


def encode(
    image: Image.Image | NDArray[np.uint8],
    *,
    quality: float | None = None,
    target_size_bytes: int | None = None,
    target_bpp: float | None = None,
    target_psnr_db: float | None = None,
    codec: str = "cdsr1",
    effort: int = 0,
    device: str = "auto",
    on_step: OnStep | None = None,
) -> bytes:
    """Code a picture.

    Args:
        image: a PIL image, which is brought to upright 8-bit sRGB, or a uint8 array
            (H, W, 3) of RGB.
        quality: 1.0 (smallest) to 8.0 (best), real, in steps of 1/32; 4.0 where neither it
            nor a target is given. At most one of these four may be.
        target_size_bytes: the highest quality whose stream has at most so many bytes.
        target_bpp: the same, in bits per native pixel.
        target_psnr_db: the smallest stream whose decoded 8-bit RGB picture is so good.
        codec: a codec of the registry.
        effort: 0 to 9: more makes a better file and takes longer (docs/cli.md), for every
            quality that a target makes it try.
        device: "auto", "cpu" or "cuda", for the transforms.
        on_step: told the steps of a refinement, done and in all, where effort is not 0.

    Returns:
        A .cdsr stream (docs/format.md).

    Raises:
        ValueError: quality, a target or effort out of range, or two of the former given.
        InputImageError: not a picture that can be coded.
        LimitError: more pixels than the format's readers accept, or a target that no
            quality meets: the message says the nearest value that one does.
        ModelError, DeviceError: no such codec or device.
    """
    from cdsrcodec.codec import encode_pixels, resolve_device

    goal = _goal(quality, target_size_bytes, target_bpp, target_psnr_db)
    return encode_pixels(
        _to_pixels(image),
        quality=goal,
        codec=codec,
        device=resolve_device(device),
        effort=effort,
        on_step=on_step,
    )


def decode(
    data: bytes, *, sr: Sr = 1, upscaler: str = "latent", device: str = "auto"
) -> Image.Image:
    """Decode a stream to an RGB picture.

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
    from PIL import Image

    from cdsrcodec.codec import decode_pixels, resolve_device

    pixels = decode_pixels(data, sr=sr, upscaler=upscaler, device=resolve_device(device))
    return Image.fromarray(pixels)


def info(data: bytes) -> StreamInfo:
    """What a stream says about itself; checks the bytes but decodes nothing.

    Raises:
        FormatError, LimitError, ModelError: as decode.
    """
    stream = read_stream(data)
    header = stream.header
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
        chunks=tuple(
            ChunkInfo(c.kind.decode("ascii"), len(c.data), c.is_critical) for c in stream.chunks
        ),
    )


def encode_file(
    source: Path,
    target: Path,
    *,
    quality: float | None = None,
    target_size_bytes: int | None = None,
    target_bpp: float | None = None,
    target_psnr_db: float | None = None,
    codec: str = "cdsr1",
    effort: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    measure_psnr: bool = False,
    on_step: OnStep | None = None,
) -> EncodeReport:
    """Code the picture file `source` into the stream file `target`.

    The file appears whole or not at all, and only after its symbols have been decoded
    again and compared. Arguments as `encode`, and:

    Args:
        source: any picture that Pillow reads.
        target: the stream file.
        quality: as encode.
        target_size_bytes: as encode.
        target_bpp: as encode.
        target_psnr_db: as encode.
        codec: as encode.
        effort: as encode.
        device: as encode.
        overwrite: replace an existing target.
        measure_psnr: decode the stream and report the PSNR of the 8-bit picture.
        on_step: as encode.

    Raises:
        FileAccessError, OutputExistsError: about source or target.
        DesyncError: the comparison failed: a fault of the machine or of this program.
        CdsrError, ValueError: as encode.
    """
    import numpy as np

    from cdsrcodec.codec import decode_pixels, decode_symbols, encode_pixels, resolve_device
    from cdsrcodec.imageio.fidelity import psnr_db
    from cdsrcodec.imageio.reader import read_rgb
    from cdsrcodec.imageio.writer import check_output, write_bytes

    begin_s = time.perf_counter()
    goal = _goal(quality, target_size_bytes, target_bpp, target_psnr_db)
    check_output(target, source, overwrite=overwrite)
    torch_device = resolve_device(device)
    pixels = read_rgb(source, max_pixels=Limits().max_pixels)
    with _about(source):
        data = encode_pixels(
            pixels,
            quality=goal,
            codec=codec,
            device=torch_device,
            effort=effort,
            on_step=on_step,
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
        read_stream(data).header.quality,
        len(data),
        8 * len(data) / (width_px * height_px),
        psnr_rgb_db,
        time.perf_counter() - begin_s,
        torch_device.type,
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
        InputImageError: target's extension names no picture format.
        FileAccessError, OutputExistsError: about source or target.
        CdsrError, ValueError: as decode.
    """
    from cdsrcodec.imageio.writer import check_output, check_size, write_image

    begin_s = time.perf_counter()
    check_output(target, source, overwrite=overwrite)
    data = _read_file(source)
    with _about(source):
        header = read_stream(data).header
    check_size(target, header.width_px * sr, header.height_px * sr)
    from cdsrcodec.codec import resolve_device

    torch_device = resolve_device(device)
    with _about(source):
        image = decode(data, sr=sr, upscaler=upscaler, device=device)
    write_image(image, target)
    return DecodeReport(image.width, image.height, time.perf_counter() - begin_s, torch_device.type)


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
    from cdsrcodec.codec import decode_symbols

    data = _read_file(path)
    with _about(path):
        decode_symbols(data)
        return info(data)


def _goal(
    quality: float | None, size_bytes: int | None, bpp: float | None, psnr_rgb_db: float | None
) -> float | Target:
    """The quality, or the target that finds it.

    Raises:
        ValueError: more than one is given, or the target is out of range.
    """
    from cdsrcodec.codec import Target

    if size_bytes is None and bpp is None and psnr_rgb_db is None:
        return DEFAULT_QUALITY if quality is None else quality
    if quality is not None:
        raise ValueError("give a quality or a target, not both")
    return Target(size_bytes, bpp, psnr_rgb_db)


def _to_pixels(image: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    from cdsrcodec.imageio.reader import to_rgb

    if isinstance(image, Image.Image):
        return to_rgb(image)
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputImageError(
            f"an array must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}. "
            "hint: convert it, or pass a PIL image"
        )
    return pixels


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
