"""Answers Prometheus on a port of its own, beside the work: `/metrics`, and `/live` for whoever only asks that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from pipeline import metrics
from pipeline.errors import PortInUse
from pipeline.logs import get_logger

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE_SECONDS = 10.0
"""A client that says nothing for so long is left."""

log = get_logger(__name__)


class ScrapeServer:
    """While entered, this process counts, and says so to whoever asks.

    Args:
        render: What the page says; it is called in a thread of its own.
        host: The address to listen on.
        port: The port to listen on; 0: any that is free.

    Raises:
        PortInUse: If the address cannot be had.
    """

    def __init__(self, render: Callable[[], bytes], *, host: str, port: int) -> None:
        answering = type("Answering", (_Answering,), {"render": staticmethod(render)})
        try:
            self._server = ThreadingHTTPServer((host, port), answering)
        except OSError as error:
            raise PortInUse(port=port, problem=error.strerror or "cannot be had") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="scraped", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Listen."""
        metrics.keep_counts()
        self._thread.start()
        log.info("metrics are served", port=self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Answering(BaseHTTPRequestHandler):
    """One connection."""

    render: Callable[[], bytes]
    timeout = PATIENCE_SECONDS
    server_version, sys_version = "sitewise", ""

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._say(HTTPStatus.OK, self.render())
        elif path == "/live":
            self._say(HTTPStatus.OK, b"alive\n")
        else:
            self._say(HTTPStatus.NOT_FOUND, b"/metrics and /live\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: a scrape is no event."""

    def _say(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
