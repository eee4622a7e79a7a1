"""Leases whose holder is dead: who holds what now, and an end for what the dead hold. Over several tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, case, select, true, update
from sqlalchemy.orm import Session

from pipeline.db.base import count_changed
from pipeline.db.crawls import RUNNING, Crawl
from pipeline.db.evaluations import DUE, Evaluation
from pipeline.db.leases import Leased
from pipeline.db.page_versions import PageVersion

LONG_OVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When the lease of somebody dead ended: by the clock of any machine, also one that is late, that is past."""

WORK: tuple[tuple[type[Leased], ColumnElement[bool]], ...] = (
    (Crawl, Crawl.status.in_(RUNNING)),
    (PageVersion, true()),
    (Evaluation, Evaluation.state == DUE),
)
"""The tables, each with the rows that an index finds."""


def holders(session: Session, *, now: datetime) -> set[str]:
    """Everybody who holds a lease now, as they signed."""
    found: set[str] = set()
    for table, which in WORK:
        held = (table.lease_until >= now, table.lease_owner.is_not(None))
        found.update(
            owner for owner in session.scalars(select(table.lease_owner).where(which, *held).distinct()) if owner
        )
    return found


def end_of_dead(session: Session, dead: Collection[str], *, delays: Sequence[timedelta], now: datetime) -> int:
    """End the leases of these holders as if their time had run out. Returns how many rows of work they held.

    Their tokens stay, and tell that whoever had them vanished; their names go. A page that cost more than one worker is
    free only after one of the `delays`, and at the latest when its lease is over: it is not to stop the others.
    """
    return sum(
        _end(session, table, which, dead, until=_bad_pages_later(delays, now) if table is PageVersion else LONG_OVER)
        for table, which in WORK
    )


def _end(
    session: Session,
    table: type[Leased],
    which: ColumnElement[bool],
    dead: Collection[str],
    *,
    until: datetime | ColumnElement[datetime],
) -> int:
    held = (table.lease_owner.in_(dead), table.lease_until > until)
    values = {"lease_until": until, "lease_owner": None, "hints": 0, "hint_at": None}
    statement = update(table).where(which, *held).values(values)
    return count_changed(session, statement)


def _bad_pages_later(delays: Sequence[timedelta], now: datetime) -> ColumnElement[datetime]:
    before = PageVersion.vanished
    later = [(before == deaths, now + delay) for deaths, delay in enumerate(delays, start=1)]
    return case((before == 0, LONG_OVER), *later, else_=now + delays[-1])
