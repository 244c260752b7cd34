"""The models that are here: shipped, and installed in the user's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cdsrcodec.api.reports import ModelInfo
from cdsrcodec.api.streams import StrPath
from cdsrcodec.errors import ModelError
from cdsrcodec.models import store
from cdsrcodec.models.registry import (
    BMSHJ2018_HYPERPRIOR,
    DEFAULT_METRIC,
    CodecEntry,
    check_settings,
    installed,
    shipped,
)


def models_folder() -> Path:
    """Where installed models are: in $CDSRCODEC_HOME, or as XDG_DATA_HOME has it."""
    return store.models_folder()


def list_models() -> list[ModelInfo]:
    """All models: those of the package, then the installed ones by name.

    Raises:
        FileAccessError, ModelError: some of them cannot be read.
    """
    return [_describe(entry) for entry in (*shipped(), *installed())]


def show_model(name: str) -> ModelInfo:
    """One model.

    Raises:
        ModelError: there is none of this name.
        FileAccessError: the folder of the installed ones cannot be read.
    """
    return _describe(_find(name))


def import_model(
    file: StrPath,
    *,
    codec: str = BMSHJ2018_HYPERPRIOR,
    quality: int,
    metric: str = DEFAULT_METRIC,
) -> ModelInfo:
    """Convert a checkpoint and install it. Importing it again changes nothing.

    Args:
        file: a checkpoint of CompressAI's layout: .pth, .pth.tar or .safetensors.
        codec: "bmshj2018-hyperprior".
        quality: 1..8, what it was trained for.
        metric: "mse" or "ms-ssim", likewise.

    Raises:
        ValueError: no such quality or metric, or a codec that takes no weights.
        ModelError: no such codec, or not a checkpoint of it.
        FileAccessError: it cannot be stored.
    """
    from cdsrcodec.zoo.importing import import_checkpoint

    return _describe(import_checkpoint(Path(file), codec, quality, metric))


def pull_model(
    quality: int,
    *,
    metric: str = DEFAULT_METRIC,
    on_progress: Callable[[int, int], None] | None = None,
) -> ModelInfo:
    """Install the weights of bmshj2018-hyperprior that CompressAI's zoo publishes.

    Nothing is downloaded if they are installed.

    Args:
        quality: 1..8.
        metric: "mse" or "ms-ssim".
        on_progress: told the bytes that have come, and the bytes in all.

    Raises:
        ValueError: no such quality or metric.
        FileAccessError: it cannot be downloaded or stored.
        ModelError: other bytes than were published.
    """
    check_settings(BMSHJ2018_HYPERPRIOR, quality=quality, metric=metric)
    from cdsrcodec.zoo.compressai import installed_from, pull, zoo_files

    file = zoo_files(metric)[int(quality) - 1]
    return _describe(installed_from(file) or pull(file, on_progress))


def remove_model(name: str) -> None:
    """Remove an installed model.

    Raises:
        ModelError: it is none, or part of the package.
        FileAccessError: it cannot be removed.
    """
    if _find(name).quality is None:
        raise ModelError(f"{name} is part of the package. hint: only installed models can go")
    from cdsrcodec.models.installing import remove

    remove(name)


def _find(name: str) -> CodecEntry:
    """The model of this name, whatever state its files are in: damaged ones can be removed."""
    for entry in (*shipped(), *installed()):
        if _name(entry) == name:
            return entry
    raise ModelError(f"there is no model {name!r}. hint: cdsrcodec models list")


def _name(entry: CodecEntry) -> str:
    return entry.name if entry.quality is None else entry.folder.name


def _describe(entry: CodecEntry) -> ModelInfo:
    from cdsrcodec.zoo.origin import origin_of

    origin = origin_of(entry)
    return ModelInfo(
        name=_name(entry),
        codec=entry.name,
        model_id=entry.model_id,
        metric=entry.metric,
        quality=entry.quality,
        entropy_tag=entry.entropy_tag().hex(),
        size_bytes=sum(file.stat().st_size for file in entry.files if file.is_file()),
        folder=str(entry.folder),
        shipped=entry.quality is None,
        checkpoint=origin.file,
        checkpoint_sha256=origin.sha256,
    )
