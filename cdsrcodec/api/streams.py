"""Pictures and streams in memory."""

from __future__ import annotations

import os
from collections.abc import Collection
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from cdsrcodec.api.reports import ChunkInfo, StreamInfo
from cdsrcodec.chunks.facts import full_size_of, origin_of
from cdsrcodec.container import FORMAT_VERSION, read_stream
from cdsrcodec.errors import InputImageError
from cdsrcodec.models.registry import CDSR1, DEFAULT_METRIC, DEFAULT_QUALITY
from cdsrcodec.models.stream_weights import codec_name_of, weights_error_of
from cdsrcodec.sr.registry import DEFAULT_UPSCALER, UPSCALE, WEIGHTED_UPSCALERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from cdsrcodec.codec import OnStep, Target
    from cdsrcodec.imageio.reader import Picture

Sr = Literal[1, 4]
BytesLike: TypeAlias = "bytes | bytearray | memoryview"
"""Anything else with a buffer of bytes does too."""
StrPath: TypeAlias = "str | os.PathLike[str]"


def encode(
    image: Image.Image | NDArray[np.uint8],
    *,
    quality: float | None = None,
    target_size_bytes: int | None = None,
    target_bpp: float | None = None,
    target_psnr_db: float | None = None,
    codec: str = CDSR1,
    metric: str = DEFAULT_METRIC,
    effort: int = 0,
    device: str = "auto",
    strip: str | Collection[str] = (),
    downscale: Sr = 1,
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
) -> bytes:
    """Code a picture, and compare the symbols that decoding what is returned gives.

    Alpha is coded losslessly. EXIF, XMP, ICC profile and resolution of a PIL image are kept.

    Args:
        image: a PIL image, which is brought to upright 8-bit sRGB, or a uint8 array
            (H, W, 3) of RGB.
        quality: 1.0 (smallest) to 8.0 (best), real, in steps of 1/32, or whole numbers where
            the codec has only these; 4.0 where neither it nor a target is given. At most one
            of these four may be.
        target_size_bytes: the highest quality whose stream has at most so many bytes.
        target_bpp: the same, in bits per native pixel.
        target_psnr_db: the smallest stream whose decoded 8-bit RGB picture is so good.
        codec: "cdsr1", "bmshj2018-hyperprior" or "bmshj2018-hyperprior-gain".
        metric: "mse" or, of bmshj2018-hyperprior, "ms-ssim": what its weights were trained for.
        effort: 0 to 9: more makes a better file and takes longer (docs/cli.md), for every
            quality that a target makes it try. Of cdsr1 alone.
        device: "auto", "cpu" or "cuda", for the transforms.
        strip: metadata to leave out: words of "exif", "xmp", "icc" and "all", or a string of
            them with commas.
        downscale: 4 codes a quarter of each side, which `decode(sr=4)` enlarges to the size
            of the image, to the pixel. Sizes and PSNR above are then of the small picture.
        max_memory_bytes: as decode.
        on_step: told the steps of a refinement, done and in all, where effort is not 0.

    Returns:
        A .cdsr stream (docs/format.md).

    Raises:
        TypeError: quality or a target is no number, or max_memory_bytes no whole one.
        ValueError: quality, a target, metric, effort, strip or downscale out of range or not of
            this codec; or more than one of quality and the targets.
        InputImageError: not a picture that can be coded.
        LimitError: more pixels than the format's readers accept or max_memory_bytes allows, or
            a target that no quality meets: the message says the nearest value that one does.
        ModelError, DeviceError: no such codec or device, or weights that are not installed.
        DesyncError: the comparison failed: a fault of the machine or of this program.
    """
    from cdsrcodec.chunks.sidecar import chunks_of
    from cdsrcodec.codec import encode_pixels, resolve_device

    goal = goal_of(quality, target_size_bytes, target_bpp, target_psnr_db)
    picture = reduced(picture_of(image), downscale)
    return encode_pixels(
        picture.pixels,
        quality=goal,
        codec=codec,
        metric=metric,
        device=resolve_device(device),
        effort=effort,
        chunks=chunks_of(picture, strip),
        max_memory_bytes=max_memory_bytes,
        on_step=on_step,
    )


def reduced(picture: Picture, factor: Sr) -> Picture:
    """The picture that is coded.

    Raises:
        ValueError: the factor is neither 1 nor 4.
    """
    from cdsrcodec.imageio.reduction import reduce_picture

    if factor not in (1, UPSCALE):
        raise ValueError(f"downscale must be 1 or {UPSCALE}, not {factor}")
    return picture if factor == 1 else reduce_picture(picture, factor)


def goal_of(
    quality: float | None,
    size_bytes: int | None,
    bpp: float | None,
    psnr_rgb_db: float | None,
) -> float | Target:
    """The quality, or the target that finds it.

    Raises:
        TypeError: what is given is no number.
        ValueError: more than one is given, or the target is out of range.
    """
    given = {
        "quality": quality,
        "target_size_bytes": size_bytes,
        "target_bpp": bpp,
        "target_psnr_db": psnr_rgb_db,
    }
    for name, value in given.items():
        if not isinstance(value, Real | None):
            raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    from cdsrcodec.codec import Target

    if size_bytes is None and bpp is None and psnr_rgb_db is None:
        return DEFAULT_QUALITY if quality is None else quality
    if quality is not None:
        raise ValueError("give a quality or a target, not both")
    return Target(size_bytes, bpp, psnr_rgb_db)


