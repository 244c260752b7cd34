"""Which codec and which weights wrote a stream, by what its header says."""

from __future__ import annotations

from cdsrcodec.container import Header
from cdsrcodec.errors import FileAccessError, ModelError
from cdsrcodec.models.registry import (
    CODECS,
    Codec,
    CodecEntry,
    entries_of,
    former_entries_of,
    how_to_install,
)


def codec_of_stream(header: Header) -> CodecEntry:
    """The weights that a stream was written with.

    Raises:
        ModelError: the codec is unknown, or its weights here are not those of the writer.
        FileAccessError: the folder of installed models cannot be read.
    """
    codec_and_metric = _find(header.model_id)
    if codec_and_metric is None:
        raise ModelError(
            f"the file was written by model {header.model_id}, which this version does not have. "
            "hint: upgrade cdsrcodec"
        )
    return _entry_of_stream(*codec_and_metric, header)


def codec_name_of(model_id: int) -> str | None:
    """The codec that has a number, whether its weights are here or not; None for no codec."""
    codec_and_metric = _find(model_id)
    return None if codec_and_metric is None else codec_and_metric[0].name


def weights_error_of(header: Header) -> str | None:
    """Why a stream cannot be decoded with the weights here, with what to do; None if it can."""
    try:
        codec_of_stream(header)
    except (ModelError, FileAccessError) as error:
        return str(error)
    return None


def _find(model_id: int) -> tuple[Codec, str] | None:
    """The codec and metric of a number."""
    for codec in CODECS.values():
        for metric, its_id in codec.model_ids.items():
            if its_id == model_id:
                return codec, metric
    return None


def _entry_of_stream(codec: Codec, metric: str, header: Header) -> CodecEntry:
    tag = header.entropy_tag
    entries = entries_of(codec.name, metric)
    for entry in (*entries, *former_entries_of(codec.name, metric)):
        fits = entry.quality in (None, header.quality) and entry.is_named_by(tag)
        if fits and entry.entropy_tag() == tag:
            return entry
    if codec.folder is not None:
        here = entries[0].entropy_tag().hex()
        raise ModelError(
            f"the file was written with other {codec.name} weights (tag {tag.hex()}, here {here}). "
            "hint: decode it with the version that wrote it"
        )
    raise ModelError(
        f"the file was written with weights of {codec.name} for quality {header.quality:g} and "
        f"{metric}, tag {tag.hex()}, which are not installed. "
        f"hint: {how_to_install(codec.name, header.quality, metric)}"
    )
