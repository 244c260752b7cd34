"""The table of all enlargers, of what reports hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdsrcodec.errors import CdsrError
from cdsrcodec.evaluation.enlargers import enlargers_page, main


def point(rung: float | None, psnr_db: float) -> dict[str, Any]:
    psnr = {"mean": psnr_db, "deviation": 1.5}
    others = dict.fromkeys(("ms_ssim", "encode_s"))
    stream = None if rung is None else {"mean": 1234.4, "deviation": 56.7}
    decode = {"mean": 0.25, "deviation": 0.0}
    return {
        "rung": rung, "pictures": 2, "stream_bytes": stream, "psnr_rgb_db": psnr,
        "psnr_y_db": {"mean": None, "deviation": 0.0}, "decode_s": decode, **others,
    }  # fmt: skip


def report(test: str, psnr_db: float, **changes: object) -> dict[str, Any]:
    methods = [
        {"name": name, "codec": name.split()[0], "points": points}
        for name, points in (
            ("original lanczos", [point(None, 33.0)]),
            ("cdsr1 edsr", [point(1.0, psnr_db), point(4.0, 29.0)]),
            (test, [point(4.0, 30.0)]),
        )
    ]
    deltas = [
        {"anchor": "cdsr1 edsr", "test": test, "interpolation": interpolation,
         "bd_rate_percent": rate, "bd_psnr_db": 0.44, "bd_rate_ms_ssim_percent": None}
        for interpolation, rate in (("pchip", -23.34), ("akima", -22.0))
    ]  # fmt: skip
    pictures = [{"sha256": "a"}, {"sha256": "b"}]
    summary = {"task": "sr4", "pictures": pictures, "methods": methods, "deltas": deltas}
    return summary | changes


def test_each_quality_has_mean_and_deviation_of_the_methods_of_all_reports() -> None:
    reports = [report("cdsr1 latent", 25.0), report("webp lanczos", 26.0)]
    lines = enlargers_page(reports, [1.0, 4.0]).splitlines()
    cells = "1234 ± 57 | {} ± 1.50 | – | – | – | 0.25 ± 0.00 |"  # noqa: RUF001
    first, second = lines.index("## Quality 1"), lines.index("## Quality 4")
    assert lines[first + 2].startswith("| method | bytes | PSNR RGB | PSNR Y | MS-SSIM | encode s")
    assert lines[first + 4 : first + 6] == [f"| `cdsr1 edsr` | {cells.format('25.00')}", ""]
    assert lines[second + 4 : second + 7] == [
        f"| `{name}` | {cells.format(psnr)}"
        for name, psnr in (
            ("cdsr1 edsr", "29.00"), ("cdsr1 latent", "30.00"), ("webp lanczos", "30.00")
        )
    ]  # fmt: skip
    assert "| `original lanczos` | – | 33.00 ± 1.50 | – | – | – | 0.25 ± 0.00 |" in lines  # noqa: RUF001
    assert lines[-2:] == [
        "| `cdsr1 latent` | -23.3 % | +0.44 dB | – |",  # noqa: RUF001
        "| `webp lanczos` | -23.3 % | +0.44 dB | – |",  # noqa: RUF001
    ]


@pytest.mark.parametrize("change", [{"task": "lr4"}, {"pictures": [{"sha256": "c"}]}])
def test_reports_that_do_not_belong_together_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(CdsrError, match="not reports of task sr4 of the same pictures"):
        enlargers_page([report("cdsr1 latent", 25.0), report("x", 25.0, **change)], [1.0])


def test_the_page_is_written_from_folders_of_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = report("cdsr1 latent", 25.0)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = tmp_path / "page.md"
    assert main([str(tmp_path), "-o", str(page), "--qualities", "4"]) == 0
    assert page.read_text(encoding="utf-8") == enlargers_page([summary], [4.0])
    assert main([str(tmp_path / "none"), "-o", str(page)]) == 1
    assert "no report. hint: make it by cdsrcodec bench" in capsys.readouterr().err
