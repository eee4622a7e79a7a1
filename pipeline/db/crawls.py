"""Crawls: one run over one datasource, held by one spider at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    case,
    delete,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from pipeline import tracing
from pipeline.db import datasources
from pipeline.db.base import Base, count_changed, insert_into
from pipeline.db.datasources import Datasource
from pipeline.db.leases import Leased, free
from pipeline.db.orgs import Org
from pipeline.db.page_versions import LATER, WAITING, PageVersion, is_later
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import CrawlNotFound, LeaseLost
from pipeline.model import CrawlProgress, CrawlStatus, CrawlTrigger

RUNNING = (CrawlStatus.PENDING, CrawlStatus.SCRAPING)
PAUSED = "paused until"
"""How the message of a paused crawl begins."""


class Crawl(Leased, Base):
    """A job of the HTTP contract. Its counters are derived from its frontier, never added up."""

    __tablename__ = "crawls"
    __table_args__ = (
        Index(
            "uq_crawls_running",
            "datasource_id",
            unique=True,
            sqlite_where=text("status IN ('pending', 'scraping')"),
            postgresql_where=text("status IN ('pending', 'scraping')"),
        ),
        Index("ix_crawls_status_lease_until", "status", "lease_until"),
        Index("ix_crawls_org_id", "org_id", "status", "lease_until"),
        Index("ix_crawls_completed_at", "completed_at"),
        Index("ix_crawls_held", "org_id", sqlite_where=text("held_pages > 0"), postgresql_where=text("held_pages > 0")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    datasource_id: Mapped[UUID] = mapped_column(ForeignKey("datasources.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(default=CrawlStatus.PENDING)
    trigger: Mapped[str]
    only_due: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it leaves out pages that need no look yet, as one by the clock does."""
    total_pages: Mapped[int] = mapped_column(default=0)
    waiting_pages: Mapped[int] = mapped_column(default=0)
    fetched_pages: Mapped[int] = mapped_column(default=0)
    new_pages: Mapped[int] = mapped_column(default=0)
    updated_pages: Mapped[int] = mapped_column(default=0)
    unchanged_pages: Mapped[int] = mapped_column(default=0)
    removed_pages: Mapped[int] = mapped_column(default=0)
    refused_pages: Mapped[int] = mapped_column(default=0)
    failed_pages: Mapped[int] = mapped_column(default=0)
    held_pages: Mapped[int] = mapped_column(default=0)
    not_due_pages: Mapped[int] = mapped_column(default=0, server_default="0")
    """Pages that serve and were not looked at, because it was not their time yet."""
    useful_attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    """The last of its attempts that wrote what became of a URL: only those since then tell against it."""
    vanished: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many of those since then ended with their worker, or before they had a URL in hand: neither says much."""
    not_modified_pages: Mapped[int] = mapped_column(default=0, server_default="0")
    """Those among the unchanged whose site said so, and sent no body: counted as they come, no frontier keeps it."""
    limit_reached: Mapped[bool] = mapped_column(default=False)
    current_url: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    scraped_at: Mapped[datetime | None]
    """When nothing was left to fetch; the crawl completes once its pages are indexed."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """What began it, for the traces of those who work on it: a hint that is lost takes none along."""
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def begin(
    session: Session, datasource: Datasource, *, trigger: CrawlTrigger, now: datetime, only_due: bool = False
) -> Crawl | None:
    """Store a new crawl of this datasource. None when one has not ended, also one that began this moment."""
    row = {"id": uuid4(), "org_id": datasource.org_id, "datasource_id": datasource.id, "trigger": trigger}
    row["only_due"] = only_due or trigger == CrawlTrigger.SCHEDULE
    row["traceparent"] = tracing.traceparent()
    times = {"created_at": now, "updated_at": now}
    statement = insert_into(session, Crawl).values(**row, **times).on_conflict_do_nothing().returning(Crawl)
    return session.scalars(statement).one_or_none()


def fail(crawl: Crawl, *, now: datetime, message: str) -> None:
    """End a crawl that cannot go on. What it kept stays."""
    crawl.status = CrawlStatus.FAILED
    crawl.error_message = message
    crawl.completed_at = crawl.updated_at = now
    crawl.lease_token = crawl.lease_until = None


def pause(crawl: Crawl, *, until: datetime, why: str) -> None:
    """Give a crawl back that nobody shall take before `until`. It counts as no attempt."""
    crawl.lease_token = crawl.lease_until = crawl.lease_owner = None
    crawl.attempts -= 1
    crawl.hint_at = until
    crawl.error_message = f"{PAUSED} {until:%Y-%m-%d %H:%M:%S} UTC: {why}"


def resume(crawl: Crawl) -> None:
    """A crawl that is held is not paused."""
    if (crawl.error_message or "").startswith(PAUSED):
        crawl.error_message = None


VANISHINGS = 4
"""So many workers may vanish, or spiders die before they ask for anything, for one that dies over a page: a machine
that is restarted, or too busy, is not the crawl's fault."""


