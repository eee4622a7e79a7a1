"""Reading again: live texts that another extractor made, held while their stored HTML is read anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from pipeline.db import datasources
from pipeline.db.leases import free
from pipeline.db.orgs import Org
from pipeline.db.page_versions import HELD, INDEXED, LATER, WAITING, PageVersion
from pipeline.db.pages import Page


@dataclass(frozen=True, slots=True)
class Standing:
    """An org's live texts by who made them. `left` are those that could not be read again, and stay as they are."""

    live: int
    outdated: int
    left: int
    derived: int


def begin(session: Session, org_id: UUID, *, extractor: str, now: datetime) -> None:
    """From now on, read the org's pages again where another extractor made their text; what was left is tried anew."""
    session.execute(update(Org).where(Org.id == org_id).values(rereading_since=now))
    outdated = select(PageVersion.id).where(*_outdated(org_id, extractor))
    again = update(PageVersion).where(PageVersion.id.in_(outdated)).values(attempts=0, problem=None)
    session.execute(again.execution_options(synchronize_session=False))


def end(session: Session, org_id: UUID) -> None:
    """Read no more of them."""
    session.execute(update(Org).where(Org.id == org_id).values(rereading_since=None))


def since(session: Session, org_id: UUID) -> datetime | None:
    """Since when the org's pages are read again; None when they are not."""
    return session.scalar(select(Org.rereading_since).where(Org.id == org_id))


def orgs(session: Session, *, limit: int | None = None) -> list[UUID]:
    """Whose pages are read again, whoever was served least lately first."""
    statement = select(Org.id).where(Org.rereading_since.is_not(None)).order_by(Org.turn, Org.id).limit(limit)
    return list(session.scalars(statement))


def claim(
    session: Session,
    org_id: UUID,
    *,
    extractor: str,
    limit: int,
    attempts: int,
    now: datetime,
    lease: timedelta,
    owner: str,
) -> list[PageVersion]:
    """Take up to `limit` live texts that another extractor made. Two workers never take the same one."""
    chosen = (
        select(PageVersion.id)
        .where(*_outdated(org_id, extractor), PageVersion.attempts < attempts, free(PageVersion, now=now))
        .order_by(PageVersion.attempts, PageVersion.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = {"lease_token": uuid4(), "lease_until": now + lease, "lease_owner": owner}
    statement = (
        update(PageVersion)
        .where(PageVersion.id.in_(chosen))
        .values(**taken, attempts=PageVersion.attempts + 1)
        .returning(PageVersion)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return sorted(session.scalars(statement), key=lambda version: version.id)


def in_work(session: Session, org_id: UUID, *, extractor: str, attempts: int, now: datetime) -> bool:
    """Whether a text is left to be read again, by whoever holds it now or later.

    One whose last holder fell silent over the last attempt is not: it stays as it is.
    """
    left = select(PageVersion.id).where(*_outdated(org_id, extractor), PageVersion.attempts < attempts).limit(1)
    held = select(PageVersion.id).where(*_outdated(org_id, extractor), PageVersion.lease_until >= now).limit(1)
    return session.scalar(left) is not None or session.scalar(held) is not None


def keep_as_it_is(version: PageVersion, *, attempts: int, problem: str) -> None:
    """Try this text no more with this extractor."""
    version.attempts, version.problem = attempts, problem


def let_go(version: PageVersion) -> None:
    """Done with it, one way or the other."""
    version.lease_token = version.lease_until = version.lease_owner = None


def standing(session: Session, org_id: UUID, *, extractor: str, attempts: int) -> Standing:
    """How far it is."""
    serving = (Page.live_version.is_not(None), Page.datasource_id.in_(datasources.kept(org_id)))
    live = select(func.count()).select_from(Page).where(Page.org_id == org_id, *serving)
    outdated = select(func.count()).select_from(PageVersion).where(*_outdated(org_id, extractor))
    derived = select(func.count()).select_from(PageVersion)
    mine = (PageVersion.org_id == org_id, PageVersion.derived_from.is_not(None), PageVersion.extractor == extractor)
    return Standing(
        live=session.scalar(live) or 0,
        outdated=session.scalar(outdated) or 0,
        left=session.scalar(outdated.where(PageVersion.attempts >= attempts)) or 0,
        derived=session.scalar(derived.where(*mine)) or 0,
    )


def _outdated(org_id: UUID, extractor: str) -> tuple[ColumnElement[bool], ...]:
    """Texts that serve, of websites that are kept, by another extractor, with nothing newer to come for their page."""
    newer = aliased(PageVersion)
    to_come = exists().where(newer.page_id == PageVersion.page_id, newer.state.in_((WAITING, LATER, HELD)))
    serves = exists().where(Page.live_version == PageVersion.id)
    is_old = (PageVersion.org_id == org_id, PageVersion.state == INDEXED, PageVersion.extractor != extractor)
    return (*is_old, PageVersion.datasource_id.in_(datasources.kept(org_id)), serves, ~to_come)


def fenced(session: Session, ids: Sequence[UUID], *, token: UUID) -> list[PageVersion]:
    """Those of the texts that are held under this token still, locked."""
    statement = select(PageVersion).where(PageVersion.id.in_(ids), PageVersion.lease_token == token)
    return list(session.scalars(statement.with_for_update().execution_options(populate_existing=True)))
