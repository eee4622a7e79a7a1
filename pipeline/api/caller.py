"""Who calls: the key in a request's header, recognised once and remembered for half a second."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from pipeline.errors import KeyRefused, ScopeMissing
from pipeline.model import OrgScope
from pipeline.services.key_text import read_key
from pipeline.services.keys import Caller

if TYPE_CHECKING:
    from pipeline.bootstrap import Services

REMEMBERED_SECONDS = 0.5
"""A revoked key is refused after at most so long, by every process."""

MOST_REMEMBERED = 10_000

bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="sw_partner_… or sw_org_…",
    description="An API key: a partner key provisions orgs, an org key works inside one org.",
)


class Callers:
    """Recognises keys. What was found is remembered for a moment, in this process, by the key's hash."""

    def __init__(self, find: Callable[[str], Caller], *, seconds: float = REMEMBERED_SECONDS) -> None:
        """Ask `find` about keys, each at most once in so many seconds."""
        self._find = find
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._lock = Lock()

    def remembered(self, text: str) -> Caller | None:
        """Whose key this was a moment ago."""
        with self._lock:
            found = self._known.get(_hash(text))
        return found[1] if found is not None and time.monotonic() < found[0] else None

    def find(self, text: str) -> Caller:
        """Whose key this is.

        Raises:
            KeyRefused: If it is nobody's, or no longer valid.
        """
        asked_at = time.monotonic()
        caller = self._find(text)
        with self._lock:
            self._known[_hash(text)] = asked_at + self._seconds, caller
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return caller

    def forget(self) -> None:
        """Ask again about every key: one of them may have ended."""
        with self._lock:
            self._known.clear()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


async def services_of(request: Request) -> Services:
    """The use cases this app works with. On the loop: a plain function would wait for a thread."""
    services: Services = request.app.state.services
    return services


async def callers_of(request: Request) -> Callers:
    """Who called a moment ago."""
    callers: Callers = request.app.state.callers
    return callers


async def any_caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Caller:
    """Whoever calls, with any kind of key.

    Raises:
        KeyRefused: If there is no valid key.
    """
    if credentials is None:
        raise KeyRefused(problem="there is none")
    text = credentials.credentials
    read_key(text)
    callers: Callers = request.app.state.callers
    caller = callers.remembered(text)
    if caller is None:
        caller = await run_in_threadpool(callers.find, text)
    request.state.caller = caller
    return caller


async def partner_caller(caller: Annotated[Caller, Depends(any_caller)]) -> Caller:
    """A partner.

    Raises:
        ScopeMissing: If it is another kind of key.
    """
    if caller.kind != "partner" or caller.partner_id is None:
        raise ScopeMissing(needed="a partner key", kind=caller.kind)
    return caller


def org_caller(scope: str) -> Callable[[Caller], Caller]:
    """A dependency: an org key that has this scope, such as `crawl:read`. Its `org` is set."""

    async def with_scope(caller: Annotated[Caller, Depends(any_caller)]) -> Caller:
        """Whoever calls, if the key reaches so far."""
        if caller.kind != "org" or caller.org is None:
            raise ScopeMissing(needed="an org key", kind=caller.kind)
        if scope not in caller.scopes:
            raise ScopeMissing(needed=scope)
        return caller

    return with_scope  # type: ignore[return-value] # FastAPI awaits it


def org_of(caller: Caller) -> OrgScope:
    """The org an org key works in.

    Raises:
        ScopeMissing: If it is no org key.
    """
    if caller.org is None:
        raise ScopeMissing(needed="an org key", kind=caller.kind)
    return caller.org


AServices = Annotated["Services", Depends(services_of)]
ACallers = Annotated[Callers, Depends(callers_of)]
PartnerCaller = Annotated[Caller, Depends(partner_caller)]
