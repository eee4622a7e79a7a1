"""Requests a minute: each key and each org has a bucket; a portion of it is spent in this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import Lock
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from pipeline.api.caller import any_caller
from pipeline.errors import RateExceeded
from pipeline.services.keys import Caller
from pipeline.services.limits import Draw, Drawn

SPENT_WITHIN_SECONDS = 1.0
MOST_SUBJECTS = 50_000
REFUSED_AT_MOST_SECONDS = 0.25
"""How long an empty bucket is not looked into again: a flood of refused requests costs the database nothing."""


@dataclass(slots=True)
class _Portion:
    tokens: int
    left: int
    until: float
    next_in_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with the limit nearest to its end, for the answer's headers."""

    name: str
    per_minute: int
    left: int
    next_in_seconds: float
    is_refused: bool = False

    def headers(self) -> dict[str, str]:
        """As the drafts of `RateLimit` headers write it: requests left, and seconds until there is one more."""
        seconds = int(-(-self.next_in_seconds // 1)) if self.left == 0 else int(60 / max(1, self.per_minute)) or 1
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.per_minute};w=60',
            "RateLimit": f'"{self.name}";r={self.left};t={seconds}',
        }


class Allowances:
    """Portions of buckets that this process may spend."""

    def __init__(self, draw: Callable[[Draw], Drawn]) -> None:
        """Take portions with `draw`, which asks the database."""
        self._draw = draw
        self._portions: OrderedDict[str, _Portion] = OrderedDict()
        self._lock = Lock()

    async def spend(self, name: str, wanted: Draw) -> Standing:
        """Spend one token, if there is one."""
        portion = self._from_portion(wanted.subject)
        if portion is None:
            portion = await run_in_threadpool(self._from_bucket, wanted)
        is_refused = portion.tokens < 0
        return Standing(name, wanted.per_minute, portion.left, portion.next_in_seconds, is_refused=is_refused)

    def spend_at_once(self, name: str, wanted: Draw) -> Standing:
        """Spend all the tokens of a request that needs many, or none. It asks the database, and waits for it."""
        drawn = self._draw(wanted)
        return Standing(name, wanted.per_minute, drawn.left, drawn.next_in_seconds, is_refused=not drawn.had)

    def _from_portion(self, subject: str) -> _Portion | None:
        """One token of what is here; tokens of -1 mean that the bucket was empty a moment ago."""
        with self._lock:
            held = self._portions.get(subject)
            if held is None or time.monotonic() >= held.until or held.tokens == 0:
                return None
            if held.tokens > 0:
                held.tokens -= 1
                held.left = max(0, held.left - 1)
                return _Portion(0, held.left, held.until)
            return _Portion(-1, 0, held.until, held.next_in_seconds)

    def _from_bucket(self, wanted: Draw) -> _Portion:
        now = time.monotonic()
        drawn = self._draw(wanted)
        with self._lock:
            if drawn.had:
                kept = _Portion(drawn.had - 1, drawn.left + drawn.had - 1, now + SPENT_WITHIN_SECONDS)
            else:
                pause = min(REFUSED_AT_MOST_SECONDS, drawn.next_in_seconds)
                kept = _Portion(-1, 0, now + pause, drawn.next_in_seconds)
            held = self._portions.get(wanted.subject)
            if drawn.had and held is not None and held.tokens > 0 and held.until > now:
                kept.tokens += held.tokens
            self._portions[wanted.subject] = kept
            while len(self._portions) > MOST_SUBJECTS:
                self._portions.popitem(last=False)
            return _Portion(0 if drawn.had else -1, kept.left, kept.until, kept.next_in_seconds)


async def limited(request: Request, caller: Annotated[Caller, Depends(any_caller)]) -> None:
    """Spend one request of the key's, and of its org's.

    Raises:
        RateExceeded: If one has none left.
    """
    await _spend(request, "key_requests_per_minute", f"key:{caller.key_id}", caller)
    if caller.org is not None:
        await _spend(request, "org_requests_per_minute", f"org:{caller.org.org_id}", caller)


def per_org(name: str) -> Callable[[Request, Caller], Awaitable[None]]:
    """A dependency: spend one of an org's limit of this name, such as `retrievals_per_minute`."""

    async def limited_by_org(request: Request, caller: Annotated[Caller, Depends(any_caller)]) -> None:
        """Whoever calls for an org, while it has some left."""
        if caller.org is not None:
            await _spend(request, name, f"{name}:{caller.org.org_id}", caller)

    return limited_by_org


def spend_many(request: Request, name: str, count: int, caller: Caller) -> None:
    """Spend `count` of an org's limit of this name, all or none; a whole minute's where that allows fewer.

    It waits for the database: not for the event loop.

    Raises:
        RateExceeded: If there are not as many left.
    """
    per_minute = request.app.state.services.limits.of(name, dict(caller.limits))
    if caller.org is None or not per_minute:
        return
    allowances: Allowances = request.app.state.allowances
    wanted = Draw(f"{name}:{caller.org.org_id}", per_minute, at_once=max(1, min(count, per_minute)))
    _stand(request, allowances.spend_at_once(name, wanted))


async def _spend(request: Request, name: str, subject: str, caller: Caller) -> None:
    """Spend one of this limit."""
    per_minute = request.app.state.services.limits.of(name, dict(caller.limits))
    if not per_minute:
        return
    allowances: Allowances = request.app.state.allowances
    _stand(request, await allowances.spend(name, Draw(subject, per_minute)))


def _stand(request: Request, standing: Standing) -> None:
    """Keep how the caller stands for the answer's headers; refuse where nothing was left."""
    nearest: Standing | None = getattr(request.state, "standing", None)
    if nearest is None or standing.left < nearest.left or standing.is_refused:
        request.state.standing = standing
    if standing.is_refused:
        raise RateExceeded(
            limit=f"{standing.per_minute} a minute", of=standing.name, retry_after=max(1.0, standing.next_in_seconds)
        )
