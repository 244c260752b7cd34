"""Units of work: one for each row, and a key that says all that the row rests on."""

from __future__ import annotations

from pathlib import Path

from cdsrcodec.evaluation.bench.plan import Picture, Settings, Task, Unit, plan_units
from cdsrcodec.evaluation.bench.rows import DIRECT
from cdsrcodec.evaluation.codecs import find_codec

PICTURE = Picture(Path("a.png"), "ab12", 48, 32)


def plan(*codecs: str, task: Task, equal_bytes: bool = False) -> list[Unit]:
    """The units of PICTURE, the first codec at quality 0 alone."""
    settings = Settings(
        Path(),
        Path(),
        task,
        tuple(find_codec(name, device="cpu") for name in codecs),
        {codecs[0]: (0.0,)},
        enlargers=("bicubic",),
        equal_bytes=equal_bytes,
    )
    return list(plan_units(settings, PICTURE))


def test_quality_0_of_the_first_codec_makes_no_second_row_of_the_smallest_file() -> None:
    units = plan("webp", "jpeg", task="sr4")
    direct = [unit.codec.name for unit in units if unit.codec and unit.enlarger == DIRECT]
    assert direct == ["webp", "jpeg"]
    assert len({unit.key for unit in units}) == len(units)


def test_a_row_in_the_bytes_of_quality_0_is_not_that_in_the_bytes_of_another_codec() -> None:
    keys = {
        reference: plan(reference, "jpeg", task="native", equal_bytes=True)[-1].key
        for reference in ("webp", "avif420")
    }
    assert keys["webp"] != keys["avif420"]