def fruitless(crawl: Crawl) -> int:
    """How many of its attempts, the present one among them, got it nowhere since one did."""
    return crawl.attempts - min(crawl.useful_attempt, crawl.attempts)


def is_hopeless(crawl: Crawl, *, attempts: int) -> bool:
    """Whether so many attempts, the present one not counted, got it nowhere since one did."""
    return fruitless(crawl) - crawl.vanished > attempts or crawl.vanished >= VANISHINGS * attempts


def note_use(crawl: Crawl) -> None:
    """Note that this attempt got the crawl on."""
    crawl.useful_attempt, crawl.vanished = crawl.attempts, 0


def get(session: Session, crawl_id: UUID, *, org_id: UUID) -> Crawl:
    """The org's crawl.

    Raises:
        CrawlNotFound: If the org has none of this id.
    """
    found = session.scalars(select(Crawl).where(Crawl.id == crawl_id, Crawl.org_id == org_id)).one_or_none()
    if found is None:
        raise CrawlNotFound(crawl=crawl_id)
    return found


def running(session: Session, datasource_id: UUID) -> Crawl | None:
    """The datasource's crawl that has not ended."""
    return session.scalars(
        select(Crawl).where(Crawl.datasource_id == datasource_id, Crawl.status.in_(RUNNING))
    ).one_or_none()


def is_fetching(session: Session, datasource_id: UUID) -> bool:
    """Whether a crawl of this datasource still has pages to fetch."""
    unfinished = (Crawl.status.in_(RUNNING), Crawl.scraped_at.is_(None))
    statement = select(Crawl.id).where(Crawl.datasource_id == datasource_id, *unfinished).limit(1)
    return session.scalar(statement) is not None


def latest(session: Session, datasource_id: UUID) -> Crawl | None:
    """The datasource's newest crawl."""
    statement = select(Crawl).where(Crawl.datasource_id == datasource_id)
    return session.scalars(statement.order_by(Crawl.created_at.desc(), Crawl.id).limit(1)).one_or_none()


def listing(session: Session, *, org_id: UUID, limit: int = 20) -> list[Crawl]:
    """The org's crawls, newest first; those of deleted datasources are not among them."""
    statement = select(Crawl).where(*_kept(org_id)).order_by(Crawl.created_at.desc(), Crawl.id.desc())
    return list(session.scalars(statement.limit(limit)))


def page_through(session: Session, datasource_id: UUID, *, limit: int, after: Place | None) -> Listed[Crawl]:
    """Some of the datasource's crawls, newest first."""
    statement = select(Crawl).where(Crawl.datasource_id == datasource_id)
    return fetch(session, statement, Crawl.created_at, Crawl.id, limit=limit, after=after, newest_first=True)


def of_org(session: Session, org_id: UUID, *, limit: int, after: Place | None) -> Listed[Crawl]:
    """Some of what `listing` gives."""
    statement = select(Crawl).where(*_kept(org_id))
    return fetch(session, statement, Crawl.created_at, Crawl.id, limit=limit, after=after, newest_first=True)


def held_of(session: Session, org_id: UUID, *, limit: int) -> list[Crawl]:
    """The org's crawls that wait for a decision, oldest first."""
    statement = select(Crawl).where(*_kept(org_id), Crawl.held_pages > literal(0, literal_execute=True))
    return list(session.scalars(statement.order_by(Crawl.created_at, Crawl.id).limit(limit)))


