"""The table of a benchmark: one row for each picture that a codec or an enlarger made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

ORIGINAL = "original"
"""The `codec` of pictures that were enlarged but never coded."""
DIRECT = "direct"
"""The `enlarger` of pictures that were coded at their full size."""
METRICS = ("psnr_rgb_db", "psnr_y_db", "ms_ssim", "ssimulacra2")


@dataclass(frozen=True)
class Row:
    """One measurement. A measure that was not taken is None and an empty cell.

    Attributes:
        image: file name.
        codec: with its effort, as `cdsr1:2`; ORIGINAL where nothing was coded.
        enlarger: of task sr4, where DIRECT is the HR picture coded as it is; "" of the others.
        rung: the quality of the curve's point that the row belongs to. For DIRECT that of the
            reference codec whose bytes were to be met, or 0 for the smallest file there is.
        quality: of the codec, on its own scale.
        width_px, height_px: of the picture compared with: HR of sr4.
        stream_bytes: the whole file.
        bpp: of the file over the pixels that were coded: LR of sr4.
        bpp_output: of the file over width_px x height_px.
        psnr_rgb_db, psnr_y_db: without a border of 4 px in sr4; inf for equal pictures.
        ms_ssim: over the whole picture; None below 161 px a side.
        ssimulacra2: 100 for equal pictures; None unless asked for.
        encode_s: pixels to bytes, in memory.
        decode_s: bytes to pixels, enlarging included.
        peak_memory_bytes: the most that the process held while it coded (once for all
            enlargers), decoded and enlarged, its libraries and weights included; None where the
            system does not tell.
        view: SHA-256 of the row's cut-out, a file in views/.
    """

    image: str
    codec: str
    enlarger: str
    rung: float | None
    quality: float | None
    width_px: int
    height_px: int
    stream_bytes: int | None
    bpp: float | None
    bpp_output: float | None
    psnr_rgb_db: float
    psnr_y_db: float
    ms_ssim: float | None
    ssimulacra2: float | None
    encode_s: float | None
    decode_s: float
    peak_memory_bytes: int | None
    view: str | None

    @property
    def method(self) -> str:
        """What the curve is called that the row belongs to."""
        return f"{self.codec} {self.enlarger}".strip()


def to_csv(rows: Iterable[Row], *, digits: int | None = None) -> str:
    """The rows as CSV with a header line; floats in full, or with so many significant digits."""
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    for row in rows:
        cells = asdict(row)
        if digits is not None:
            floats = {name: v for name, v in cells.items() if isinstance(v, float)}
            cells |= {name: f"{value:.{digits}g}" for name, value in floats.items()}
        table.writerow(cells)
    return text.getvalue()
