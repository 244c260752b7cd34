from __future__ import annotations

import dataclasses
import mmap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cdsrcodec import api
from cdsrcodec.errors import InputImageError
from cdsrcodec.evaluation.bench import measuring
from cdsrcodec.evaluation.bench.coding import encode_timed, encode_within
from cdsrcodec.evaluation.bench.measuring import measure, peak_memory
from cdsrcodec.evaluation.bench.plan import Settings, Unit, inspect_picture, plan_units
from cdsrcodec.evaluation.bench.rows import DIRECT, ORIGINAL, Row
from cdsrcodec.evaluation.bench.views import cut_out, find_detail, view_path
from cdsrcodec.evaluation.codecs import PILLOW_CODECS, LearnedCodec, find_codec
from cdsrcodec.evaluation.metrics import psnr_rgb_db, psnr_y_db
from cdsrcodec.imageio.resampling import downscale

Picture = NDArray[np.uint8]
JPEG = PILLOW_CODECS["jpeg"]


def settings_for(tmp_path: Path, task: Literal["native", "lr4", "sr4"], *names: str) -> Settings:
    """Of codecs at two rungs each, on one picture of 51x66 px."""
    rungs = {"cdsr1": (1.0, 4.0), "jpeg": (10.0, 60.0), "jp2": (26.0, 34.0)}
    codecs = tuple(find_codec(name, device="cpu") for name in names)
    qualities = {name: rungs[name] for name in names}
    return Settings(tmp_path, tmp_path / "out", task, codecs, qualities, device="cpu", crop_px=16)


@pytest.fixture
def photograph(tmp_path: Path, picture: Callable[..., Picture]) -> Path:
    (tmp_path / "out" / "views").mkdir(parents=True)
    path = tmp_path / "a.png"
    Image.fromarray(picture(51, 66)).save(path)
    return path


def units_of(settings: Settings, path: Path) -> list[Unit]:
    return list(plan_units(settings, inspect_picture(path, settings.task)))


def measure_all(settings: Settings, path: Path) -> dict[tuple[str, str, float | None], Row | None]:
    return {
        (unit.codec.name if unit.codec else ORIGINAL, unit.enlarger, unit.rung): measure(
            unit, settings
        ).row
        for unit in units_of(settings, path)
    }


def test_a_native_row_counts_the_bytes_of_the_file_and_compares_its_picture(
    tmp_path: Path, photograph: Path
) -> None:
    rows = measure_all(settings_for(tmp_path, "native", "jpeg"), photograph)
    row = rows["jpeg", "", 60.0]
    assert row is not None
    with Image.open(photograph) as image:
        image.save(tmp_path / "real.jpg", quality=60, optimize=True)
        x = np.asarray(image)
    with Image.open(tmp_path / "real.jpg") as coded:
        x_hat = np.asarray(coded)
    assert row.stream_bytes == (tmp_path / "real.jpg").stat().st_size
    assert row.bpp == row.bpp_output == pytest.approx(8 * row.stream_bytes / (51 * 66))
    assert (row.width_px, row.height_px) == (66, 51)
    assert row.psnr_rgb_db == pytest.approx(psnr_rgb_db(x, x_hat))
    assert row.psnr_y_db == pytest.approx(psnr_y_db(x, x_hat))
    assert row.ms_ssim is None
    assert row.ssimulacra2 is None
    assert row.view is not None
    with Image.open(view_path(tmp_path / "out", row.view)) as view:
        np.testing.assert_array_equal(np.asarray(view), cut_out(x_hat, find_detail(x, 16), 16))


def test_cdsr1_is_measured_by_its_streams(tmp_path: Path, photograph: Path) -> None:
    rows = measure_all(settings_for(tmp_path, "native", "cdsr1"), photograph)
    row = rows["cdsr1", "", 4.0]
    assert row is not None
    api.encode_file(photograph, tmp_path / "real.cdsr", quality=4.0, device="cpu")
    assert row.stream_bytes == (tmp_path / "real.cdsr").stat().st_size
    assert row.encode_s is not None
    assert row.encode_s > 0
    assert row.decode_s > 0


