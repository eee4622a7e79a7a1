"""Texts that wait to be indexed: whose turn it is, who holds which, and what is said of them to workers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Select,
    func,
    select,
    update,
)
from sqlalchemy.orm import Session

from pipeline import metrics
from pipeline.db.leases import free, next_counts
from pipeline.db.orgs import Org
from pipeline.db.page_versions import LATER, POISON, WAITING, PageVersion, is_waiting_state

HINTS_LOOKED_AT = 2_000

FEW_ORGS = 500
"""Up to so many orgs that wait, the one in turn is looked for among them alone; of more, one is near."""

ORPHANS_SHARE = 4
"""Of a batch whose worker vanished, this part is taken together: one that kills is soon among few."""


def is_held(session: Session, *, org_id: UUID, now: datetime, datasource_id: UUID | None = None) -> bool:
    """Whether somebody may be writing points of this datasource, or of the org, just now."""
    held = select(PageVersion.id).where(PageVersion.org_id == org_id, PageVersion.lease_until >= now)
    if datasource_id is not None:
        held = held.where(PageVersion.datasource_id == datasource_id)
    return session.scalar(held.limit(1)) is not None


def org_in_turn(session: Session, *, now: datetime, attempts: int) -> UUID | None:
    """The org with claimable pages that was served least lately. Pages tried `attempts` times are not claimable."""
    few = _some_orgs_that_wait(session, most=FEW_ORGS + 1)
    if not few:
        return None
    claimable = (PageVersion.org_id == Org.id, is_waiting_state(), PageVersion.attempts < attempts)
    waits = select(PageVersion.id).where(*claimable, free(PageVersion, now=now)).limit(1)
    statement = select(Org.id).where(waits.scalar_subquery().is_not(None)).order_by(Org.turn, Org.id).limit(1)
    return session.scalar(statement.where(Org.id.in_(few)) if len(few) <= FEW_ORGS else statement)


def _some_orgs_that_wait(session: Session, *, most: int) -> list[UUID]:
    """Orgs with waiting pages, claimable or not: one step along an index for each, however many pages it has.

    Most orgs wait for nothing most of the time, and stand in front: who waits is not looked for among them.
    """
    first = select(PageVersion.org_id).where(is_waiting_state()).order_by(PageVersion.org_id).limit(1)
    found = select(first.scalar_subquery().label("org_id")).cte("found", recursive=True)
    behind = first.where(PageVersion.org_id > found.c.org_id).scalar_subquery()
    found = found.union_all(select(behind).where(found.c.org_id.is_not(None)))
    statement = select(found.c.org_id).where(found.c.org_id.is_not(None)).limit(most)
    return list(session.scalars(statement))


def claim(
    session: Session, org_id: UUID, *, limit: int, now: datetime, lease: timedelta, owner: str, attempts: int
) -> list[PageVersion]:
    """Take up to `limit` pages of this org that wait longest. Two workers never take the same one.

    Pages whose worker vanished come first: most likely they only were in its hands, so every second such worker counts
    as an attempt. A few are taken together, and alone those that a second one vanished with. One that failed is taken
    alone after all others. One that was tried `attempts` times is not taken again; upkeep sets it aside.
    """
    orphaned = PageVersion.attempts.between(1, attempts - 1) & PageVersion.lease_until.is_not(None)
    counted = {
        "attempts": PageVersion.attempts + next_counts(PageVersion.vanished),
        "vanished": PageVersion.vanished + 1,
    }
    for which, most in ((orphaned & (PageVersion.vanished > 0), 1), (orphaned, max(1, limit // ORPHANS_SHARE))):
        orphans = _claimable(org_id, which, now=now, limit=most)
        if taken := _lease(session, orphans, until=now + lease, owner=owner, **counted):
            metrics.LEASES_EXPIRED.add_many(len(taken), work="index")
            return taken
    fresh = _claimable(org_id, PageVersion.attempts == 0, now=now, limit=limit)
    taken = _lease(session, fresh, until=now + lease, owner=owner, attempts=1, vanished=0)
    if taken:
        return taken
    again = _claimable(org_id, PageVersion.attempts.between(1, attempts - 1), now=now, limit=1)
    return _lease(session, again, until=now + lease, owner=owner, attempts=PageVersion.attempts + 1)


def _claimable(org_id: UUID, which: ColumnElement[bool], *, now: datetime, limit: int) -> Select[UUID]:
    """Pages of the org that anybody may take, those that wait longest, locked."""
    return (
        select(PageVersion.id)
        .where(PageVersion.org_id == org_id, is_waiting_state(), free(PageVersion, now=now), which)
        .order_by(PageVersion.attempts, PageVersion.created_at, PageVersion.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def _lease(session: Session, ids: Select[UUID], *, until: datetime, owner: str, **counted: object) -> list[PageVersion]:
    statement = (
        update(PageVersion)
        .where(PageVersion.id.in_(ids))
        .values(lease_token=uuid4(), lease_until=until, lease_owner=owner, hints=0, hint_at=None, **counted)
        .returning(PageVersion)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return sorted(session.scalars(statement), key=lambda version: (version.created_at, version.id))


def put_off(session: Session, ids: Sequence[UUID], *, until: datetime, problem: str | None) -> None:
    """Note why pages were given back. They are hinted again at `until`."""
    session.execute(
        update(PageVersion)
        .where(PageVersion.id.in_(ids), PageVersion.state == WAITING, PageVersion.lease_token.is_(None))
        .values(hint_at=until, problem=problem)
        .execution_options(synchronize_session=False)
    )


def park(session: Session, version: PageVersion) -> None:
    """Set a version aside that ended its worker too often."""
    version.state = POISON
    version.lease_token = version.lease_until = None
    session.flush()


def held(session: Session, ids: Sequence[UUID], *, token: UUID) -> set[UUID]:
    """Those of the versions that `token` still holds, their rows locked until the commit, in the order of their ids.

    In that order others write rows that refer to several of them, and wait for these locks.
    """
    statement = (
        select(PageVersion.id)
        .where(PageVersion.id.in_(ids), PageVersion.lease_token == token, PageVersion.state == WAITING)
        .order_by(PageVersion.id)
        .with_for_update()
    )
    return set(session.scalars(statement))


def still_held(session: Session, ids: Sequence[UUID], *, token: UUID, now: datetime) -> bool:
    """Whether the holder of `token` may write points of any of these versions now. Locks nothing."""
    held_ones = (PageVersion.id.in_(ids), PageVersion.lease_token == token, PageVersion.lease_until >= now)
    statement = select(PageVersion.id).where(*held_ones, PageVersion.state == WAITING).limit(1)
    return session.scalar(statement) is not None


def overworked(session: Session, *, attempts: int, now: datetime) -> list[PageVersion]:
    """Versions that ended their worker too often, and that nobody holds."""
    statement = select(PageVersion).where(
        is_waiting_state(), PageVersion.attempts >= attempts, free(PageVersion, now=now)
    )
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def orphans(session: Session, *, now: datetime, limit: int) -> list[UUID]:
    """Orgs with pages that wait, that nobody holds, and whose next hint is due.

    Only so many pages are looked at: those hinted never, then those whose hint is due for longest.
    """
    found: dict[UUID, None] = {}
    due = select(PageVersion.org_id).where(is_waiting_state(), free(PageVersion, now=now)).limit(HINTS_LOOKED_AT)
    for which in (due.where(PageVersion.hint_at.is_(None)), due.where(PageVersion.hint_at <= now)):
        oldest = which.order_by(PageVersion.hint_at).subquery()
        orgs = select(oldest.c.org_id).distinct().limit(limit)
        found.update(dict.fromkeys(session.scalars(orgs)))
    return list(found)[:limit]


def hinted(session: Session, org_id: UUID, *, now: datetime, again: datetime) -> None:
    """Note that a hint went out for this org's waiting pages."""
    session.execute(
        update(PageVersion)
        .where(PageVersion.org_id == org_id, PageVersion.state == WAITING, free(PageVersion, now=now))
        .values(hints=PageVersion.hints + 1, hint_at=again)
        .execution_options(synchronize_session=False)
    )


def waiting_hints(session: Session, org_id: UUID) -> int:
    """How often the org's least hinted waiting page was hinted."""
    statement = select(func.min(PageVersion.hints)).where(PageVersion.org_id == org_id, PageVersion.state == WAITING)
    return session.scalar(statement) or 0


def count_waiting(session: Session, *, org_id: UUID | None = None) -> int:
    """How many versions wait to be indexed."""
    statement = select(func.count()).where(PageVersion.state == WAITING)
    return session.scalar(statement.where(PageVersion.org_id == org_id) if org_id else statement) or 0


def count_waiting_of(session: Session, crawl_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many versions that each of these crawls made wait to be indexed; crawls with none are left out."""
    statement = (
        select(PageVersion.crawl_id, func.count())
        .where(PageVersion.crawl_id.in_(crawl_ids), PageVersion.state.in_((WAITING, LATER)))
        .group_by(PageVersion.crawl_id)
    )
    return {crawl_id: count for crawl_id, count in session.execute(statement) if crawl_id}
