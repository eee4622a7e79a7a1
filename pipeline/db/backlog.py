"""The backlog: what is due and nobody holds, since when, and what is held until when. Read over several tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from pipeline.db.crawls import RUNNING, Crawl, has_room, is_due
from pipeline.db.leases import Leased, free
from pipeline.db.outbox import OutboxHint
from pipeline.db.page_versions import PageVersion, is_waiting_state
from pipeline.metrics import Work

COUNTED_UP_TO = 10_000
"""Rows that wait are counted so far: who looks every few seconds needs no more."""

LOOKED_AT, ORGS_NAMED = 2_000, 10


@dataclass(frozen=True, slots=True)
class Due:
    """A row that anybody may take. `target` is what its hint names: a crawl, or an org."""

    target: UUID
    since: datetime


@dataclass(frozen=True, slots=True)
class Leases:
    """Leases of one table: how many are kept, how many ran out without being given back, and the next end."""

    held: int
    expired: int
    next_end: datetime | None


def due_crawls(
    session: Session, *, now: datetime, most_of_org: int, org_id: UUID | None = None
) -> tuple[int, Due | None]:
    """How many crawls, of one org or all, may be taken now, counted up to a limit, and the one that waits longest."""
    which = is_due(now) & has_room(now, most_of_org)
    return _counted(session, Crawl.id, Crawl.created_at, which if org_id is None else which & (Crawl.org_id == org_id))


def due_pages(session: Session, *, attempts: int, now: datetime, org_id: UUID | None = None) -> tuple[int, Due | None]:
    """How many page versions may be taken now, counted up to a limit, and the org of the one that waits longest."""
    which = _page_is_due(now, attempts)
    own = which if org_id is None else which & (PageVersion.org_id == org_id)
    return _counted(session, PageVersion.org_id, PageVersion.created_at, own)


def unsent_hints(session: Session) -> tuple[int, Due | None]:
    """How many hints have not left, counted up to a limit, and the oldest."""
    return _counted(session, OutboxHint.target_id, OutboxHint.created_at, OutboxHint.created_at.is_not(None))


def oldest_due_crawl(session: Session, *, now: datetime, most_of_org: int) -> Due | None:
    """The crawl that may be taken now and waits longest."""
    return _oldest(session, Crawl.id, Crawl.created_at, is_due(now) & has_room(now, most_of_org))


def oldest_due_page(session: Session, *, attempts: int, now: datetime) -> Due | None:
    """The org of the page version that may be taken now and waits longest."""
    return _oldest(session, PageVersion.org_id, PageVersion.created_at, _page_is_due(now, attempts))


def oldest_unsent_hint(session: Session) -> Due | None:
    """The hint that has not left for longest."""
    return _oldest(session, OutboxHint.target_id, OutboxHint.created_at, OutboxHint.created_at.is_not(None))


def crawl_leases(session: Session, *, now: datetime) -> Leases:
    """How the leases of crawls stand."""
    return _leases(session, Crawl, Crawl.status.in_(RUNNING), now=now)


def page_leases(session: Session, *, now: datetime) -> Leases:
    """How the leases of page versions stand."""
    return _leases(session, PageVersion, PageVersion.lease_until.is_not(None), now=now)


def longest_waiting_orgs(
    session: Session, *, attempts: int, most_of_org: int, now: datetime
) -> list[tuple[Work, UUID, datetime]]:
    """The ten orgs whose crawl, or whose page, waits longest: `crawl` or `index`, the org, and since when.

    Only the oldest rows are looked at, so an org that fills them all hides those behind it.
    """
    due_crawls = _by_org(session, Crawl.org_id, Crawl.created_at, is_due(now) & has_room(now, most_of_org))
    due_texts = _by_org(session, PageVersion.org_id, PageVersion.created_at, _page_is_due(now, attempts))
    found: list[tuple[Work, UUID, datetime]] = [("crawl", *row) for row in due_crawls]
    found += [("index", *row) for row in due_texts]
    return sorted(found, key=lambda row: row[2])[:ORGS_NAMED]


def _by_org(
    session: Session,
    org_id: InstrumentedAttribute[UUID],
    since: InstrumentedAttribute[datetime],
    which: ColumnElement[bool],
) -> list[tuple[UUID, datetime]]:
    oldest = select(org_id, since.label("since")).where(which).order_by(since).limit(LOOKED_AT).subquery()
    first = func.min(oldest.c.since)
    statement = select(oldest.c.org_id, first).group_by(oldest.c.org_id).order_by(first).limit(ORGS_NAMED)
    return [(row[0], row[1]) for row in session.execute(statement)]


def _leases(session: Session, table: type[Leased], worked_on: ColumnElement[bool], *, now: datetime) -> Leases:
    """Leases stand on rows that are `worked_on` alone, and an index knows which those are."""
    held = select(func.count(), func.min(table.lease_until)).where(worked_on, table.lease_until >= now)
    count, next_end = session.execute(held).one()
    expired = session.scalar(select(func.count()).where(worked_on, table.lease_until < now))
    return Leases(held=count, expired=expired or 0, next_end=next_end)


def running_crawls(session: Session, *, org_id: UUID) -> list[Crawl]:
    """The org's crawls that have not ended, oldest first."""
    statement = select(Crawl).where(Crawl.org_id == org_id, Crawl.status.in_(RUNNING))
    return list(session.scalars(statement.order_by(Crawl.created_at, Crawl.id)))


def _page_is_due(now: datetime, attempts: int) -> ColumnElement[bool]:
    return is_waiting_state() & (PageVersion.attempts < attempts) & free(PageVersion, now=now)


def _counted(
    session: Session,
    target: InstrumentedAttribute[UUID],
    since: InstrumentedAttribute[datetime],
    which: ColumnElement[bool],
) -> tuple[int, Due | None]:
    some = select(literal(1)).where(which).limit(COUNTED_UP_TO).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0, _oldest(session, target, since, which)


def _oldest(
    session: Session,
    target: InstrumentedAttribute[UUID],
    since: InstrumentedAttribute[datetime],
    which: ColumnElement[bool],
) -> Due | None:
    found = session.execute(select(target, since).where(which).order_by(since).limit(1)).first()
    return None if found is None else Due(found[0], found[1])
