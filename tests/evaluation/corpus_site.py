"""Serves a set's pages on loopback as the site they came from."""

from __future__ import annotations

import html
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import urlsplit

from tests.evaluation.datasets import SourcePage


class CorpusSite:
    """A web server with the pages of one host at their own paths.

    Links to the pages' host are rewritten to the server's address. `/` lists all pages and asks not to be
    indexed; `/sitemap.xml` and `/robots.txt` name them too.
    """

    def __init__(self, pages: tuple[SourcePage, ...]) -> None:
        """Take a free port; `with` starts and stops serving."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._ids = {self._path(page.url): page.id for page in pages}
        hosts = {f"{parts.scheme}://{parts.netloc}" for parts in (urlsplit(page.url) for page in pages)}
        bodies = {self._path(page.url): ("text/html", self._moved(page.html, hosts)) for page in pages}
        bodies["/"] = ("text/html", _listing([(self._path(page.url), page.title) for page in pages]))
        bodies["/sitemap.xml"] = ("application/xml", _sitemap([self.url + self._path(page.url) for page in pages]))
        bodies["/robots.txt"] = ("text/plain", f"User-agent: *\nAllow: /\nSitemap: {self.url}/sitemap.xml\n")
        answers = {path: (kind, body.encode()) for path, (kind, body) in bodies.items()}
        self._server.RequestHandlerClass = type("Answer", (_Answer,), {"answers": answers})
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def page_id(self, url: str) -> str | None:
        """The page of the set that was served there; a final slash makes no difference."""
        path = self._path(url)
        return self._ids.get(path) or self._ids.get(path + "/") or self._ids.get(path.rstrip("/"))

    @staticmethod
    def _path(url: str) -> str:
        parts = urlsplit(url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _moved(self, text: str, hosts: set[str]) -> str:
        for host in hosts:
            text = text.replace(host, self.url)
        return text


def _listing(entries: list[tuple[str, str]]) -> str:
    items = "".join(f'<li><a href="{html.escape(path)}">{html.escape(title)}</a></li>' for path, title in entries)
    head = '<meta charset="utf-8"><meta name="robots" content="noindex, follow"><title>All pages</title>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main><ul>{items}</ul></main></body></html>'


def _sitemap(urls: list[str]) -> str:
    entries = "".join(f"<url><loc>{html.escape(url)}</loc></url>" for url in urls)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'


class _Answer(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[str, bytes]]] = {}
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, body = self.answers.get(self.path, ("text/html", b""))
        self.send_response(HTTPStatus.OK if self.path in self.answers else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""
