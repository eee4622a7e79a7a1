"""How the installation stands: what a scrape asks. Each look is bounded, however many rows there are."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from pipeline.db.crawls import RUNNING, Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.dead_letters import DeadLetter, is_standing
from pipeline.db.pages import Page
from pipeline.model import DatasourceStatus

CRAWLS_LOOKED_AT = 2_000
LETTERS_LOOKED_AT = 10_000
SAMPLE_PARTS, SAMPLE_PART = 4, 250
"""Ids of pages are random, so that some that follow each other are a fair sample."""


class LookedAt(NamedTuple):
    """URLs of crawls, by what looking at each found."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    not_modified: int = 0
    removed: int = 0
    refused: int = 0
    failed: int = 0
    held: int = 0
    not_due: int = 0


def most_overdue(session: Session, *, now: datetime) -> datetime | None:
    """When the website whose crawl is most overdue was due; None where none is."""
    statement = select(Datasource.next_crawl_at).where(
        Datasource.next_crawl_at <= now,
        Datasource.status == DatasourceStatus.ACTIVE,
        Datasource.deleted_at.is_(None),
    )
    return session.scalar(statement.order_by(Datasource.next_crawl_at).limit(1))


def crawls_by_status(session: Session) -> dict[str, int]:
    """How many crawls have not ended, by status, and how many `held` pages for a person to decide on."""
    statement = select(Crawl.status, func.count()).where(Crawl.status.in_(RUNNING)).group_by(Crawl.status)
    found = {status.value: 0 for status in RUNNING} | {
        str(status): count for status, count in session.execute(statement)
    }
    holding = session.scalar(
        select(func.count()).select_from(Crawl).where(Crawl.held_pages > literal(0, literal_execute=True))
    )
    return found | {"held": holding or 0}


def dead_letters_by_kind(session: Session) -> dict[str, int]:
    """How many dead letters of all orgs stand, by kind."""
    some = select(DeadLetter.kind).where(is_standing()).limit(LETTERS_LOOKED_AT).subquery()
    statement = select(some.c.kind, func.count()).group_by(some.c.kind)
    return {row[0]: row[1] for row in session.execute(statement)}


def looked_at(session: Session, *, since: datetime) -> LookedAt:
    """What the newest crawls that ended since then found, added up."""
    columns = [getattr(Crawl, f"{name}_pages") for name in LookedAt._fields]
    ended = Crawl.completed_at.is_not(None) & (Crawl.completed_at > since)
    newest = select(*columns).where(ended).order_by(Crawl.completed_at.desc()).limit(CRAWLS_LOOKED_AT).subquery()
    sums = [func.coalesce(func.sum(column), 0) for column in newest.c]
    return LookedAt(*(int(total) for total in session.execute(select(*sums)).one()))


def looks_at_pages(session: Session) -> list[datetime]:
    """When pages that serve were last looked at, of a sample, the latest first."""
    found: dict[UUID, datetime] = {}
    for part in range(SAMPLE_PARTS):
        first = UUID(int=part * 2**128 // SAMPLE_PARTS)
        serves = (Page.id >= first, Page.live_version.is_not(None), Page.fetched_at.is_not(None))
        statement = select(Page.id, Page.fetched_at).where(*serves).order_by(Page.id).limit(SAMPLE_PART)
        found.update((page_id, at) for page_id, at in session.execute(statement) if at is not None)
    return sorted(found.values(), reverse=True)