def test_task_sr4_codes_the_quarter_and_compares_four_times_that(
    tmp_path: Path, photograph: Path
) -> None:
    rows = measure_all(settings_for(tmp_path, "sr4", "jp2"), photograph)
    with Image.open(photograph) as image:
        hr = np.asarray(image)[:48, :64]
    lr = downscale(hr, 4)
    codec = PILLOW_CODECS["jp2"]
    stream = codec.encode(lr, 34)
    x_sr = np.asarray(
        Image.fromarray(codec.decode(stream)).resize((64, 48), Image.Resampling.LANCZOS)
    )
    row = rows["jp2", "lanczos", 34.0]
    assert row is not None
    assert row.stream_bytes == len(stream)
    assert row.bpp == pytest.approx(8 * len(stream) / (12 * 16))
    assert row.bpp_output == pytest.approx(8 * len(stream) / (48 * 64))
    assert row.psnr_rgb_db == pytest.approx(psnr_rgb_db(hr, x_sr, shave_px=4))
    original = rows[ORIGINAL, "lanczos", None]
    assert original is not None
    x_original = Image.fromarray(lr).resize((64, 48), Image.Resampling.LANCZOS)
    assert original.psnr_y_db == pytest.approx(psnr_y_db(hr, np.asarray(x_original), shave_px=4))
    assert original.stream_bytes is None
    assert original.encode_s is None
    assert ("jp2", "latent", 34.0) not in rows


def test_the_latent_enlarger_reads_the_stream(tmp_path: Path, photograph: Path) -> None:
    settings = settings_for(tmp_path, "sr4", "cdsr1")
    unit = next(u for u in units_of(settings, photograph) if (u.enlarger, u.rung) == ("latent", 4))
    row = measure(unit, settings).row
    with Image.open(photograph) as image:
        hr = np.asarray(image)[:48, :64]
    stream = api.encode(downscale(hr, 4), quality=4.0, device="cpu")
    x_sr = np.asarray(api.decode(stream, sr=4, device="cpu"))
    assert row is not None
    assert row.stream_bytes == len(stream)
    assert row.psnr_rgb_db == pytest.approx(psnr_rgb_db(hr, x_sr, shave_px=4))


def test_task_lr4_codes_the_quarter_and_compares_it(tmp_path: Path, photograph: Path) -> None:
    rows = measure_all(settings_for(tmp_path, "lr4", "jp2"), photograph)
    with Image.open(photograph) as image:
        lr = downscale(np.asarray(image)[:48, :64], 4)
    codec = PILLOW_CODECS["jp2"]
    stream = codec.encode(lr, 34)
    row = rows["jp2", "", 34.0]
    assert row is not None
    assert (row.width_px, row.height_px, row.stream_bytes) == (16, 12, len(stream))
    assert row.bpp == row.bpp_output == pytest.approx(8 * len(stream) / (12 * 16))
    assert row.psnr_rgb_db == pytest.approx(psnr_rgb_db(lr, codec.decode(stream)))
    assert list(rows) == [("jp2", "", 26.0), ("jp2", "", 34.0)]


def test_seconds_of_codec_and_metrics_are_told_apart(
    tmp_path: Path, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, slept_s = time.perf_counter, 0.0

    def sleep_and_compare(x: Picture, x_hat: Picture, **options: int) -> float:
        nonlocal slept_s
        slept_s += 1000.0
        return psnr_rgb_db(x, x_hat, **options)

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + slept_s)
    monkeypatch.setattr(measuring, "psnr_rgb_db", sleep_and_compare)
    measuring._warm_up.cache_clear()
    unit = units_of(settings_for(tmp_path, "native", "jp2"), photograph)[0]
    finished = measure(unit, settings_for(tmp_path, "native", "jp2"))
    assert finished.row is not None
    assert finished.row.encode_s is not None
    coding_s = finished.row.encode_s + finished.row.decode_s
    assert coding_s <= finished.spent.codec_s < 1000
    assert 0 < finished.spent.loading_s < 1000 <= finished.spent.metrics_s