def decode(
    data: BytesLike,
    *,
    sr: Sr = 1,
    upscaler: str | None = None,
    upscaler_weights: StrPath | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
) -> Image.Image:
    """Decode a stream to a picture.

    Its mode is RGB, or L where the source was grey, with an alpha channel (RGBA, LA) where
    that has transparent pixels. Metadata are in its `info`, under Pillow's names; with an
    ICC profile, the pixels are in that colour space, else in sRGB.

    Args:
        data: a .cdsr stream.
        sr: 1 for native size, 4 for four times that each way, or for the full size of a
            picture that was reduced when it was encoded.
        upscaler: what makes the 4x picture: "latent", which is the default, or
            "latent-perceptual", or from the native one, those of `upscale`.
        upscaler_weights: as upscale.
        device: "auto", "cpu" or "cuda", for the transforms.
        precision: of the network that makes the 4x picture: "fp32", "bf16", or "auto" for
            bf16 where the hardware multiplies it. Symbols are always decoded exactly.
        max_memory_bytes: what this process may take: networks run in smaller tiles.
        on_step: told the tiles of the picture, done and in all.

    Raises:
        TypeError: data are no bytes, but the name of a file, say; or max_memory_bytes no int.
        ValueError: sr is neither 1 nor 4, no such precision, an upscaler at native size, or
            weights that the upscaler does not take.
        FormatError: not a stream that this reader takes.
        LimitError: larger than this reader takes, or than max_memory_bytes allows.
        ModelError: its weights, or such an upscaler, are not here.
        DesyncError: it decodes to other symbols than were encoded.
        DeviceError: no such device.
    """
    from cdsrcodec.codec import decode_picture, resolve_device

    upscaler = upscaler_of(upscaler, sr)
    image, _ = decode_picture(
        bytes_of(data, "decode_file"),
        sr=sr,
        upscaler=upscaler,
        device=resolve_device(device),
        upscaler_weights=given_weights(upscaler, upscaler_weights),
        precision=precision,
        max_memory_bytes=max_memory_bytes,
        on_step=on_step,
    )
    return image


def info(data: BytesLike) -> StreamInfo:
    """What a stream says about itself; checks the bytes but decodes nothing.

    It needs no weights, and tells whether those that decoding needs are here.

    Raises:
        TypeError, FormatError, LimitError: as decode.
    """
    data = bytes_of(data, "info_file")
    stream = read_stream(data)
    header, origin = stream.header, origin_of(stream)
    full_width_px, full_height_px = full_size_of(stream) or (None, None)
    weights_error = weights_error_of(header)
    return StreamInfo(
        version=FORMAT_VERSION,
        codec=codec_name_of(header.model_id),
        model_id=header.model_id,
        entropy_tag=header.entropy_tag.hex(),
        installed=weights_error is None,
        weights_error=weights_error,
        quality=header.quality,
        width_px=header.width_px,
        height_px=header.height_px,
        stream_bytes=len(data),
        header_bytes=len(data) - len(stream.payload),
        payload_bytes=len(stream.payload),
        bpp=8 * len(data) / (header.width_px * header.height_px),
        source=None if origin is None else str(origin),
        full_width_px=full_width_px,
        full_height_px=full_height_px,
        chunks=tuple(
            ChunkInfo(c.kind.decode("ascii"), len(c.data), c.is_critical) for c in stream.chunks
        ),
    )


def bytes_of(data: BytesLike, of_files: str) -> bytes:
    """The bytes of a stream; `of_files` is the function that takes a file instead.

    Raises:
        TypeError: nothing that holds bytes.
    """
    try:
        return data if isinstance(data, bytes) else bytes(memoryview(data))
    except TypeError as error:
        raise TypeError(
            f"data must be the bytes of a stream, not {type(data).__name__}. "
            f"hint: {of_files} takes a path"
        ) from error


def upscaler_of(name: str | None, sr: Sr) -> str:
    """The upscaler of this name, or the default one.

    Raises:
        ValueError: one is named where the size is native.
    """
    if name is not None and sr == 1:
        raise ValueError(f"an upscaler belongs to sr={UPSCALE}")
    return name or DEFAULT_UPSCALER


def given_weights(upscaler: str, file: StrPath | None) -> Path | None:
    """The file of weights that was named for an upscaler; None for its own.

    Raises:
        ValueError: one is named, but the upscaler takes none.
    """
    if file is None:
        return None
    if upscaler not in WEIGHTED_UPSCALERS:
        raise ValueError(f"weights belong to the upscalers {', '.join(WEIGHTED_UPSCALERS)}")
    return Path(file)


def picture_of(image: Image.Image | NDArray[np.uint8]) -> Picture:
    """The picture to be coded or enlarged.

    Raises:
        InputImageError: it is none.
    """
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