def _kept(org_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The org's crawls, but for those of deleted datasources."""
    return Crawl.org_id == org_id, Crawl.datasource_id.in_(datasources.kept(org_id))


def running_of(session: Session, datasource_ids: Sequence[UUID]) -> dict[UUID, Crawl]:
    """The crawls of these datasources that have not ended, by datasource."""
    statement = select(Crawl).where(Crawl.datasource_id.in_(datasource_ids), Crawl.status.in_(RUNNING))
    return {crawl.datasource_id: crawl for crawl in session.scalars(statement)}


def some(session: Session, datasource_id: UUID) -> UUID | None:
    """One crawl of the datasource, if it has any."""
    return session.scalar(select(Crawl.id).where(Crawl.datasource_id == datasource_id).limit(1))


def drop(session: Session, crawl_id: UUID) -> None:
    """Delete a crawl."""
    session.execute(delete(Crawl).where(Crawl.id == crawl_id).execution_options(synchronize_session=False))


def cancel_all(session: Session, *, org_id: UUID, now: datetime) -> None:
    """End every crawl of the org; its spiders' next writes are refused."""
    ended = {"status": CrawlStatus.CANCELLED, "cancel_requested": True, "completed_at": now, "updated_at": now}
    statement = update(Crawl).where(Crawl.org_id == org_id, Crawl.status.in_(RUNNING))
    statement = statement.values(**ended, lease_token=None, lease_until=None)
    session.execute(statement.execution_options(synchronize_session=False))


def holding(session: Session, datasource_id: UUID) -> list[Crawl]:
    """The datasource's crawls that hold pages by their own account."""
    return list(session.scalars(select(Crawl).where(Crawl.datasource_id == datasource_id, Crawl.held_pages > 0)))


def ended(session: Session, datasource_id: UUID) -> list[UUID]:
    """The datasource's crawls that are over."""
    statement = select(Crawl.id).where(Crawl.datasource_id == datasource_id, Crawl.status.not_in(RUNNING))
    return list(session.scalars(statement))


def is_orphaned(session: Session, crawl_id: UUID) -> bool:
    """Whether whoever held this crawl last never gave it back. Its row is locked until the commit."""
    token = select(Crawl.lease_token).where(Crawl.id == crawl_id).with_for_update()
    return session.scalar(token) is not None


def claim(session: Session, crawl_id: UUID, *, now: datetime, lease: timedelta, owner: str) -> Crawl | None:
    """Take this crawl if it still needs a spider and nobody has it. None otherwise."""
    statement = (
        update(Crawl)
        .where(
            Crawl.id == crawl_id,
            Crawl.status.in_(RUNNING),
            Crawl.scraped_at.is_(None),
            free(Crawl, now=now),
        )
        .values(
            status=CrawlStatus.SCRAPING,
            lease_token=uuid4(),
            lease_until=now + lease,
            lease_owner=owner,
            attempts=Crawl.attempts + 1,
            vanished=Crawl.vanished + case((Crawl.lease_token.is_not(None), 1), else_=0),
            hints=0,
            hint_at=None,
            updated_at=now,
        )
        .returning(Crawl)
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).one_or_none()


def in_turn(
    session: Session, hinted: UUID, *, now: datetime, most_of_org: int, org_id: UUID | None = None
) -> Crawl | None:
    """The crawl to take next: of the org that began one least lately, and has room for it, the oldest that is due.

    With `org_id`, of this org.
    """
    statement = (
        select(Crawl)
        .join(Org, Org.id == Crawl.org_id)
        .where(or_(is_due(now), needs_spider(now) & (Crawl.id == hinted)), has_room(now, most_of_org))
        .order_by(Org.crawl_turn, Org.id, Crawl.created_at, Crawl.id)
        .limit(1)
    )
    statement = statement.where(Crawl.org_id == org_id) if org_id else statement
    return session.scalars(statement).one_or_none()


def needs_spider(now: datetime) -> ColumnElement[bool]:
    """Has pages to fetch, and nobody holds it."""
    return Crawl.status.in_(RUNNING) & Crawl.scraped_at.is_(None) & free(Crawl, now=now)


def is_due(now: datetime) -> ColumnElement[bool]:
    """Needs a spider, is not paused, and no spider died of it a moment ago."""
    is_fresh = (Crawl.attempts == 0) & ~func.coalesce(Crawl.error_message, "").startswith(PAUSED)
    return needs_spider(now) & or_(Crawl.hint_at.is_(None), Crawl.hint_at <= now, is_fresh)


def has_room(now: datetime, most_of_org: int) -> ColumnElement[bool]:
    """Its org has fewer crawls than this that somebody holds; 0 is no limit."""
    if not most_of_org:
        return true()
    held = aliased(Crawl)
    is_held = (held.org_id == Crawl.org_id, held.status.in_(RUNNING), held.lease_until >= now)
    return select(func.count()).where(*is_held).scalar_subquery() < most_of_org


def fence(session: Session, crawl_id: UUID, *, token: UUID, now: datetime) -> Crawl:
    """The crawl, locked, if `token` still holds it: the first statement of every write of a spider.

    Raises:
        LeaseLost: If another worker holds it, or it was cancelled.
    """
    statement = (
        update(Crawl)
        .where(
            Crawl.id == crawl_id,
            Crawl.lease_token == token,
            Crawl.status == CrawlStatus.SCRAPING,
            Crawl.cancel_requested.is_(False),
        )
        .values(updated_at=now)
        .returning(Crawl)
        .execution_options(populate_existing=True)
    )
    crawl = session.scalars(statement).one_or_none()
    if crawl is None:
        raise LeaseLost(crawl=crawl_id)
    return crawl


def write_progress(crawl: Crawl, progress: CrawlProgress, *, url: str | None) -> None:
    """Copy the derived counts to the row, where everyone who watches reads them."""
    crawl.total_pages = progress.found
    crawl.waiting_pages = progress.waiting
    crawl.fetched_pages = progress.fetched
    crawl.new_pages = progress.new
    crawl.updated_pages = progress.updated
    crawl.unchanged_pages = progress.unchanged
    crawl.removed_pages = progress.removed
    crawl.refused_pages = progress.refused
    crawl.failed_pages = progress.failed
    crawl.not_due_pages = progress.not_due
    crawl.held_pages = progress.held
    crawl.limit_reached = progress.limit_reached
    crawl.current_url = url or crawl.current_url


def scraped(session: Session, *, crawl_ids: Sequence[UUID] = ()) -> dict[UUID, UUID]:
    """Crawls that have nothing left to fetch, and whose pages are indexed but for those that wait for just that.

    Each with its datasource.
    """
    statement = select(Crawl.id, Crawl.datasource_id).where(*_has_none(WAITING))
    found = session.execute(statement.where(Crawl.id.in_(crawl_ids)) if crawl_ids else statement)
    return {crawl.id: crawl.datasource_id for crawl in found}


def left_undecided(session: Session) -> list[UUID]:
    """Datasources with texts that wait for the end of a crawl that is over, whichever way."""
    runs = exists().where(Crawl.datasource_id == PageVersion.datasource_id, Crawl.status.in_(RUNNING))
    statement = select(PageVersion.datasource_id).where(is_later(), ~runs).distinct()
    return list(session.scalars(statement))


def _has_none(*states: str) -> tuple[ColumnElement[bool], ...]:
    """Crawls that run, with nothing left to fetch and no page in these states."""
    unindexed = exists().where(PageVersion.crawl_id == Crawl.id, PageVersion.state.in_(states))
    return (Crawl.status == CrawlStatus.SCRAPING, Crawl.scraped_at.is_not(None), ~unindexed)


def about_to_end(session: Session, crawl_ids: Sequence[UUID]) -> list[Crawl]:
    """Those of the crawls that have nothing left to fetch or to index."""
    return list(session.scalars(select(Crawl).where(*_has_none(WAITING, LATER), Crawl.id.in_(crawl_ids))))


def any_running(session: Session, *, org_id: UUID) -> bool:
    """Whether a crawl of the org has not ended."""
    statement = select(Crawl.id).where(Crawl.org_id == org_id, Crawl.status.in_(RUNNING)).limit(1)
    return session.scalar(statement) is not None


def complete_scraped(session: Session, *, now: datetime, crawl_ids: Sequence[UUID]) -> list[Crawl]:
    """End those of the crawls that have nothing left to fetch or to index. Doing it twice is the same as once."""
    statement = (
        update(Crawl)
        .where(*_has_none(WAITING, LATER), Crawl.id.in_(crawl_ids))
        .values(status=CrawlStatus.COMPLETED, completed_at=now, updated_at=now, current_url=None)
        .returning(Crawl)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(statement))


def orphans(session: Session, *, now: datetime, limit: int, most_of_org: int = 0) -> list[Crawl]:
    """Crawls that need a spider, have none, whose org has room for one more, and whose next hint is due."""
    statement = (
        select(Crawl)
        .where(
            needs_spider(now),
            has_room(now, most_of_org),
            or_(Crawl.hint_at.is_(None), Crawl.hint_at <= now),
        )
        .order_by(Crawl.hint_at.nulls_first(), Crawl.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def traceparents(session: Session, crawl_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What began these crawls, where that was traced."""
    statement = select(Crawl.id, Crawl.traceparent).where(Crawl.id.in_(crawl_ids), Crawl.traceparent.is_not(None))
    return {crawl_id: traceparent for crawl_id, traceparent in session.execute(statement) if traceparent}


def hinted(session: Session, crawl_id: UUID, *, again: datetime) -> None:
    """Note that a hint went out for this crawl, and when the next is due."""
    statement = update(Crawl).where(Crawl.id == crawl_id).values(hints=Crawl.hints + 1, hint_at=again)
    session.execute(statement.execution_options(synchronize_session=False))


def cancel(session: Session, crawl: Crawl, *, now: datetime) -> bool:
    """End a crawl; its spider's next write is refused. What it kept so far stays. False when it was over already."""
    values = {"status": CrawlStatus.CANCELLED, "cancel_requested": True, "completed_at": now, "updated_at": now}
    lease = {"lease_token": None, "lease_until": None}
    statement = update(Crawl).where(Crawl.id == crawl.id, Crawl.status.in_(RUNNING)).values(**values, **lease)
    was_running = count_changed(session, statement) == 1
    session.refresh(crawl)
    return was_running
