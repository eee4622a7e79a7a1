"""The sample site's server: `python -m deploy.sample.serve`, or `with SampleSite() as site` in a test.

It needs the standard library alone. Validators, HEAD and 304 work as on a well-kept web server.
"""

import argparse
import signal
import socket
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from deploy.sample.site import Answer, Site

_SILENT_SECONDS = 20  # a connection on which nothing comes for so long is closed


class Request(NamedTuple):
    """One line of the request log."""

    method: str
    path: str  # with its query, as it was asked
    status: int


class SampleSite:
    """The sample site on a port of its own, from `with` to the end of the block.

    `edit` and `remove` change it in memory; the files stay as they are.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port))
        self._host = host
        self._site = Site(self.url.rstrip("/"))
        self._server.site = self._site
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sample site")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address of the home page, with a slash at its end."""
        return f"http://{self._host}:{self._server.server_port}/"

    @property
    def requests(self) -> list[Request]:
        """Every request answered so far, oldest first."""
        return list(self._server.log)

    @property
    def paths(self) -> list[str]:
        """The address of every page now served, twins and files left out."""
        return sorted(self._site.pages)

    def address(self, path: str) -> str:
        """The whole URL of a path of this site."""
        return self.url.rstrip("/") + path

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old` by `new` in the page at `path`: its ETag, Last-Modified and `lastmod` change with it.

        Raises:
            KeyError: If there is no such page.
            ValueError: If the page does not say `old`.
        """
        self._site.edit(path, old, new)

    def remove(self, path: str) -> None:
        """Take the page at `path` away: 404; menus, lists and sitemaps forget it, links in texts stay.

        Raises:
            KeyError: If there is no such page.
        """
        self._site.remove(path)


class _Server(ThreadingMixIn, HTTPServer):
    """One thread a connection; closing ends the idle ones and waits for all."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128
    site: Site

    def __init__(self, address: tuple[str, int]) -> None:
        self.log: list[Request] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = False
        super().__init__(address, _Connection)  # last: where it fails it calls server_close

    def came(self, connection: socket.socket) -> None:
        """Remember a connection, so that closing need not wait until it falls silent."""
        with self._lock:
            self._open.add(connection)
            if self._closing:
                _hang_up(connection)

    def went(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._open.discard(connection)

    def server_close(self) -> None:
        """Hang up on everyone, wait for their threads, and free the port."""
        with self._lock:
            self._closing = True
            for connection in self._open:
                _hang_up(connection)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class has it so
        """Say nothing about a client that went away; report anything else."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    """Answers GET and HEAD; `Site` knows what, this class knows HTTP."""

    protocol_version = "HTTP/1.1"
    server_version = "Larkmoor"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one write
    timeout = _SILENT_SECONDS
    server: _Server

    def setup(self) -> None:
        """Join the server's open connections."""
        self.server.came(self.request)
        super().setup()

    def finish(self) -> None:
        """Leave them again, whatever the client still owed."""
        try:
            super().finish()
        finally:
            self.server.went(self.request)

    def do_GET(self) -> None:
        """Answer with head and body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the head that GET would get."""
        self._answer(with_body=False)

    def do_POST(self) -> None:
        """Sell nothing: forms are part of the scenery. The connection ends, as the form's body was not read."""
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "This shop is only a sample")

    def log_message(self, *_: object) -> None:
        """Write no line to stderr: the log is `SampleSite.requests`."""

    def log_request(self, code: int | str = "-", _size: int | str = "-") -> None:
        """Note the request for `SampleSite.requests`."""
        status = code.value if isinstance(code, HTTPStatus) else int(code)
        self.server.log.append(Request(self.command or "", self.path if self.command else "", status))

    def _answer(self, *, with_body: bool) -> None:
        answer = self.server.site.answer(unquote(urlsplit(self.path).path))
        if answer.location:
            self._redirect(answer)
        elif answer.status == HTTPStatus.OK and self._has(answer):
            self._head(HTTPStatus.NOT_MODIFIED, answer)
            self.end_headers()
        else:
            self._head(HTTPStatus(answer.status), answer)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body if with_body else b"")

    def _redirect(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Location", answer.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _head(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        if answer.status == HTTPStatus.OK:
            self.send_header("ETag", answer.etag)
            self.send_header("Last-Modified", format_datetime(answer.changed.astimezone(UTC), usegmt=True))
            self.send_header("Cache-Control", "no-cache")

    def _has(self, answer: Answer) -> bool:
        """Whether the client's copy is this one; an ETag, where it sends one, decides alone (RFC 9110, 13.1.3)."""
        if (tags := self.headers.get("If-None-Match")) is not None:
            known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
            return bool(known & {"*", answer.etag})
        since = _moment(self.headers.get("If-Modified-Since", ""))
        return since is not None and answer.changed.replace(microsecond=0) <= since


def _moment(text: str) -> datetime | None:
    """An HTTP date; None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        connection.shutdown(socket.SHUT_RDWR)


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, and say where on the first line of stdout."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sample.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    chosen = parser.parse_args(arguments)
    told: SimpleQueue[None] = (
        SimpleQueue()
    )  # not an event: a handler that sets one may wait for the lock it interrupted
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: told.put(None))
    try:
        site = SampleSite(host=chosen.host, port=chosen.port)
    except OSError as error:
        sys.exit(f"Cannot listen on {chosen.host}:{chosen.port}: {error.strerror}. Try another --port.")
    with site:
        sys.stdout.write(f"{site.url}\n")
        sys.stdout.flush()
        told.get()


if __name__ == "__main__":
    main()
