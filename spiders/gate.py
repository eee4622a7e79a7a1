"""Asks each origin once what its robots.txt permits, and remembers the answer for everyone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from pipeline.errors import InvalidUrl
from pipeline.model import Reason
from pipeline.urls import canonical, split
from spiders.feed import LedgerCalls
from spiders.fetch import Answer, FetchFailed
from spiders.pace import MAXIMUM_DELAY, Pace
from spiders.robots import BODY_LIMIT, RobotsRules, is_temporary, product_token, read_robots

MAXIMUM_REDIRECTS = 5
_FETCHED_LIMIT = 4 * 2**20  # a file over 512 KiB is cut, not refused


class Fetching(Protocol):
    """What the gate needs of a fetcher."""

    async def get(self, url: str, *, body_limit: int | None = None) -> Answer:
        """GET one URL.

        Raises:
            FetchFailed: If no usable answer came.
        """
        ...


class NoRobots(Exception):
    """An origin's robots.txt has no usable answer now, so nothing of it may be fetched."""

    def __init__(self, reason: Reason, detail: str, asked: timedelta | None = None, *, is_final: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.asked = asked
        self.is_final = is_final


@dataclass(slots=True)
class _Known:
    rules: RobotsRules | None = None
    problem: NoRobots | None = None
    again_at: datetime | None = None
    wait: timedelta = timedelta(seconds=1)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class RobotsGate:
    """The rules of every origin of a crawl."""

    def __init__(self, fetcher: Fetching, calls: LedgerCalls, pace: Pace, *, user_agent: str) -> None:
        """Ask through `fetcher`, remember through `calls`."""
        self._fetcher = fetcher
        self._calls = calls
        self._pace = pace
        self._agent = product_token(user_agent)
        self._known: dict[str, _Known] = {}

    async def rules(self, url: str) -> RobotsRules:
        """What the origin of `url` asks of us.

        Raises:
            NoRobots: If it did not answer, and so nobody may crawl it now.
        """
        origin = split(url).origin
        known = self._known.setdefault(origin, _Known())
        if known.rules is None:
            async with known.asking:
                if known.rules is None:
                    await self._ask(origin, known)
        if known.rules is None:
            raise known.problem or NoRobots(Reason.ROBOTS, "robots.txt was not read")
        return known.rules

    async def _ask(self, origin: str, known: _Known) -> None:
        if known.again_at is not None and datetime.now(UTC) < known.again_at:
            return
        try:
            status, body = await self._stored_or_fetched(origin)
        except NoRobots as problem:
            known.problem = problem
            known.again_at = datetime.now(UTC) + max(known.wait, problem.asked or timedelta(0)) * 0.9
            known.wait = min(known.wait * 2, MAXIMUM_DELAY)
            return
        known.rules = read_robots(status, body, self._agent)
        self._pace.keep_delay(split(origin).site, known.rules.delay)

    async def _stored_or_fetched(self, origin: str) -> tuple[int, bytes]:
        stored = await self._calls.call(self._calls.ledger.robots, origin)
        if stored is not None:
            return stored
        answer = await self._fetch(f"{origin}/robots.txt")
        body = answer.body[:BODY_LIMIT] if answer.status < HTTPStatus.MULTIPLE_CHOICES else b""
        await self._calls.call(self._calls.ledger.keep_robots, origin, answer.status, body)
        return answer.status, body

    async def _fetch(self, url: str) -> Answer:
        """The final answer; one that redirects on and on, or nowhere, counts as none there."""
        for _ in range(MAXIMUM_REDIRECTS + 1):
            async with self._pace.turn(split(url).site) as turn:
                try:
                    answer = await self._fetcher.get(url, body_limit=_FETCHED_LIMIT)
                except FetchFailed as failed:
                    raise _no_answer(failed) from failed
                await turn.heard(answer)
            if is_temporary(answer.status):
                asked = answer.retry_after(datetime.now(UTC))
                raise NoRobots(Reason.ROBOTS, f"robots.txt answered {answer.status}", asked)
            location = answer.header("location")
            if not HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST or location is None:
                return answer
            try:
                url = canonical(location, url)
            except InvalidUrl:
                break
        return Answer(url, HTTPStatus.NOT_FOUND, b"")


def _no_answer(failed: FetchFailed) -> NoRobots:
    """A host that cannot be reached at all is the page's own failure, not a matter of robots.txt."""
    if failed.reason is Reason.ADDRESS_REFUSED:
        return NoRobots(Reason.ADDRESS_REFUSED, failed.detail, is_final=True)
    if failed.is_unreachable and failed.reason is Reason.HTTP_ERROR:
        return NoRobots(Reason.HTTP_ERROR, failed.detail, is_final=not failed.is_temporary)
    return NoRobots(Reason.ROBOTS, f"robots.txt: {failed.detail}")
