"""What the functions of the interface tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChunkInfo:
    """One chunk of a stream: its kind, size, and whether a reader must know it."""

    kind: str
    data_bytes: int
    critical: bool


@dataclass(frozen=True)
class StreamInfo:
    """What a stream says about itself, and whether it can be decoded here.

    `codec` is None if this version has no codec of that `model_id`. `installed` tells whether
    the weights that wrote the stream are here; if not, `weights_error` is what decoding would
    say, with what to do, else None.

    `bpp` is of the whole stream, per native pixel. `source` is colour model and bits per
    sample of the picture that was encoded, such as "L;16"; None for 8-bit RGB. The full size
    is that of a picture that was reduced before coding, which `sr=4` gives back.
    """

    version: int
    codec: str | None
    model_id: int
    entropy_tag: str
    installed: bool
    weights_error: str | None
    quality: float
    width_px: int
    height_px: int
    stream_bytes: int
    header_bytes: int
    payload_bytes: int
    bpp: float
    source: str | None
    full_width_px: int | None
    full_height_px: int | None
    chunks: tuple[ChunkInfo, ...]


@dataclass(frozen=True)
class ModelInfo:
    """Weights of a codec: those in the package, or an installed model.

    `quality` is None where one network serves all. `checkpoint` and its hash are those of the
    file that it was imported from, None if that is not known.
    """

    name: str
    codec: str
    model_id: int
    metric: str
    quality: int | None
    entropy_tag: str
    size_bytes: int
    folder: str
    shipped: bool
    checkpoint: str | None
    checkpoint_sha256: str | None


@dataclass(frozen=True)
class EncodeReport:
    """Result of encode_file.

    `psnr_rgb_db` only where it was asked for; `elapsed_s` is the time of the work, without the
    import of what does it; `warnings` has a line for each part of the
    metadata that was dropped because it is broken.
    """

    width_px: int
    height_px: int
    quality: float
    stream_bytes: int
    bpp: float
    psnr_rgb_db: float | None
    elapsed_s: float
    device: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecodeReport:
    """Result of decode_file and upscale_file: the picture written.

    `elapsed_s` as of EncodeReport; `warnings` has a line for each part of the metadata that is
    malformed or could not be written.
    """

    width_px: int
    height_px: int
    elapsed_s: float
    device: str
    warnings: tuple[str, ...] = ()
