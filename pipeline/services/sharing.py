"""Who may ask a host, and when: one limit, dealt out among all the crawls that want it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from pipeline.crawling import HostAsk, HostShare
from pipeline.db import hosts
from pipeline.db.engine import Session
from pipeline.db.hosts import Host, HostStake
from pipeline.settings import CrawlSettings

LEASE = timedelta(seconds=30)
"""A spider that does not ask again for so long has lost its share. Longer than an answer may take."""

TURN = timedelta(seconds=2)
"""Where more crawls wait than requests may be in flight, each gives way after this."""

BATCH = timedelta(seconds=2)
"""Moments to start at are reserved for this long ahead, or one of them."""

FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(seconds=60)
MOST_BACKOFFS = 9
"""A host that is busy more often than that in a row, and names no time, is left alone for ten minutes at a time."""

LONG_REST = timedelta(minutes=10)

LONGEST_HOLD = timedelta(days=1)
"""A host that asks for more is asked again after a day."""

LONGEST_DELAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Stake:
    """What one spider has of a host, and how much it could use."""

    holder: UUID
    requests: int
    wants: int
    since: datetime
    last_start: datetime | None = None

    def rank(self, now: datetime) -> tuple[int, datetime, UUID]:
        """Whose turn it is: those in their turn, then those that wait, longest first, then the others."""
        in_turn = now - self.since < TURN or (self.last_start is not None and now < self.last_start)
        place = 1 if not self.requests else 0 if in_turn else 2
        return place, self.since, self.holder


def deal(limit: int, stakes: Iterable[Stake], *, now: datetime) -> dict[UUID, int]:
    """How many of `limit` requests each is due: equal parts, none more than it wants, in order of turn."""
    waiting = sorted((stake for stake in stakes if stake.wants), key=lambda stake: stake.rank(now))
    due = dict.fromkeys((stake.holder for stake in waiting), 0)
    while limit > 0 and waiting:
        for stake in waiting[:limit]:
            due[stake.holder] += 1
        limit -= len(waiting[:limit])
        waiting = [stake for stake in waiting if due[stake.holder] < stake.wants]
    return due


def allotted(limit: int, mine: Stake, others: Sequence[Stake], *, now: datetime) -> int:
    """How many requests I may have in flight: my due, but only as fast as the others give theirs back."""
    due = deal(limit, (mine, *others), now=now).get(mine.holder, 0)
    free = limit - mine.requests - sum(other.requests for other in others)
    return due if due <= mine.requests else mine.requests + max(0, min(due - mine.requests, free))


def backoff_wait(times: int) -> timedelta:
    """How long a host is left alone that was busy so often: 1 s, 2 s, 4 s and so on to 60 s, in the end ten minutes."""
    return LONG_REST if times > MOST_BACKOFFS else min(FIRST_BACKOFF * (1 << max(times - 1, 0)), LONGEST_BACKOFF)


def share(session: Session, ask: HostAsk, *, holder: UUID, settings: CrawlSettings, now: datetime) -> HostShare:
    """Deal a spider its share of a host."""
    host = hosts.lock(session, ask.host)
    if ask.delay is not None:
        host.delay_ms = ceil(min(ask.delay, LONGEST_DELAY) / timedelta(milliseconds=1))
    closed_for = max((host.closed_until or now) - now, timedelta(0))
    if ask.went_well and host.backoff and not closed_for:
        host.backoff //= 2
    rows = hosts.stakes(session, ask.host, now=now)
    row = next((row for row in rows if row.holder == holder), None)
    others = [_read(row) for row in rows if row.holder != holder]
    mine = Stake(
        holder,
        requests=min(ask.holds, row.requests) if row is not None else 0,
        wants=ask.wants,
        since=row.since if row is not None else now,
        last_start=row.last_start if row is not None else None,
    )
    if row is not None and row.requests and not mine.requests:
        mine = Stake(holder, 0, ask.wants, now)
    spacing = max(settings.delay, timedelta(milliseconds=host.delay_ms))
    limit = 1 if host.delay_ms or host.backoff else settings.concurrency
    requests = 0 if closed_for else allotted(limit, mine, others, now=now)
    starts, first_in = _reserve(host, ask, spacing, now) if requests else (0, timedelta(0))
    last_start = now + first_in + (starts - 1) * spacing if starts else mine.last_start
    if not ask.wants and not mine.requests:
        if row is not None:
            session.delete(row)
        return HostShare(requests=0, lasts=LEASE, closed_for=closed_for)
    session.merge(
        HostStake(
            host=ask.host,
            holder=holder,
            requests=max(requests, mine.requests),
            wants=ask.wants,
            since=now if requests and not mine.requests else mine.since,
            last_start=last_start,
            until=max(now, last_start or now) + LEASE,
        )
    )
    return HostShare(
        requests=requests,
        lasts=max(now, last_start or now) + LEASE - now,
        others=len(others),
        starts=starts,
        first_in=first_in,
        spacing=spacing,
        closed_for=closed_for,
        is_backing_off=bool(host.backoff),
    )


def hold(session: Session, name: str, asked: timedelta | None, *, now: datetime) -> timedelta:
    """Close a host that said it is busy, for everyone. Returns how long from now.

    Without a word of its own about how long, the wait doubles each time. Answers to requests that were
    on their way when it closed do not count again.
    """
    host = hosts.lock(session, name)
    is_closed = host.closed_until is not None and host.closed_until > now
    if not asked and not is_closed:
        host.backoff = min(host.backoff, MOST_BACKOFFS) + 1
        host.closed_until = now + backoff_wait(host.backoff)
    elif asked:
        host.backoff = max(host.backoff, 1)
        until = now + min(asked, LONGEST_HOLD)
        host.closed_until = max(until, host.closed_until or until)
    return max((host.closed_until or now) - now, timedelta(0))


def _reserve(host: Host, ask: HostAsk, spacing: timedelta, now: datetime) -> tuple[int, timedelta]:
    """Reserve moments to start at: how many, and how far away the first one is."""
    if not spacing or not ask.starts:
        return 0, timedelta(0)
    first = max(host.next_start or now, now)
    starts = min(ask.starts, max(1, int(BATCH / spacing)))
    host.next_start = first + starts * spacing
    return starts, first - now


def _read(row: HostStake) -> Stake:
    return Stake(row.holder, row.requests, row.wants, row.since, row.last_start)