@pytest.mark.parametrize(
    ("name", "loaded"),
    [("cdsr1", [1.0]), ("bmshj2018-hyperprior", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])],
)
def test_every_network_of_a_codec_is_loaded_before_a_picture_is_timed(
    name: str, loaded: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[float] = []

    def encode(_codec: LearnedCodec, _x: Picture, quality: float) -> bytes:
        return str(quality).encode()

    def decode(_codec: LearnedCodec, stream: bytes) -> Picture:
        decoded.append(float(stream))
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(LearnedCodec, "encode", encode)
    monkeypatch.setattr(LearnedCodec, "decode", decode)
    measuring._warm_up.__wrapped__(find_codec(name, device="cpu"), "", "cpu", None)
    assert decoded == loaded


def test_direct_coding_stays_within_the_bytes_of_the_reference(
    tmp_path: Path, picture: Callable[..., Picture]
) -> None:
    (tmp_path / "out" / "views").mkdir(parents=True)
    path = tmp_path / "a.png"
    Image.fromarray(picture(96, 128)).save(path)
    settings = settings_for(tmp_path, "sr4", "jpeg", "jp2")
    rows = measure_all(settings, path)
    reference, floor = rows["jpeg", "bicubic", 60.0], rows["jp2", DIRECT, 0.0]
    assert reference is not None
    assert reference.stream_bytes is not None
    assert floor is not None
    assert floor.quality == PILLOW_CODECS["jp2"].scale.lowest
    direct = rows["jp2", DIRECT, 60.0]
    assert direct is not None
    assert direct.stream_bytes is not None
    assert direct.stream_bytes <= reference.stream_bytes
    assert direct.psnr_rgb_db > floor.psnr_rgb_db
    assert direct.bpp == direct.bpp_output == 8 * direct.stream_bytes / (96 * 128)


def test_a_codec_whose_smallest_file_is_larger_has_no_row(tmp_path: Path, photograph: Path) -> None:
    rows = measure_all(settings_for(tmp_path, "sr4", "cdsr1", "jpeg"), photograph)
    floor, reference = rows["jpeg", DIRECT, 0.0], rows["cdsr1", "latent", 4.0]
    assert floor is not None
    assert reference is not None
    assert floor.stream_bytes is not None
    assert reference.stream_bytes is not None
    assert floor.stream_bytes > reference.stream_bytes
    assert rows["jpeg", DIRECT, 4.0] is None


def test_with_equal_bytes_the_other_codecs_meet_those_of_the_first_one(
    tmp_path: Path, picture: Callable[..., Picture]
) -> None:
    (tmp_path / "out" / "views").mkdir(parents=True)
    path = tmp_path / "a.png"
    Image.fromarray(picture(96, 128)).save(path)
    own = settings_for(tmp_path, "sr4", "jpeg", "jp2")
    settings = dataclasses.replace(own, equal_bytes=True, direct=False)
    rows = measure_all(settings, path)
    assert {rung for _, _, rung in rows} == {None, 10.0, 60.0}
    assert DIRECT not in {enlarger for _, enlarger, _ in rows}
    for rung in (10.0, 60.0):
        reference = rows["jpeg", "bicubic", rung]
        assert reference is not None
        assert reference.stream_bytes is not None
        assert reference.quality == rung
        within = rows["jp2", "bicubic", rung]
        if rung == 60.0:
            assert within is not None
        if within is not None:
            assert within.stream_bytes is not None
            assert within.stream_bytes <= reference.stream_bytes
            assert within.bpp == 8 * within.stream_bytes / (24 * 32)
    unequal = {unit.key: unit.codec for unit in units_of(own, path)}
    kept = {u.codec.name for u in units_of(settings, path) if u.codec and u.key in unequal}
    assert kept == {"jpeg"}


def test_the_search_finds_the_best_quality_within_the_bytes(
    picture: Callable[..., Picture],
) -> None:
    x = picture(48, 64)
    encode = partial(encode_timed, JPEG, x)
    target_bytes = len(JPEG.encode(x, 55))
    found = encode_within(encode, JPEG.scale, target_bytes)
    assert found is not None
    assert found.quality >= 55
    assert len(found.stream) <= target_bytes
    assert len(JPEG.encode(x, found.quality + 1)) > target_bytes
    assert encode_within(encode, JPEG.scale, 100) is None
    most = encode_within(encode, JPEG.scale, 10**9)
    assert most is not None
    assert most.quality == JPEG.scale.highest


def test_a_picture_that_a_codec_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "out" / "views").mkdir(parents=True)
    path = tmp_path / "wide.png"
    Image.new("RGB", (16_400, 1)).save(path)
    settings = Settings(tmp_path, tmp_path / "out", "native", (PILLOW_CODECS["webp"],), {})
    with pytest.raises(InputImageError, match=r"wide\.png: webp cannot code it"):
        measure(units_of(settings, path)[0], settings)


