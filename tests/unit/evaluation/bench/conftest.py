"""A small benchmark that no codec had to run for, and a browser to look at its report."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from cdsrcodec.evaluation.bench import report
from cdsrcodec.evaluation.bench.plan import Picture, Settings, inspect_picture
from cdsrcodec.evaluation.bench.rows import Row
from cdsrcodec.evaluation.bench.running import Measured
from cdsrcodec.evaluation.bench.views import write_view
from cdsrcodec.evaluation.codecs import find_codec

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
BROWSER_TIMEOUT_S = 120


def make_row(image: str, codec: str, rung: float | None, **measures: object) -> Row:
    """A row of a picture of 48x32 whose rate doubles and PSNR rises by 3 dB a rung."""
    rate = None if rung is None else int(20 * 2**rung)
    row = Row(
        image=image,
        codec=codec,
        enlarger="",
        rung=rung,
        quality=rung,
        width_px=48,
        height_px=32,
        stream_bytes=rate,
        bpp=None if rate is None else 8 * rate / 1536,
        bpp_output=None if rate is None else 8 * rate / 1536,
        psnr_rgb_db=25.0 if rung is None else 25 + 3 * rung,
        psnr_y_db=27.0 if rung is None else 27 + 3 * rung,
        ms_ssim=None,
        ssimulacra2=None,
        encode_s=0.25,
        decode_s=0.125,
        peak_memory_bytes=10_000_000,
        view=None,
    )
    return dataclasses.replace(row, **measures)  # type: ignore[arg-type]


@pytest.fixture
def row() -> Callable[..., Row]:
    """Makes a row of (image, codec, rung), with other measures by name."""
    return make_row


@pytest.fixture
def settings(picture_folder: Path, tmp_path: Path) -> Settings:
    """Task native with JPEG and WebP at two rungs each, on the two pictures of picture_folder."""
    codecs = tuple(find_codec(name, device="cpu") for name in ("webp", "jpeg"))
    rungs = {"webp": (10.0, 60.0), "jpeg": (10.0, 60.0)}
    return Settings(picture_folder, tmp_path / "report", "native", codecs, rungs, crop_px=16)


@pytest.fixture
def measured(settings: Settings) -> Measured:
    """Rows of both pictures for both codecs, with cut-outs as files; one picture failed."""
    done = Measured()
    (settings.output / "views").mkdir(parents=True)
    for offset_db, path in enumerate(sorted(settings.folder.glob("*.[pP]*"))):
        picture: Picture = inspect_picture(path, "native")
        done.pictures.append(picture)
        for codec, shade in (("webp", 100), ("jpeg", 200)):
            for rung in (1.0, 2.0, 3.0):
                pixels: NDArray[np.uint8] = np.full((16, 16, 3), shade + int(rung), np.uint8)
                view = write_view(pixels, settings.output)
                psnr_db = 25 + 3 * rung + offset_db + (codec == "webp")
                done.rows.append(make_row(path.name, codec, rung, psnr_rgb_db=psnr_db, view=view))
    return done


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the plots for print out of reports: they take longer than all the rest."""
    monkeypatch.setattr(report, "draw_plots", lambda methods, deltas: {})


class Page:
    """One tab of a headless browser, driven by its debugging protocol over two pipes."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands, self._answers = commands, answers
        self._number = 0
        self._session: str | None = None
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and wait for its answer; errors of the page on the way are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser went away"
            text += byte
        answer: dict[str, Any] = json.loads(text)
        wrong = answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
        logged = answer.get("method") == "Runtime.consoleAPICalled"
        if wrong or (logged and answer["params"]["type"] in ("error", "warning")):
            self.errors.append(str(answer["params"]))
        return answer

    def open(self, file: Path, width_px: int, height_px: int = 900, *, dark: bool = False) -> None:
        """Show a file in a window of this size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width_px, height=height_px, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.call("Page.navigate", url=file.as_uri())
        while self._read().get("method") != "Page.loadEventFired":
            continue

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401  whatever JSON holds
        """The value of an expression in the page, promises awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key on what has the focus."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """The mouse with its button held down."""
        for kind, (x, y), buttons in (
            ("mousePressed", start, 1), ("mouseMoved", end, 1), ("mouseReleased", end, 0),
        ):  # fmt: skip
            self.call(
                "Input.dispatchMouseEvent",
                type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1,
            )  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A tab of headless Chromium; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium-headless-shell")
    reads, commands = os.pipe()
    answers, writes = os.pipe()
    arguments = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]  # fmt: skip
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "bash", *arguments],
        pass_fds=(reads, writes),
        stderr=subprocess.DEVNULL,
    )
    os.close(reads)
    os.close(writes)
    watchdog = threading.Timer(BROWSER_TIMEOUT_S, process.kill)
    watchdog.start()
    with os.fdopen(commands, "wb") as commands_file, os.fdopen(answers, "rb") as answers_file:
        try:
            yield Page(commands_file, answers_file)
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
