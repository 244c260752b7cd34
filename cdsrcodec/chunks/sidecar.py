"""All chunks of a picture: written beside its symbols, and read again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.chunks.blocks import pack_block, unpack_block
from cdsrcodec.chunks.facts import (
    PLAIN_ORIGIN,
    Origin,
    pack_full_size,
    pack_origin,
    pack_resolution,
    unpack_full_size,
    unpack_origin,
    unpack_resolution,
)
from cdsrcodec.chunks.plane import pack_plane, unpack_plane
from cdsrcodec.container import Chunk, Header, Limits, Stream, kinds
from cdsrcodec.errors import FormatError, LimitError
from cdsrcodec.imageio.exif import clean_exif
from cdsrcodec.imageio.metadata import MAX_BLOCK_BYTES, Metadata
from cdsrcodec.imageio.reader import Picture


@dataclass(frozen=True)
class Sidecar:
    """What the optional chunks of a stream tell.

    Attributes:
        origin: what was encoded.
        metadata: to be given back with the picture.
        full_size_px: width and height before the picture was reduced by 4, or None.
        warnings: a line for each chunk that was skipped because it is malformed.
    """

    origin: Origin
    metadata: Metadata
    full_size_px: tuple[int, int] | None
    warnings: tuple[str, ...]


def chunks_of(picture: Picture, strip: str | Collection[str] = ()) -> tuple[Chunk, ...]:
    """The chunks of a picture; none for an opaque 8-bit RGB picture without metadata.

    Args:
        picture: as it was read.
        strip: metadata that are left out, of imageio.metadata.STRIPPABLE.

    Raises:
        ValueError: strip names something else.
        LimitError: more bytes than readers of the format accept.
    """
    metadata = picture.metadata.without(strip)
    origin = Origin(picture.model, picture.bits)
    packed = {
        kinds.ALPHA: None if picture.alpha is None else pack_plane(picture.alpha),
        kinds.ORIGIN: None if origin == PLAIN_ORIGIN else pack_origin(origin),
        kinds.FULL_SIZE: picture.full_size_px and pack_full_size(picture.full_size_px),
        kinds.RESOLUTION: metadata.dpi and pack_resolution(metadata.dpi),
        kinds.ICC_PROFILE: metadata.icc_profile and pack_block(metadata.icc_profile),
        kinds.EXIF: metadata.exif and pack_block(metadata.exif),
        kinds.XMP: metadata.xmp and pack_block(metadata.xmp),
    }
    chunks = tuple(Chunk(kind, data) for kind in kinds.REGISTERED if (data := packed[kind]))
    size_bytes, max_bytes = sum(len(chunk.data) for chunk in chunks), Limits().max_chunk_bytes
    if size_bytes > max_bytes:
        raise LimitError(
            f"alpha plane and metadata take {size_bytes} bytes, more than the {max_bytes} that a "
            "file may have. hint: reduce the picture, or flatten it onto a background"
        )
    return chunks


def has_alpha(stream: Stream) -> bool:
    """Whether the picture has an alpha plane, without decoding it."""
    return any(chunk.kind == kinds.ALPHA for chunk in stream.chunks)


def alpha_of(stream: Stream) -> NDArray[np.uint8] | None:
    """The alpha plane, uint8 (H, W), or None for an opaque picture.

    Raises:
        FormatError: the chunk is malformed, or there are two.
    """
    planes = [chunk for chunk in stream.chunks if chunk.kind == kinds.ALPHA]
    if not planes:
        return None
    if len(planes) > 1:
        raise FormatError(
            "a second alpha plane. hint: the file was made wrongly", offset=planes[1].offset
        )
    header = stream.header
    return unpack_plane(planes[0].data, header.width_px, header.height_px, offset=planes[0].offset)


def sidecar_of(stream: Stream) -> Sidecar:
    """What the optional chunks tell. Malformed ones and second ones count as absent.

    At most MAX_BLOCK_BYTES are decompressed of a chunk.
    """
    found: dict[bytes, Any] = {}
    skipped = []
    for chunk in stream.chunks:
        unpack = _UNPACKERS.get(chunk.kind)
        if unpack is None:
            continue
        try:
            if chunk.kind in found:
                raise ValueError("there is one before it")
            found[chunk.kind] = unpack(chunk.data, stream.header)
        except ValueError as error:
            skipped.append(f"chunk {chunk.kind.decode('ascii')} is skipped: {error}")
    metadata = Metadata(
        exif=found.get(kinds.EXIF),
        xmp=found.get(kinds.XMP),
        icc_profile=found.get(kinds.ICC_PROFILE),
        dpi=found.get(kinds.RESOLUTION),
    )
    return Sidecar(
        found.get(kinds.ORIGIN, PLAIN_ORIGIN), metadata, found.get(kinds.FULL_SIZE), tuple(skipped)
    )


def _unpack_metadata(data: bytes, _header: Header) -> bytes:
    return unpack_block(data, max_bytes=MAX_BLOCK_BYTES)


def _unpack_exif(data: bytes, header: Header) -> bytes | None:
    # Other writers may have kept what the format forbids: an orientation, above all.
    return clean_exif(_unpack_metadata(data, header)) or None


def _unpack_xmp(data: bytes, header: Header) -> bytes:
    packet = _unpack_metadata(data, header)
    packet.decode()  # UnicodeDecodeError is a ValueError
    return packet


_UNPACKERS: dict[bytes, Callable[[bytes, Header], Any]] = {
    kinds.ORIGIN: lambda data, _: unpack_origin(data),
    kinds.FULL_SIZE: unpack_full_size,
    kinds.RESOLUTION: lambda data, _: unpack_resolution(data),
    kinds.ICC_PROFILE: _unpack_metadata,
    kinds.EXIF: _unpack_exif,
    kinds.XMP: _unpack_xmp,
}
