"""Around every request: its id, a limit on its body, and the one line that tells of it.

The line never holds a body, a query, a header's value or a secret.
"""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline import metrics, tracing
from pipeline.api import failures
from pipeline.api.failures import answer
from pipeline.api.watch import DatabaseWatch
from pipeline.db.engine import unless_refused
from pipeline.errors import DatabaseUnavailable
from pipeline.logs import get_logger
from pipeline.tracing import Span

MOST_BODY_BYTES = 2**20
ALIAS = "/v1"
REQUEST_ID = "X-Request-ID"
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET = {"/healthz", "/readyz"}
"""Asked every few seconds by whoever watches: told of only when something is wrong."""

NEEDS_NO_DATABASE = {"/healthz", "/readyz", "/openapi.json", "/docs", "/"}

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""Counted by name; whoever makes up others makes no series of them."""

SERVER_ERROR = 500

log = get_logger(__name__)


class Requests:
    """The outermost part of the app."""

    def __init__(self, app: ASGIApp, *, watch: DatabaseWatch | None, most_body_bytes: int = MOST_BODY_BYTES) -> None:
        """Stand around this app. While the watch finds no database, requests are refused."""
        self._app = app
        self._watch = watch
        self._most_body_bytes = most_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        _at_the_root(scope)
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if ACCEPTABLE_ID.fullmatch(given) else uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered[REQUEST_ID] = request_id
                if (standing := state.get("standing")) is not None:
                    answered.update(standing.headers())
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id), _traced(scope, headers) as span:
            try:
                await self._watched(scope, headers, receive, sending)
            except Exception as error:  # whatever broke, the answer is a 500 and the log says where
                log.error("request broke", problem=type(error).__name__, trace=_where(error))  # noqa: TRY400 - its message may hold what was sent
                if status:
                    raise
                await _broken()(scope, receive, sending)
            finally:
                _tell(scope, span, status=status, seconds=time.perf_counter() - began)

    async def _watched(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Carry a request out, unless the database is away or goes away meanwhile: then nothing of it is committed."""
        if self._watch is None or scope["path"] in NEEDS_NO_DATABASE:
            await self._carry_out(scope, headers, receive, send)
            return
        is_refused = is_begun = False

        async def answering(message: Message) -> None:
            nonlocal is_begun
            if not is_refused:
                is_begun = True
                await send(message)

        with unless_refused(lambda: is_refused):
            work = asyncio.create_task(self._carry_out(scope, headers, receive, answering))
        away = asyncio.create_task(self._watch.away.wait())
        try:
            await asyncio.wait((work, away), return_when=asyncio.FIRST_COMPLETED)
            if work.done() or is_begun:
                await work
                return
            is_refused = True
            _left_alone.add(work)
            work.add_done_callback(_forget)
            scope["state"]["code"] = failures.code_of(DatabaseUnavailable)
            await failures.of_error(DatabaseUnavailable())(scope, receive, send)
        finally:
            away.cancel()

    async def _carry_out(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._most_body_bytes:
            await _too_large(self._most_body_bytes)(scope, receive, send)
            return
        if length.isdecimal():
            await self._app(scope, receive, send)
            return
        body = await self._whole_body(receive)
        if body is None:
            await _too_large(self._most_body_bytes)(scope, receive, send)
            return
        await self._app(scope, _given(body, receive), send)

    async def _whole_body(self, receive: Receive) -> bytes | None:
        """A body of a length not told before, read up to the limit; None beyond it."""
        parts = []
        length = 0
        while True:
            message = await receive()
            part = message.get("body", b"")
            length += len(part)
            if length > self._most_body_bytes:
                return None
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


_left_alone: set[asyncio.Task[None]] = set()
"""Requests that were refused while their thread still waits for the database."""


def _where(error: Exception) -> str:
    """The lines of code that were passed; not the error's message, which may repeat what was sent."""
    return "".join(traceback.format_tb(error.__traceback__))


def _forget(work: asyncio.Task[None]) -> None:
    _left_alone.discard(work)
    if not work.cancelled() and (error := work.exception()) is not None:
        log.warning("refused request ended", problem=type(error).__name__)


def _at_the_root(scope: Scope) -> None:
    """Take a path under /v1 for the same at the root: one route each, and one name in every log and answer kept."""
    if scope["path"].startswith(f"{ALIAS}/"):
        scope["path"] = scope["path"].removeprefix(ALIAS)
        scope["raw_path"] = scope.get("raw_path", b"").removeprefix(ALIAS.encode())


def _given(body: bytes, receive: Receive) -> Receive:
    """Give a body once, then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return waiting.pop() if waiting else await receive()

    return receiving


def _too_large(limit: int) -> ASGIApp:
    message = f"The body is larger than {limit} bytes. Send less at a time."
    return answer(413, "body_too_large", message, headers={"Connection": "close"})


def _broken() -> ASGIApp:
    return answer(500, "internal_error", "Something broke here. The log tells more under this request's id.")


def _traced(scope: Scope, headers: Headers) -> AbstractContextManager[Span]:
    """The request as a span, in its caller's trace if that names one. Who only watches is no part of any."""
    if scope["path"] in QUIET or scope["client"] is None:
        return nullcontext(tracing.NOTHING)
    return tracing.span("request", parent=headers.get(tracing.TRACEPARENT), method=_method(scope))


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else "other"


def _tell(scope: Scope, span: Span, *, status: int, seconds: float) -> None:
    state = scope.get("state", {})
    caller = state.get("caller")
    route = getattr(scope.get("route"), "path", None) or "(none)"
    method = _method(scope)
    span.call(f"{method} {route}")
    span.say(route=route, status=status)
    if caller is not None:
        span.say(key=caller.key_id)
        if caller.org:
            span.say(org=caller.org.org_id)
    if status >= SERVER_ERROR:
        span.fail(state.get("code") or str(status))
    metrics.HTTP_REQUESTS.add(method=method, route=route, status=str(status))
    metrics.HTTP_SECONDS.observe(seconds, method=method, route=route)
    if route in QUIET and status < SERVER_ERROR:
        return
    facts: dict[str, object] = {"method": scope["method"], "route": route, "status": status}
    if caller is not None:
        facts["key"] = str(caller.key_id)
        facts["org"] = str(caller.org.org_id) if caller.org else None
        facts["partner"] = str(caller.partner_id) if caller.partner_id else None
    if (code := state.get("code")) is not None:
        facts["code"] = code
    log.info("request", ms=round(1_000 * seconds, 1), **facts)
