"""The one way a spider fetches: Scrapy's HTTP/1.1 client with bounded response headers, and no proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.core.downloader.handlers.http11 import (
    HTTP11DownloadHandler,
    _LenientHTTP11ClientFactory,
    _LenientHTTP11ClientProtocol,
    _LenientHTTPClientParser,
)
from twisted.python.failure import Failure
from twisted.web._newclient import HEADER, STATUS, Request
from twisted.web.http import _ChunkedTransferDecoder

from pipeline.errors import GuardBypassed

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy import Request as ScrapyRequest
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IAddress
    from twisted.web.iweb import IResponse

HEADER_LIMIT = 64 * 2**10
"""Bytes of a response's status line and headers."""


CHUNK_LIMIT = 50_000
"""Pieces of a chunked body; the reading of that many single bytes takes a second or two."""


class HeadersTooLarge(Exception):
    """A response's headers went on past the limit."""


class ChunksTooSmall(Exception):
    """A response came in more pieces than any honest one, each of which costs as much as a large one."""


class _BoundedChunks(_ChunkedTransferDecoder):
    """Counts the pieces of a chunked body: a flood of single bytes would keep every other answer waiting."""

    def __init__(self, deliver: Callable[[bytes], None], finish: Callable[[bytes], None]) -> None:
        super().__init__(self._count, finish)
        self._deliver = deliver
        self._left = CHUNK_LIMIT

    def _count(self, piece: bytes) -> None:
        self._left -= 1
        if self._left < 0:
            raise ChunksTooSmall
        self._deliver(piece)


class _BoundedParser(_LenientHTTPClientParser):
    MAX_LENGTH = HEADER_LIMIT  # of one line; Twisted's 16 KiB refuses some real policies
    _transferDecoders = {b"chunked": _BoundedChunks}  # type: ignore[dict-item]  # noqa: N815, RUF012 - Twisted's, called so
    header_bytes = 0

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        self.header_bytes += len(line) + 2
        if self.header_bytes > HEADER_LIMIT:
            raise HeadersTooLarge
        super().lineReceived(line)


class _BoundedProtocol(_LenientHTTP11ClientProtocol):
    """Gives a response up once its headers exceed the limit; Twisted alone reads them for ever."""

    _header_bytes = 0

    def request(self, request: Request) -> Deferred[IResponse]:
        self._header_bytes = 0
        answer = super().request(request)
        if self._parser is not None:
            self._parser.__class__ = _BoundedParser
        return answer

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        parser = self._parser
        if parser is None or parser.state not in {STATUS, HEADER}:
            return
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_LIMIT:
            self._giveUp(Failure(HeadersTooLarge()))  # type: ignore[no-untyped-call]


class _BoundedFactory(_LenientHTTP11ClientFactory):
    def buildProtocol(self, addr: IAddress | None) -> _BoundedProtocol:  # noqa: ARG002, N802 - Twisted's signature
        return _BoundedProtocol(self._quiescentCallback)  # type: ignore[no-untyped-call]


class BoundedDownload(HTTP11DownloadHandler):
    """Scrapy's handler for http and https, with its connections bounded."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._pool._factory = _BoundedFactory  # noqa: SLF001 - where Scrapy itself puts its own

    async def download_request(self, request: ScrapyRequest) -> Response:
        """Fetch, refusing what would go round the address guard.

        Raises:
            GuardBypassed: If the request names a proxy.
        """
        if request.meta.get("proxy"):
            raise GuardBypassed(cause="a request names a proxy")
        return await super().download_request(request)
