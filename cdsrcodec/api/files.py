"""Files to files. Each appears whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cdsrcodec.api.reports import DecodeReport, EncodeReport, StreamInfo
from cdsrcodec.api.streams import Sr, StrPath, given_weights, goal_of, info, reduced, upscaler_of
from cdsrcodec.chunks.facts import full_size_of
from cdsrcodec.container import Limits, Stream, read_stream
from cdsrcodec.container.header import MAGIC
from cdsrcodec.errors import FileAccessError, about
from cdsrcodec.imageio.suffixes import check_stream_name
from cdsrcodec.models.registry import CDSR1, DEFAULT_METRIC
from cdsrcodec.sr.registry import UPSCALE

if TYPE_CHECKING:
    import torch

    from cdsrcodec.codec import OnStep
    from cdsrcodec.imageio.reader import Picture


def encode_file(
    source: StrPath,
    target: StrPath,
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
    overwrite: bool = False,
    measure_psnr: bool = False,
    max_pixels: int = Limits.max_pixels,
    keep_attributes: bool = False,
    on_step: OnStep | None = None,
) -> EncodeReport:
    """Code the picture file `source` into the stream file `target`.

    Args:
        source: any picture that Pillow reads.
        target: the stream file; of any extension but those of pictures.
        quality: as encode.
        target_size_bytes: as encode.
        target_bpp: as encode.
        target_psnr_db: as encode.
        codec: as encode.
        metric: as encode.
        effort: as encode.
        device: as encode.
        strip: as encode.
        downscale: as encode.
        max_memory_bytes: as encode.
        overwrite: replace an existing target.
        measure_psnr: decode the stream and report the PSNR of the 8-bit picture.
        max_pixels: a lower limit than the format's readers have.
        keep_attributes: target gets the permissions and modification time of source.
        on_step: as encode.

    Raises:
        FileAccessError, OutputExistsError: about source or target.
        CdsrError, ValueError: as encode, and of a target that has the name of a picture.
    """
    from cdsrcodec.chunks.sidecar import chunks_of
    from cdsrcodec.codec import encode_pixels, resolve_device
    from cdsrcodec.imageio import reader, writer

    begin_s = time.perf_counter()
    source, target = Path(source), Path(target)
    goal = goal_of(quality, target_size_bytes, target_bpp, target_psnr_db)
    _check_stream_output(target, source, overwrite=overwrite)
    torch_device = resolve_device(device)
    code = partial(encode_pixels, quality=goal, codec=codec, metric=metric, effort=effort)
    picture = reduced(reader.read_picture(source, max_pixels=max_pixels), downscale)
    with about(source):
        data = code(
            picture.pixels,
            device=torch_device,
            chunks=chunks_of(picture, strip),
            max_memory_bytes=max_memory_bytes,
            on_step=on_step,
        )
    psnr_db = _psnr_rgb_db(picture, data, torch_device, max_memory_bytes) if measure_psnr else None
    writer.write_bytes(data, target, like=source if keep_attributes else None, overwrite=overwrite)
    return _encode_report(picture, data, psnr_db, time.perf_counter() - begin_s, torch_device)


def _check_stream_output(target: Path, source: Path, *, overwrite: bool) -> None:
    """Refuse a target that is no place for a stream, before anything is computed."""
    from cdsrcodec.imageio.writer import check_output

    check_stream_name(target)
    check_output(target, source, overwrite=overwrite)


def _psnr_rgb_db(
    picture: Picture, data: bytes, device: torch.device, max_memory_bytes: int | None
) -> float:
    """Of the 8-bit picture of native size."""
    from cdsrcodec.codec import decode_pixels
    from cdsrcodec.imageio.fidelity import mean_squared_error, psnr_of_mse_db

    x_hat = decode_pixels(
        data, sr=1, upscaler="latent", device=device, max_memory_bytes=max_memory_bytes
    )
    return psnr_of_mse_db(mean_squared_error(picture.pixels, x_hat))


def _encode_report(
    picture: Picture,
    data: bytes,
    psnr_rgb_db: float | None,
    elapsed_s: float,
    device: torch.device,
) -> EncodeReport:
    header = read_stream(data).header
    return EncodeReport(
        width_px=header.width_px,
        height_px=header.height_px,
        quality=header.quality,
        stream_bytes=len(data),
        bpp=8 * len(data) / (header.width_px * header.height_px),
        psnr_rgb_db=psnr_rgb_db,
        elapsed_s=elapsed_s,
        device=device.type,
        warnings=picture.warnings,
    )


def decode_file(
    source: StrPath,
    target: StrPath,
    *,
    sr: Sr = 1,
    upscaler: str | None = None,
    upscaler_weights: StrPath | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_memory_bytes: int | None = None,
    overwrite: bool = False,
    max_pixels: int = Limits.max_pixels,
    keep_attributes: bool = False,
    on_step: OnStep | None = None,
) -> DecodeReport:
    """Decode the stream file `source` into the picture file `target`.

    Args:
        source: a .cdsr file.
        target: the picture file; its extension decides the format.
        sr: as decode.
        upscaler: as decode.
        upscaler_weights: as decode.
        device: as decode.
        precision: as decode.
        max_memory_bytes: as decode.
        overwrite: replace an existing target.
        max_pixels: a lower limit than the format's readers have, of the native size.
        keep_attributes: target gets the permissions and modification time of source.
        on_step: as decode.

    Raises:
        InputImageError: target's extension names no picture format, or one that has no
            alpha while the picture has transparent pixels.
        FileAccessError, OutputExistsError: about source or target.
        CdsrError, ValueError: as decode.
    """
    from cdsrcodec.imageio import writer
    from cdsrcodec.imageio.tagging import holds_profile

    source, target = Path(source), Path(target)
    writer.check_output(target, source, overwrite=overwrite)
    data = _read_file(source)
    with about(source):
        stream = read_stream(data, limits=Limits(max_pixels=max_pixels))
    _check_picture_output(target, stream, sr)
    upscaler = upscaler_of(upscaler, sr)
    weights = given_weights(upscaler, upscaler_weights)
    from cdsrcodec.codec import decode_picture, resolve_device

    begin_s = time.perf_counter()  # of the work, without imports, as of encode_file
    torch_device = resolve_device(device)
    with about(source):
        image, warnings = decode_picture(
            data,
            sr=sr,
            upscaler=upscaler,
            device=torch_device,
            upscaler_weights=weights,
            precision=precision,
            max_memory_bytes=max_memory_bytes,
            on_step=on_step,
            in_source_space=holds_profile(writer.output_format(target)),
        )
    warnings += writer.write_image(
        image, target, like=source if keep_attributes else None, overwrite=overwrite
    )
    return DecodeReport(
        image.width, image.height, time.perf_counter() - begin_s, torch_device.type, warnings
    )


def _check_picture_output(target: Path, stream: Stream, sr: Sr) -> None:
    """Refuse a target whose format cannot hold the picture, before anything is computed."""
    from cdsrcodec.chunks.sidecar import has_alpha
    from cdsrcodec.imageio import writer

    full_size_px = full_size_of(stream) if sr == UPSCALE else None
    native_size_px = (stream.header.width_px, stream.header.height_px)
    writer.check_size(target, *(full_size_px or (side_px * sr for side_px in native_size_px)))
    if has_alpha(stream):
        writer.check_alpha(target)


def info_file(path: StrPath) -> StreamInfo:
    """`info` of a file.

    Raises:
        FileAccessError: it cannot be read.
        CdsrError: as info.
    """
    data = _read_file(path)
    with about(path):
        return info(data)


def verify_file(path: StrPath) -> StreamInfo:
    """Decode all symbols of a file and compare both checksums, without making a picture.

    Raises:
        CdsrError: what is wrong with the file.
    """
    from cdsrcodec.chunks.sidecar import alpha_of
    from cdsrcodec.codec import decode_symbols

    data = _read_file(path)
    with about(path):
        alpha_of(read_stream(data))
        decode_symbols(data)
        return info(data)


def _read_file(path: StrPath) -> bytes:
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(MAGIC))
            # Other files, which may be films, are refused by their first bytes.
            return start + file.read() if start == MAGIC else start
    except IsADirectoryError as error:
        raise FileAccessError(
            f"{path}: a directory. hint: name a .cdsr file, or -r takes those in it"
        ) from error
    except OSError as error:
        raise FileAccessError(f"{path}: cannot be read: {error.strerror}") from error