def test_peak_memory_sees_what_was_held_and_let_go() -> None:
    with peak_memory() as idle:
        assert idle.memory_bytes is None
    # Not of malloc, which may have as much at hand from tests before, as pages that count already.
    with peak_memory() as busy, mmap.mmap(-1, 60_000_000) as held:
        assert held.write(bytes(60_000_000)) == 60_000_000
    if idle.memory_bytes is not None:
        assert busy.memory_bytes is not None
        assert busy.memory_bytes > idle.memory_bytes + 40_000_000


def test_the_cut_out_is_where_the_detail_is() -> None:
    x = np.full((64, 96, 3), 128, np.uint8)
    x[40:60, 70:90] = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
    top, left = find_detail(x, 32)
    assert (top, left) == (32, 64)
    np.testing.assert_array_equal(cut_out(x, (top, left), 32), x[32:64, 64:96])
    assert cut_out(x, find_detail(x, 500), 500).shape == x.shape


def test_a_key_says_all_that_a_row_rests_on(tmp_path: Path, photograph: Path) -> None:
    settings = settings_for(tmp_path, "native", "jpeg")
    key = units_of(settings, photograph)[0].key
    assert units_of(settings, photograph)[0].key == key
    copy = tmp_path / "copy.png"
    copy.write_bytes(photograph.read_bytes())
    assert units_of(settings, copy)[0].key == key
    assert len({unit.key for unit in units_of(settings, copy)}) == 2
    for change in ({"crop_px": 8}, {"ssimulacra2": True}, {"qualities": {"jpeg": (11.0,)}}):
        changed = dataclasses.replace(settings, **change)
        assert units_of(changed, photograph)[0].key != key


def test_the_key_of_direct_coding_rests_on_the_scale_that_is_searched(
    tmp_path: Path, photograph: Path
) -> None:
    settings = settings_for(tmp_path, "sr4", "jpeg")
    narrower = dataclasses.replace(JPEG, scale=dataclasses.replace(JPEG.scale, lowest=5))
    pairs = zip(
        units_of(settings, photograph),
        units_of(dataclasses.replace(settings, codecs=(narrower,)), photograph),
        strict=True,
    )
    changed = {(a.enlarger, a.rung) for a, b in pairs if a.key != b.key}
    assert changed == {(DIRECT, rung) for rung in (0.0, 10.0, 60.0)}


def test_a_picture_too_small_for_its_task_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (11, 40)).save(path)
    assert inspect_picture(path, "native").width_px == 11
    assert inspect_picture(path, "lr4").width_px == 2
    with pytest.raises(InputImageError, match=r"small\.png: a side is below 12 px"):
        inspect_picture(path, "sr4")
