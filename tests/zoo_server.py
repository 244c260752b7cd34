"""A web server on this machine that can misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ZooServer:
    """Serves `content` under any name, and remembers what was asked.

    Attributes:
        content: what it serves.
        url: where it is.
        status: what it answers in the place of the content.
        cut_bytes: the connection is closed after so many bytes of each answer.
        ignores_range: gives the whole content always.
        tells_length: sends Content-Length.
        delay_s: sleeps so long before the content; ends early when the test does.
        requests: path and Range header of each request.
    """

    content: bytes = b""
    url: str = ""
    status: int = 200
    cut_bytes: int | None = None
    ignores_range: bool = False
    tells_length: bool = True
    delay_s: float = 0.0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    zoo: ZooServer

    def do_GET(self) -> None:
        zoo, asked = self.zoo, self.headers.get("Range")
        zoo.requests.append((self.path, asked))
        start = 0 if asked is None or zoo.ignores_range else int(asked[len("bytes=") : -1])
        if zoo.status != 200 or (start and start >= len(zoo.content)):
            self.send_error(zoo.status if zoo.status != 200 else 416)
            return
        body = zoo.content[start:]
        self.send_response(206 if start else 200)
        if zoo.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        zoo.ended.wait(zoo.delay_s)
        self.wfile.write(body[: zoo.cut_bytes])

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@contextmanager
def serve() -> Iterator[ZooServer]:
    """A server that runs as long as the context."""
    zoo = ZooServer()
    handler = type("Handler", (_Handler,), {"zoo": zoo})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        zoo.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield zoo
        zoo.ended.set()
        server.shutdown()
        thread.join()
