"""Sends calls, and asks again where that may help: after 429 and 503, and when no answer came."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from uuid import uuid4

import httpx

from pipeline.client.call import Call, PageOf
from pipeline.client.failures import ServerRefused, ServerUnavailable

Answer = TypeVar("Answer")
Item = TypeVar("Item")

BUSY = (429, 502, 503, 504)
IN_FLIGHT = "request_in_flight"
"""The same request is being carried out: its answer is there in a moment."""

ERRORS_FROM = 400

Told = Callable[[ServerRefused | ServerUnavailable, float], object]
"""Hears of a failure after which a call is sent again, in so many seconds."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to ask again. Waits double from `first` to `longest` seconds; all of them end at `total`."""

    first: float = 0.5
    longest: float = 20.0
    total: float = 60.0
    attempts: int = 6


class _Try:
    """One call on its way: how often it was sent, and how long to wait before the next time."""

    def __init__(self, call: Call[Any], patience: Patience) -> None:
        is_post = call.method == "POST"
        self.call = replace(call, idempotency_key=call.idempotency_key or (uuid4().hex if is_post else None))
        self._patience = patience
        self._sent = 0
        self._waited = 0.0

    @property
    def request(self) -> dict[str, Any]:
        """For httpx."""
        key, seconds = self.call.idempotency_key, self.call.seconds
        return {
            "timeout": httpx.USE_CLIENT_DEFAULT if seconds is None else seconds,
            "method": self.call.method,
            "url": self.call.path,
            "params": dict(self.call.params),
            "json": self.call.json,
            "headers": {"Idempotency-Key": key} if key else {},
        }

    def wait(self, problem: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until the call is sent again; None when it is not."""
        self._sent += 1
        patience = self._patience
        if self._sent >= patience.attempts or (isinstance(problem, httpx.Response) and not _may_help(problem)):
            return None
        doubled = min(patience.first * 2.0 ** (self._sent - 1), patience.longest)
        wait = doubled * random.uniform(0.5, 1)  # noqa: S311 - so that not all come at once
        if isinstance(problem, httpx.Response):
            wait = max(wait, _asked(problem.headers.get("retry-after")))
        if self._waited + wait > patience.total:
            return None
        self._waited += wait
        return wait


class Client:
    """Sends calls and waits for them. Threads may share it.

    Args:
        server: The API's address, such as `https://sitewise.example`.
        key: A partner key or an org key.
        timeout: Seconds for one request.
        patience: How long to ask again.
        pause: Waits so many seconds.
        told: Hears why a call is sent again, and in how many seconds, before each wait.
    """

    def __init__(
        self,
        server: str,
        key: str,
        *,
        timeout: float = 30.0,
        patience: Patience | None = None,
        pause: Callable[[float], object] | None = None,
        told: Told | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=server, headers=_headers(key), timeout=timeout)
        self._patience = patience or Patience()
        self._pause = pause or threading.Event().wait
        self._told = told or _untold

    def send(self, call: Call[Answer]) -> Answer:
        """Ask.

        Raises:
            ServerRefused: If the server says no.
            ServerUnavailable: If it does not answer, or stays busy.
        """
        attempt = _Try(call, self._patience)
        while True:
            problem: httpx.Response | httpx.TransportError
            try:
                problem = self._http.request(**attempt.request)
                if problem.status_code < ERRORS_FROM:
                    return cast("Answer", _read(problem))
            except httpx.TransportError as error:
                problem = error
            wait = attempt.wait(problem)
            if wait is None:
                raise _failure(problem)
            self._told(_failure(problem), wait)
            self._pause(wait)

    def each(self, call: Call[PageOf[Item]]) -> Iterator[Item]:
        """Every item of a list, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.send(_from(call, cursor))
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """Sends calls in an event loop; otherwise as `Client`."""

    def __init__(
        self,
        server: str,
        key: str,
        *,
        timeout: float = 30.0,
        patience: Patience | None = None,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        told: Told | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=server, headers=_headers(key), timeout=timeout)
        self._patience = patience or Patience()
        self._pause = pause
        self._told = told or _untold

    async def send(self, call: Call[Answer]) -> Answer:
        """Ask.

        Raises:
            ServerRefused: If the server says no.
            ServerUnavailable: If it does not answer, or stays busy.
        """
        attempt = _Try(call, self._patience)
        while True:
            problem: httpx.Response | httpx.TransportError
            try:
                problem = await self._http.request(**attempt.request)
                if problem.status_code < ERRORS_FROM:
                    return cast("Answer", _read(problem))
            except httpx.TransportError as error:
                problem = error
            wait = attempt.wait(problem)
            if wait is None:
                raise _failure(problem)
            self._told(_failure(problem), wait)
            await self._pause(wait)

    async def each(self, call: Call[PageOf[Item]]) -> AsyncIterator[Item]:
        """Every item of a list, page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = await self.send(_from(call, cursor))
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


def _untold(failure: ServerRefused | ServerUnavailable, seconds: float) -> None:
    """Nobody wants to know."""


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": "sitewise-client"}


def _from(call: Call[PageOf[Item]], cursor: str | None) -> Call[PageOf[Item]]:
    return call if cursor is None else replace(call, params={**call.params, "cursor": cursor})


def _read(response: httpx.Response) -> object:
    return response.json() if response.content else None


def _may_help(response: httpx.Response) -> bool:
    return response.status_code in BUSY or (
        response.status_code == httpx.codes.CONFLICT and _said(response)[0] == IN_FLIGHT
    )


def _asked(retry_after: str | None) -> float:
    """Seconds that a Retry-After asks for."""
    if retry_after is None:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _said(response: httpx.Response) -> tuple[str, str, list[Any]]:
    """The stable code, the message and the details of a failure; of a proxy in between, what can be told."""
    try:
        body = response.json()
        return str(body["code"]), str(body["message"]), list(body.get("details") or ())
    except (ValueError, KeyError, TypeError, AttributeError):
        return "http_error", f"The server answered {response.status_code} {response.reason_phrase}.", []


def _failure(problem: httpx.Response | httpx.TransportError) -> ServerRefused | ServerUnavailable:
    if isinstance(problem, httpx.TransportError):
        return ServerUnavailable(problem=str(problem) or type(problem).__name__)
    code, message, details = _said(problem)
    if problem.status_code in BUSY or problem.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ServerUnavailable(status=problem.status_code, code=code, problem=message)
    return ServerRefused(
        status=problem.status_code,
        code=code,
        message=message,
        details=details,
        request_id=problem.headers.get("x-request-id"),
    )
