"""The report as one HTML file that needs no other: style, script, data and cut-outs inside."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from cdsrcodec.evaluation.bench.plan import Settings, load_picture
from cdsrcodec.evaluation.bench.rows import Row
from cdsrcodec.evaluation.bench.running import Measured
from cdsrcodec.evaluation.bench.summary import plain
from cdsrcodec.evaluation.bench.views import cut_out, find_detail, view_bytes, view_path

TEMPLATE, STYLE, SCRIPT = (
    Path(__file__).with_name(name) for name in ("page.html", "page.css", "page.js")
)
# What a phone still opens. The cut-outs are lossless, some 50 to 100 KB of 256 px each.
VIEW_BUDGET_BYTES = 24_000_000


def build_page(
    settings: Settings, measured: Measured, summary: Mapping[str, Any], anchor: str
) -> str:
    """The page of a benchmark.

    Args:
        settings: what was measured.
        measured: its rows, and pictures, which are read again for their own cut-outs.
        summary: of report.describe.
        anchor: the method that deltas are shown against at first.
    """
    data = {
        "summary": summary,
        "anchor": anchor,
        "columns": [field.name for field in fields(Row)],
        "rows": [plain(astuple(row)) for row in measured.rows],
        "views": collect_views(settings, measured),
    }
    # "<" of a file name must not end the script element that the data stand in.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = TEMPLATE.read_text(encoding="utf-8")
    parts = {
        "title": html.escape(f"cdsrcodec bench: {settings.folder.resolve().name}"),
        "style": STYLE.read_text(encoding="utf-8"),
        "script": SCRIPT.read_text(encoding="utf-8"),
        "data": text,
    }
    for name, part in parts.items():
        page = page.replace(f"<!--{name}-->", part)
    return page


def collect_views(
    settings: Settings, measured: Measured, budget_bytes: int = VIEW_BUDGET_BYTES
) -> dict[str, dict[str, str]]:
    """Data URIs of the cut-outs by picture: by hash, the picture's own as "reference".

    Whole pictures in the order of their names, as many as the budget holds.
    """
    views: dict[str, dict[str, str]] = {}
    for picture in measured.pictures if settings.crop_px else ():
        x = load_picture(picture.path, settings.task)
        corner = find_detail(x, settings.crop_px)
        name = picture.path.name
        names = {row.view for row in measured.rows if row.image == name and row.view is not None}
        files = {view: view_path(settings.output, view).read_bytes() for view in sorted(names)}
        files["reference"] = view_bytes(cut_out(x, corner, settings.crop_px))
        budget_bytes -= sum(len(data) for data in files.values())
        if budget_bytes < 0:
            break
        views[name] = {view: _data_uri(data) for view, data in files.items()}
    return views


def _data_uri(data: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
