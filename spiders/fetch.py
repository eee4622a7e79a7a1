"""One request, and what came of it: an answer, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from OpenSSL import SSL
from scrapy import Request
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
)
from service_identity import VerificationError
from twisted.internet.error import ConnectError, ConnectionClosed

from pipeline.model import Reason
from pipeline.urls import split
from spiders.body import ACCEPTED, BodyBroken, BodyTooLarge, decode
from spiders.download import CHUNK_LIMIT, HEADER_LIMIT, ChunksTooSmall, HeadersTooLarge
from spiders.guard import AddressGuard

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Response

_CONTROL = dict.fromkeys((*range(9), *range(10, 32), 127))
"""What no header's value may hold; databases refuse NUL."""


class FetchFailed(Exception):
    """No usable answer came. `is_temporary` says whether trying again may help."""

    def __init__(
        self, reason: Reason, detail: str, *, is_temporary: bool = False, is_unreachable: bool = False
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.is_temporary = is_temporary
        self.is_unreachable = is_unreachable


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with its body decoded. Header names are lower case; repeated ones are a list."""

    url: str
    status: int
    body: bytes
    headers: Mapping[str, list[str]] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        values = self.headers.get(name)
        return values[0] if values else None

    @property
    def content_type(self) -> str:
        """The `Content-Type` header, or nothing."""
        return self.header("content-type") or ""

    def retry_after(self, now: datetime) -> timedelta | None:
        """How long the host asks to be left alone, in seconds or until a date; None when it does not say.

        A date is measured by the host's own clock, where it tells the time; else by ours, `now`.
        """
        value = (self.header("retry-after") or "").strip()
        if value.isascii() and value.isdigit():
            return timedelta(seconds=min(int(value[:9]), 10**8))
        until = _moment(value)
        return None if until is None else max(until - (_moment(self.header("date") or "") or now), timedelta(0))


def _moment(text: str) -> datetime | None:
    """A date as HTTP writes it; without a zone it is UTC. None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def headers_of(response: Response) -> dict[str, list[str]]:
    """The headers of an answer, names in lower case, values without control characters."""
    return {
        name.decode("latin-1").lower(): [value.decode("latin-1").translate(_CONTROL) for value in values]
        for name, values in response.headers.items()
    }


class Fetcher:
    """Sends requests through Scrapy's downloader, behind the address guard."""

    def __init__(self, crawler: Crawler, guard: AddressGuard, *, user_agent: str, body_limit: int) -> None:
        """Fetch for one crawl, as `user_agent`, bodies of at most `body_limit` decoded bytes."""
        self._crawler = crawler
        self._guard = guard
        self._body_limit = body_limit
        self._seconds = crawler.settings.getfloat("DOWNLOAD_TIMEOUT")
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Encoding": ACCEPTED,
        }

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body_limit: int | None = None,
        keep_pace: bool = False,
        within: float | None = None,
    ) -> Answer:
        """GET one URL; redirects are answers like any other.

        Args:
            url: In canonical form.
            headers: Added to our own.
            body_limit: Bytes of the decoded body, when other than the crawl's.
            keep_pace: Leave the host's delay as it is, because the host itself named it.
            within: Seconds it may take, when fewer than any request may.

        Raises:
            FetchFailed: If no usable answer came.
        """
        limit = body_limit or self._body_limit
        seconds = self._seconds if within is None else min(within, self._seconds)
        if seconds <= 0:  # to Scrapy that means no limit
            raise FetchFailed(Reason.TOO_SLOW, "its redirects took all the time a page may take")
        meta: dict[str, object] = {
            "download_maxsize": limit,
            "download_timeout": seconds,  # without Scrapy's middlewares its handler knows no other way
            "autothrottle_dont_adjust_delay": keep_pace,
        }
        request = Request(url, headers=self._headers | dict(headers or {}), meta=meta, dont_filter=True)
        try:
            response = await self._crawler.engine.download_async(request)
        except _FAILURES as error:
            raise self._failure(url, error, limit, seconds) from error
        return self._answer(url, response, limit)

    def _answer(self, url: str, response: Response, limit: int) -> Answer:
        headers = headers_of(response)
        try:
            body = decode(response.body, ",".join(headers.get("content-encoding", ())), limit=limit)
        except BodyTooLarge as error:
            raise FetchFailed(Reason.TOO_LARGE, str(error)) from error
        except BodyBroken as error:
            raise FetchFailed(Reason.HTTP_ERROR, f"damaged body: {error}") from error
        return Answer(url, response.status, body, headers)

    def _failure(self, url: str, error: Exception, limit: int, seconds: float) -> FetchFailed:
        if isinstance(error, CannotResolveHostError):
            return self._unresolved(split(url).host)
        if isinstance(error, DownloadTimeoutError):
            return FetchFailed(Reason.TOO_SLOW, f"no whole answer within {seconds:.3g} s", is_unreachable=True)
        if isinstance(error, DownloadCancelledError):
            return FetchFailed(Reason.TOO_LARGE, f"over {limit} bytes")
        return _broken_connection(error)

    def _unresolved(self, host: str) -> FetchFailed:
        refused = self._guard.refusal(host)
        if refused is not None:
            return FetchFailed(Reason.ADDRESS_REFUSED, str(refused))
        return FetchFailed(Reason.HTTP_ERROR, f"no such host: {host}", is_temporary=True, is_unreachable=True)


_FAILURES = (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
    ConnectError,
    ConnectionClosed,
    SSL.Error,
    VerificationError,
    ValueError,
)


_TOO_LARGE: tuple[tuple[type[Exception], str], ...] = (
    (HeadersTooLarge, f"headers over {HEADER_LIMIT // 2**10} KiB"),
    (ChunksTooSmall, f"in over {CHUNK_LIMIT} chunks"),
)


def _broken_connection(error: Exception) -> FetchFailed:
    causes = _causes(error)
    for kind, words in _TOO_LARGE:
        if any(isinstance(cause, kind) for cause in causes):
            return FetchFailed(Reason.TOO_LARGE, words)
    if isinstance(error, DownloadConnectionRefusedError):
        return FetchFailed(Reason.HTTP_ERROR, "connection refused", is_temporary=True, is_unreachable=True)
    if isinstance(error, ResponseDataLossError):
        return FetchFailed(Reason.HTTP_ERROR, "the answer was cut short", is_temporary=True)
    for cause in causes:
        if isinstance(cause, VerificationError):
            return FetchFailed(Reason.HTTP_ERROR, "certificate error: it is for another host", is_unreachable=True)
        if isinstance(cause, SSL.Error):
            return FetchFailed(Reason.HTTP_ERROR, _ssl_words(cause), is_unreachable=True)
    words = str(causes[-1]) or type(causes[-1]).__name__
    return FetchFailed(Reason.HTTP_ERROR, f"broken connection: {words}", is_temporary=True, is_unreachable=True)


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and what Twisted collected inside."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        found.append(one)
        if one.__cause__ is not None:
            waiting.append(one.__cause__)
        waiting.extend(failure.value for failure in getattr(one, "reasons", None) or ())
    return found


def _ssl_words(error: SSL.Error) -> str:
    parts = [str(entry[-1]) for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    words = ", ".join(parts) or "the connection could not be secured"
    return f"{'certificate' if 'certificate' in words else 'TLS'} error: {words}"
