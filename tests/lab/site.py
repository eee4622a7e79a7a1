"""A scripted website on loopback, running in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import Random
from time import monotonic
from types import TracebackType
from typing import Self
from weakref import WeakSet
from xml.sax.saxutils import escape

from tests.lab.wire import Connection, LabRequest, Reply, limit

HTML = ("Content-Type", "text/html; charset=utf-8")
Script = Callable[[LabRequest], Reply | None]
Headers = Sequence[tuple[str, str]]

_VOCABULARY = (
    "warehouse order parcel carrier return refund invoice account battery charger cable garden kettle window "
    "colour delivery customer warranty repair manual season catalogue branch holiday voucher discount payment "
    "address telephone engineer factory material cotton leather wooden silent gentle sturdy narrow modern simple "
    "arrives contains protects replaces measures supports includes explains requires prevents improves follows"
)
_SENTENCES = 12
_SENTENCE_WORDS = 9


class LabSite:
    """A website to crawl: `with LabSite() as site: site.page("/", links=["/a"])`.

    Answers are looked up by host and path with query, then by path, then asked of the scripts
    given to `serve`; anything else is a 404. `requests` is the log, in order of arrival.
    """

    def __init__(self, address: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port of `address` once entered, with TLS when given a context."""
        self.address = address
        self.port = 0
        self.requests: list[LabRequest] = []
        self.connections = 0
        self._tls = tls
        self._opened = monotonic()
        self._answers: dict[tuple[str | None, str], deque[Reply]] = {}
        self._scripts: list[Script] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._clients: set[asyncio.Task[None]] = set()
        self._transports: WeakSet[asyncio.WriteTransport] = WeakSet()
        self._thread = threading.Thread(target=self._run, name="lab site", daemon=True)

    # --- being a site ----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def url(self) -> str:
        """The site's address without a path: `http://127.0.0.1:12345`."""
        return self.at(self.address)

    def at(self, host: str) -> str:
        """The same site under another host name."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    # --- scripting -------------------------------------------------------------------------

    def page(
        self,
        path: str,
        html: str | None = None,
        *,
        title: str | None = None,
        text: str = "",
        links: Iterable[str] = (),
        head: str = "",
        headers: Headers = (),
        etag: str | None = None,
        host: str | None = None,
    ) -> None:
        """Serve a page: the `html` given, or one made of a title, a text and links."""
        body = html if html is not None else make_page(title or f"Page {path}", text, links, head)
        extra = [*headers, *([("ETag", etag)] if etag else [])]
        self.respond(path, body=body.encode(), headers=[HTML, *extra], host=host)

    def respond(
        self,
        path: str,
        *,
        status: int = 200,
        headers: Headers = (),
        body: bytes | str = b"",
        host: str | None = None,
    ) -> None:
        """Answer a path, or a path and query, with this."""
        content = body.encode() if isinstance(body, str) else body
        self.answers(path, Reply(status, content, tuple(headers)), host=host)

    def answers(self, path: str, *replies: Reply, host: str | None = None) -> None:
        """Answer a path with these, one after the other; the last one stands."""
        self._answers[host, path] = deque(replies)

    def redirect(
        self, path: str, target: str, *, status: int = 301, headers: Headers = (), host: str | None = None
    ) -> None:
        """Redirect a path."""
        self.respond(path, status=status, headers=[("Location", target), *headers], host=host)

    def robots(self, text: str, *, status: int = 200, headers: Headers = ()) -> None:
        """Serve this as robots.txt."""
        self.respond("/robots.txt", status=status, headers=[("Content-Type", "text/plain"), *headers], body=text)

    def sitemap(self, urls: Iterable[str], *, path: str = "/sitemap.xml", lastmod: str | None = None) -> None:
        """Serve a sitemap of these URLs; paths are made absolute."""
        changed = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
        entries = "".join(f"<url><loc>{escape(self._absolute(url))}</loc>{changed}</url>" for url in urls)
        self._xml(path, f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>')

    def sitemap_index(self, urls: Iterable[str], *, path: str = "/sitemap.xml") -> None:
        """Serve a sitemap index of these sitemaps."""
        entries = "".join(f"<sitemap><loc>{escape(self._absolute(url))}</loc></sitemap>" for url in urls)
        self._xml(path, f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</sitemapindex>')

    def serve(self, script: Script) -> None:
        """Ask `script` for whatever has no answer of its own; None leaves it to the next."""
        self._scripts.append(script)

    def forget(self) -> None:
        """Empty the request log."""
        self.requests.clear()

    # --- looking back ----------------------------------------------------------------------

    def count(self, target: str) -> int:
        """How often a path, or a path and query, was asked for."""
        return sum(request.target == target for request in self.requests)

    def paths(self) -> list[str]:
        """Every target asked for, without robots.txt and the sitemap."""
        hidden = {"/robots.txt", "/sitemap.xml"}
        return [request.target for request in self.requests if request.target not in hidden]

    # --- serving ---------------------------------------------------------------------------

    def _absolute(self, url: str) -> str:
        return f"{self.url}{url}" if url.startswith("/") else url

    def _xml(self, path: str, text: str) -> None:
        self.respond(path, headers=[("Content-Type", "application/xml")], body=f'<?xml version="1.0"?>{text}')

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._client, self.address, 0, ssl=self._tls, limit=limit(), backlog=256)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        server.close()
        for client in self._clients:
            client.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._clients, return_exceptions=True))
        for transport in set(self._transports):
            transport.abort()  # of a client that stopped reading, it would hold its socket for ever
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._transports.add(writer.transport)
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        connection = Connection(reader, writer)
        try:
            while (request := await connection.request(monotonic() - self._opened)) is not None:
                self.requests.append(request)
                if not await connection.answer(self._reply(request)):
                    break
        finally:
            writer.close()

    def _reply(self, request: LabRequest) -> Reply:
        host = request.host.partition(":")[0]
        for key in ((host, request.target), (host, request.path), (None, request.target), (None, request.path)):
            if key in self._answers:
                return _unless_matching(self._next(key), request)
        for script in self._scripts:
            reply = script(request)
            if reply is not None:
                return reply
        return Reply(404, b"<title>Not found</title>", (HTML,))

    def _next(self, key: tuple[str | None, str]) -> Reply:
        replies = self._answers[key]
        return replies.popleft() if len(replies) > 1 else replies[0]


def make_page(title: str, text: str = "", links: Iterable[str] = (), head: str = "") -> str:
    """A plain page with a main text of its own."""
    anchors = "".join(f'<li><a href="{escape(link, {chr(34): "&quot;"})}">{escape(link)}</a></li>' for link in links)
    return (
        f'<!doctype html><html lang="en"><head><title>{escape(title)}</title>{head}</head><body>'
        f"<main><h1>{escape(title)}</h1><p>{escape(text or prose(title))}</p></main>"
        f"<nav><ul>{anchors}</ul></nav></body></html>"
    )


def prose(title: str) -> str:
    """A text of its own for every title, always the same one."""
    words = _VOCABULARY.split()
    draw = Random(title)  # noqa: S311 - an example, not a secret
    sentences = (" ".join(draw.choices(words, k=_SENTENCE_WORDS)).capitalize() for _ in range(_SENTENCES))
    return f"{title}. {'. '.join(sentences)}."


def _unless_matching(reply: Reply, request: LabRequest) -> Reply:
    """304 when the client already has what would be sent."""
    etag, since = reply.header("etag"), reply.header("last-modified")
    unchanged = etag is not None and request.headers.get("if-none-match") == etag
    unchanged = unchanged or (since is not None and request.headers.get("if-modified-since") == since)
    return Reply(304, b"", reply.headers) if unchanged else reply
