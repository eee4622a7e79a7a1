"""A scripted website on loopback, running in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from math import ceil
from random import Random
from types import TracebackType
from typing import Self
from xml.sax.saxutils import escape

from tests.lab.clock import LabClock
from tests.lab.wire import Connection, LabRequest, Reply, limit

HTML = ("Content-Type", "text/html; charset=utf-8")
Script = Callable[[LabRequest], Reply | None]
Headers = Sequence[tuple[str, str]]

_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
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
    given to `serve`; anything else is a 404. `requests` is the log, in order of arrival. All times
    are those of `clock`.
    """

    def __init__(
        self, address: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None, clock: LabClock | None = None
    ) -> None:
        """Listen on a free port of `address` once entered, with TLS when given a context.

        Without a `clock` the site lives in real time.
        """
        self.clock = clock or LabClock()
        self.address = address
        self.port = 0
        self.requests: list[LabRequest] = []
        self.connections = 0
        self._tls = tls
        self._opened = self.clock.elapsed
        self._answers: dict[tuple[str | None, str], dict[float, deque[Reply]]] = {}
        self._limit: _Limit | None = None
        self._scripts: list[Script] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._clients: set[asyncio.Task[None]] = set()
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
        since: timedelta | None = None,
    ) -> None:
        """Serve a page: the `html` given, or one made of a title, a text and links; from `since` on, if given."""
        body = html if html is not None else make_page(title or f"Page {path}", text, links, head)
        extra = [*headers, *([("ETag", etag)] if etag else [])]
        self.respond(path, body=body.encode(), headers=[HTML, *extra], host=host, since=since)

    def respond(
        self,
        path: str,
        *,
        status: int = 200,
        headers: Headers = (),
        body: bytes | str = b"",
        delay: float = 0,
        host: str | None = None,
        since: timedelta | None = None,
    ) -> None:
        """Answer a path, or a path and query, with this, after `delay` seconds."""
        content = body.encode() if isinstance(body, str) else body
        self.answers(path, Reply(status, content, tuple(headers), delay=delay), host=host, since=since)

    def answers(self, path: str, *replies: Reply, host: str | None = None, since: timedelta | None = None) -> None:
        """Answer a path with these, one after the other; the last one stands.

        With `since`, from so long after the site's opening on, beside what it answers before; without, from
        now on whatever was said before.
        """
        if since is None:
            self._answers[host, path] = {0.0: deque(replies)}
        else:
            self._answers.setdefault((host, path), {})[since.total_seconds()] = deque(replies)

    def redirect(
        self, path: str, target: str, *, status: int = 301, headers: Headers = (), host: str | None = None
    ) -> None:
        """Redirect a path."""
        self.respond(path, status=status, headers=[("Location", target), *headers], host=host)

    def robots(self, text: str, *, status: int = 200, headers: Headers = (), host: str | None = None) -> None:
        """Serve this as robots.txt."""
        kind = ("Content-Type", "text/plain")
        self.respond("/robots.txt", status=status, headers=[kind, *headers], body=text, host=host)

    def sitemap(
        self,
        urls: Iterable[str],
        *,
        path: str = "/sitemap.xml",
        lastmod: str | None = None,
        alternates: Mapping[str, Mapping[str, str]] | None = None,
        host: str | None = None,
    ) -> None:
        """Serve a sitemap of these URLs; paths are made absolute. `alternates` are a URL's others, by language."""
        changed = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
        entries = "".join(
            f"<url><loc>{escape(self._absolute(url, host))}</loc>{changed}"
            f"{self._alternates((alternates or {}).get(url, {}), host)}</url>"
            for url in urls
        )
        spaces = f'xmlns="{_SITEMAP}" xmlns:xhtml="http://www.w3.org/1999/xhtml"'
        self._xml(path, f"<urlset {spaces}>{entries}</urlset>", host)

    def sitemap_index(self, urls: Iterable[str], *, path: str = "/sitemap.xml", host: str | None = None) -> None:
        """Serve a sitemap index of these sitemaps."""
        entries = "".join(f"<sitemap><loc>{escape(self._absolute(url, host))}</loc></sitemap>" for url in urls)
        self._xml(path, f'<sitemapindex xmlns="{_SITEMAP}">{entries}</sitemapindex>', host)

    def limit(self, requests: int, per: timedelta) -> None:
        """Answer 429, with how long to stay away, whenever more requests than that came in the time before."""
        self._limit = _Limit(requests, per.total_seconds())

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

    def _absolute(self, url: str, host: str | None) -> str:
        return f"{self.at(host or self.address)}{url}" if url.startswith("/") else url

    def _alternates(self, others: Mapping[str, str], host: str | None) -> str:
        return "".join(
            f'<xhtml:link rel="alternate" hreflang="{language}" href="{escape(self._absolute(url, host))}"/>'
            for language, url in others.items()
        )

    def _xml(self, path: str, text: str, host: str | None) -> None:
        body = f'<?xml version="1.0"?>{text}'
        self.respond(path, headers=[("Content-Type", "application/xml")], body=body, host=host)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._client, self.address, 0, ssl=self._tls, limit=limit(), backlog=256)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        for _ in range(5):  # a connection just taken gets its client; a server that is closed could not take it
            self._loop.run_until_complete(asyncio.sleep(0))
        server.close()
        for client in self._clients:
            client.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._clients, return_exceptions=True))
        while transports := self._open_transports():
            for transport in transports:
                transport.abort()  # of a client that stopped reading, it would hold its socket for ever
            self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _open_transports(self) -> list[asyncio.Transport]:
        """Those of clients, and of handshakes that are not over; asyncio names the latter nowhere else."""
        known = list(self._loop._transports.values())  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        return [transport for transport in known if transport._sock is not None]  # noqa: SLF001 - as above

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        connection = Connection(reader, writer, self.clock)
        try:
            while (request := await connection.request(self.clock.elapsed - self._opened)) is not None:
                self.requests.append(request)
                if not await connection.answer(self._reply(request)):
                    break
        finally:
            writer.close()

    def _reply(self, request: LabRequest) -> Reply:
        if self._limit is not None and (wait := self._limit.refuses(request.at)) is not None:
            return Reply(429, b"", (("Retry-After", str(wait)),))
        host = request.host.partition(":")[0]
        for key in ((host, request.target), (host, request.path), (None, request.target), (None, request.path)):
            replies = self._standing(key, request.at)
            if replies:
                return _unless_matching(replies.popleft() if len(replies) > 1 else replies[0], request)
        for script in self._scripts:
            reply = script(request)
            if reply is not None:
                return reply
        return Reply(404, b"<title>Not found</title>", (HTML,))

    def _standing(self, key: tuple[str | None, str], at: float) -> deque[Reply] | None:
        """What was said last for this path, of what is true by now."""
        versions = self._answers.get(key, {})
        latest = max((since for since in versions if since <= at), default=None)
        return versions[latest] if latest is not None else None


class _Limit:
    """So many requests in so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._at: deque[float] = deque()

    def refuses(self, at: float) -> int | None:
        """Whole seconds until a request at this moment would pass; None when it does. A refused one does not count."""
        while self._at and self._at[0] <= at - self._seconds:
            self._at.popleft()
        if len(self._at) < self._most:
            self._at.append(at)
            return None
        return ceil(self._at[0] + self._seconds - at)


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
