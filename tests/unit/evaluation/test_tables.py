from __future__ import annotations

from typing import Any

from cdsrcodec.evaluation.tables import quality_page, readme_table, table


def point(
    rung: float | None, bpp: float | None, psnr_db: float, **others: object
) -> dict[str, Any]:
    def spread(value: float | None) -> dict[str, float] | None:
        return None if value is None else {"mean": value, "deviation": 0.0}

    rates = {"bpp": spread(bpp), "bpp_output": spread(None if bpp is None else bpp / 16)}
    return {"rung": rung, "pictures": 2, **rates, "psnr_rgb_db": spread(psnr_db), **others}


def delta(anchor: str, test: str, percent: float | None, interpolation: str) -> dict[str, Any]:
    reason = None if percent is not None else "the curves have no PSNR in common"
    return {
        "anchor": anchor, "test": test, "published": False, "interpolation": interpolation,
        "bd_rate_percent": percent, "bd_psnr_db": None if percent is None else -percent / 20,
        "low_db": 28.0, "high_db": 37.5, "reason": reason,
    }  # fmt: skip


def summary(task: str, **others: object) -> dict[str, Any]:
    pictures = [{"image": "a.png"}, {"image": "b.png"}]
    made = {"version": "9.8.7", "task": task, "pictures": pictures}
    return {**made, "crossovers": [], "timing": None, **others}


def native() -> dict[str, Any]:
    deltas = [
        delta(anchor, "cdsr1", percent, interpolation)
        for anchor, percent in (("webp", -12.09), ("vtm (published)", 60.07), ("hm", 25.5))
        for interpolation in ("pchip", "akima")
    ]
    methods = [
        {"name": "webp", "codec": "webp", "enlarger": "", "points": [point(15, 0.3264, 29.6)]},
        {"name": "cdsr1", "codec": "cdsr1", "enlarger": "", "points": [point(1, 0.1732, 28.1186)]},
    ]
    other = delta("cdsr1", "webp", 14.0, "pchip")
    spent = {"codec_s": 16.0, "metrics_s": 2.0, "loading_s": 1.0}
    timing = {"processes": 2, "units": 4, "wall_s": 10.0, "spent": spent}
    return summary("native", methods=methods, deltas=[other, *deltas], timing=timing)


def enlarged() -> dict[str, Any]:
    methods = [
        {"name": "original lanczos", "codec": "original", "enlarger": "lanczos",
         "points": [point(None, None, 33.0)]},
        {"name": "cdsr1 latent", "codec": "cdsr1", "enlarger": "latent",
         "points": [point(1, 0.173, 27.233), point(7, 1.09, 31.473)]},
        {"name": "cdsr1 lanczos", "codec": "cdsr1", "enlarger": "lanczos",
         "points": [point(1, 0.173, 26.899), point(7, 1.09, 30.684)]},
        {"name": "cdsr1 direct", "codec": "cdsr1", "enlarger": "direct",
         "points": [point(0, 1.6, 30.0)]},
    ]  # fmt: skip
    crossover = {"enlarged": "cdsr1 latent", "direct": "cdsr1 direct", "reason": "none in common"}
    deltas = [delta("cdsr1 lanczos", "cdsr1 latent", None, i) for i in ("pchip", "akima")]
    return summary("sr4", methods=methods, deltas=deltas, crossovers=[crossover])


def test_a_table_has_as_many_rules_as_columns() -> None:
    assert list(table(["a", "b"], [["1", "2"]])) == ["| a | b |", "|---|---|", "| 1 | 2 |"]


def test_the_readme_has_the_size_against_the_codecs_that_it_names() -> None:
    lines = readme_table({"kodak": native()}, "docs/page.md").splitlines()
    assert lines[2:6] == [
        "| `cdsr1` against | Kodak, 2 pictures at their size |",
        "|---|---|",
        "| WebP (method 6) | -12.1 % |",
        "| VTM, published | +60.1 % |",
    ]
    assert "hm" not in "".join(lines)
    assert lines[-1].startswith("From [docs/page.md](docs/page.md)")


def test_benchmarks_stand_side_by_side_with_gaps() -> None:
    other = native()
    other["deltas"] = [delta("webp", "cdsr1", None, "pchip"), delta("jpeg", "cdsr1", -50, "pchip")]
    text = readme_table({"kodak": native(), "clic-lr4": other | {"task": "lr4"}}, "page")
    assert "| Kodak, 2 pictures at their size | CLIC, 2 pictures reduced by 4 |" in text
    assert "| JPEG (4:2:0) | – | -50.0 % |" in text  # noqa: RUF001
    assert "| WebP (method 6) | -12.1 % | – |" in text  # noqa: RUF001


def test_the_readme_has_the_psnr_of_each_enlarger_and_of_what_was_not_coded() -> None:
    lines = readme_table({"clic-sr4": enlarged()}, "page").splitlines()
    assert lines[2:7] == [
        "| quality | 1 | 7 | not coded |",
        "|---|---|---|---|",
        "| bits per pixel of the small picture | 0.173 | 1.090 | – |",  # noqa: RUF001
        "| `latent` | 27.23 | 31.47 | – |",  # noqa: RUF001
        "| `lanczos` | 26.90 | 30.68 | 33.00 |",
    ]


def test_the_page_has_curves_deltas_crossovers_and_time() -> None:
    page = quality_page({"kodak": native(), "clic-sr4": enlarged()})
    assert page.startswith("# Quality\n")
    assert "Measured with version 9.8.7: " in page
    assert "| method | quality | bpp coded | PSNR RGB |" in page
    assert "| cdsr1 | 1 | 0.1732 | 28.119 |" in page
    assert "| webp | -12.09 % | -12.09 % | +0.605 dB | 28.00 to 37.50 dB |" in page
    assert "the curves have no PSNR in common |" in page
    assert "- cdsr1 latent and cdsr1 direct: no crossover, none in common." in page
    assert "codecs 80.0 %, metrics 10.0 %, loading 5.0 %, harness 5.0 %." in page
    assert "](kodak/rows.csv)" in page
    assert page.endswith(".\n")
