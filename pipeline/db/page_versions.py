"""Page versions: what a page said, each time it said something new, and the queue of what waits to be indexed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    exists,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from pipeline.db import datasources
from pipeline.db.base import Base, CompressedText, count_changed
from pipeline.db.leases import Leased, uncounted
from pipeline.db.pages import IDS_AT_A_TIME, Page

WAITING, INDEXED, SUPERSEDED, POISON = "waiting", "indexed", "superseded", "poison"
LATER = "later"
"""Waits until its crawl has fetched everything: what is new in it may be new on every page."""
HELD = "held"
"""Waits for a decision: it would replace nearly all that its page says."""


class PageVersion(Leased, Base):
    """One text of one page. It waits to be indexed, under a lease, and then may be made live."""

    __tablename__ = "page_versions"
    __table_args__ = (
        UniqueConstraint("page_id", "number"),
        Index("ix_page_versions_queue", "org_id", "state", "lease_until"),
        Index("ix_page_versions_crawl", "crawl_id", "state"),
        Index("ix_page_versions_body", "org_id", "body_sha256"),
        Index(
            "ix_page_versions_waiting",
            "created_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_page_versions_retired",
            "retired_at",
            sqlite_where=text("retired_at IS NOT NULL"),
            postgresql_where=text("retired_at IS NOT NULL"),
        ),
        Index(
            "ix_page_versions_unserved",
            "created_at",
            sqlite_where=text("state IN ('superseded', 'poison')"),
            postgresql_where=text("state IN ('superseded', 'poison')"),
        ),
        Index(
            "ix_page_versions_org_waiting",
            "org_id",
            "attempts",
            "created_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_page_versions_hint_at",
            "hint_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_page_versions_leased",
            "lease_until",
            sqlite_where=text("lease_until IS NOT NULL"),
            postgresql_where=text("lease_until IS NOT NULL"),
        ),
        Index(
            "ix_page_versions_later",
            "datasource_id",
            sqlite_where=text("state = 'later'"),
            postgresql_where=text("state = 'later'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    page_id: Mapped[UUID] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"))
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    datasource_id: Mapped[UUID]
    crawl_id: Mapped[UUID | None]
    derived_from: Mapped[UUID | None]
    """The version whose stored HTML a newer extractor read again to make this one; none when it was fetched."""
    number: Mapped[int]
    state: Mapped[str] = mapped_column(default=WAITING)
    title: Mapped[str]
    language: Mapped[str | None]
    markdown: Mapped[str] = mapped_column(CompressedText)
    text_hash: Mapped[str]
    fact_hash: Mapped[str]
    body_sha256: Mapped[str]
    extractor: Mapped[str]
    dropped: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    """What was kept out of the text: pairs of reason and excerpt."""
    left_out: Mapped[list[int]] = mapped_column(JSON, default=list)
    """Fingerprints of blocks that its chunks do without: the whole website shows them, another page keeps them."""
    generation: Mapped[int] = mapped_column(default=1, server_default="1")
    """The generation that served when it was last cut: the one that its counts are of, and that has it whole."""
    chunk_count: Mapped[int] = mapped_column(default=0)
    embedded_count: Mapped[int] = mapped_column(default=0)
    """Vectors computed for this version; the others were there."""
    problem: Mapped[str | None]
    """Why it could not be indexed, the last time."""
    vanished: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many workers vanished with it in hand since it was first taken: every second one counts as an attempt."""
    fetched_at: Mapped[datetime]
    indexed_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    """When it stopped being live."""
    created_at: Mapped[datetime]

    @property
    def taken(self) -> int:
        """How often somebody took it up."""
        return self.attempts + uncounted(self.vanished)


def next_number(session: Session, page_id: UUID) -> int:
    """The number of the page's next version, from 1."""
    highest = session.scalar(select(func.max(PageVersion.number)).where(PageVersion.page_id == page_id))
    return (highest or 0) + 1


def is_waiting(session: Session, page_id: UUID) -> bool:
    """Whether a text of this page waits to be indexed."""
    is_to_come = PageVersion.state.in_((WAITING, LATER))
    statement = select(PageVersion.id).where(PageVersion.page_id == page_id, is_to_come).limit(1)
    return session.scalar(statement) is not None


def supersede_waiting(session: Session, page_id: UUID) -> int:
    """Texts of this page that nobody indexed yet need not be any more. Returns how many there were.

    One that was indexed before, and waits to be cut anew, stays as it was.
    """
    undone = (WAITING, LATER, HELD)
    waiting = update(PageVersion).where(PageVersion.page_id == page_id, PageVersion.state.in_(undone))
    free_again = {"lease_token": None, "lease_until": None}
    again = waiting.where(PageVersion.indexed_at.is_not(None)).values(state=INDEXED, **free_again)
    session.execute(again.execution_options(synchronize_session=False))
    return count_changed(session, waiting.values(state=SUPERSEDED, **free_again))


def waits_in(session: Session, datasource_id: UUID, *, org_id: UUID) -> bool:
    """Whether a text of any page of this datasource waits to be indexed."""
    waiting = (
        PageVersion.org_id == org_id,
        PageVersion.state == WAITING,
        PageVersion.datasource_id == datasource_id,
    )
    return session.scalar(select(PageVersion.id).where(*waiting).limit(1)) is not None


def waiting_pages(session: Session, datasource_id: UUID, *, org_id: UUID) -> set[UUID]:
    """Pages of this datasource with a text that is to be indexed, or is held."""
    waiting = (
        PageVersion.org_id == org_id,
        PageVersion.state.in_((WAITING, LATER, HELD)),
        PageVersion.datasource_id == datasource_id,
    )
    return set(session.scalars(select(PageVersion.page_id).where(*waiting)))


def supersede_all(
    session: Session, *, org_id: UUID, datasource_id: UUID | None = None, page_ids: Sequence[UUID] | None = None
) -> None:
    """Let nothing of this datasource, these pages, or the whole org be indexed any more.

    Leases stay: whoever holds one may be writing points now, and whoever removes points waits for it.
    """
    statement = update(PageVersion).where(PageVersion.org_id == org_id, PageVersion.state.in_((WAITING, LATER, HELD)))
    if datasource_id is not None:
        statement = statement.where(PageVersion.datasource_id == datasource_id)
    statement = statement.values(state=SUPERSEDED).execution_options(synchronize_session=False)
    if page_ids is None:
        session.execute(statement)
        return
    for first in range(0, len(page_ids), IDS_AT_A_TIME):
        session.execute(statement.where(PageVersion.page_id.in_(page_ids[first : first + IDS_AT_A_TIME])))


def move(session: Session, page_ids: Sequence[UUID], *, datasource_id: UUID) -> None:
    """Give the versions of these pages to another datasource of the org."""
    for first in range(0, len(page_ids), IDS_AT_A_TIME):
        part = page_ids[first : first + IDS_AT_A_TIME]
        statement = update(PageVersion).where(PageVersion.page_id.in_(part)).values(datasource_id=datasource_id)
        session.execute(statement.execution_options(synchronize_session=False))


def bodies_of(session: Session, page_ids: Sequence[UUID]) -> set[str]:
    """The HTML behind the versions of these pages, by its SHA-256."""
    return set(session.scalars(select(PageVersion.body_sha256).where(PageVersion.page_id.in_(page_ids)).distinct()))


def newest(session: Session, page_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The newest version of each of these pages."""
    statement = select(PageVersion.page_id, PageVersion.id).where(PageVersion.page_id.in_(page_ids))
    return {row.page_id: row.id for row in session.execute(statement.order_by(PageVersion.number))}


def is_waiting_state() -> ColumnElement[bool]:
    """The condition of the index over what waits, word for word, or it is not used."""
    return PageVersion.state == literal(WAITING, literal_execute=True)


def is_later() -> ColumnElement[bool]:
    """The condition of the index over what waits for the end of fetching, word for word, or it is not used."""
    return PageVersion.state == literal(LATER, literal_execute=True)


def later(session: Session, datasource_id: UUID, *, limit: int) -> list[PageVersion]:
    """Some of the datasource's versions that wait for the end of fetching, the same order every time."""
    statement = select(PageVersion).where(PageVersion.datasource_id == datasource_id, is_later())
    return list(session.scalars(statement.order_by(PageVersion.page_id).limit(limit)))


def composed(session: Session, datasource_id: UUID) -> list[tuple[UUID, UUID, list[int]]]:
    """The datasource's versions that serve and wait for nothing: page, version, and what its chunks do without."""
    statement = (
        select(PageVersion.page_id, PageVersion.id, PageVersion.left_out)
        .join(Page, Page.live_version == PageVersion.id)
        .where(Page.datasource_id == datasource_id, PageVersion.state == INDEXED, ~_has_newer())
        .order_by(PageVersion.page_id)
    )
    return [(page_id, version_id, left_out) for page_id, version_id, left_out in session.execute(statement)]


def _has_newer() -> ColumnElement[bool]:
    newer = aliased(PageVersion)
    return exists().where(newer.page_id == Page.id, newer.state.in_((WAITING, LATER)))


def cut_anew(session: Session, version: PageVersion) -> None:
    """Let a version that serves be cut and indexed again; it serves as it is until then."""
    version.state, version.attempts, version.hints, version.hint_at = WAITING, 0, 0, None
    session.flush()


def get(session: Session, version_id: UUID) -> PageVersion:
    """The version of this id as it is in the database now; it must exist."""
    return session.get_one(PageVersion, version_id, populate_existing=True)


def by_id(session: Session, ids: Sequence[UUID]) -> dict[UUID, PageVersion]:
    """Versions by their ids."""
    return {version.id: version for version in session.scalars(select(PageVersion).where(PageVersion.id.in_(ids)))}


def finish(
    session: Session, version: PageVersion, *, generation: int, now: datetime, chunks: int, embedded: int
) -> None:
    """Note that a version is in the vector store, in its generation that serves, whole."""
    version.generation = generation
    version.state, version.problem = INDEXED, None
    version.indexed_at = version.indexed_at or now
    version.chunk_count, version.embedded_count = chunks, version.embedded_count + embedded
    version.lease_token = version.lease_until = version.lease_owner = None
    version.attempts = 0
    session.flush()


def leave_as_cut(session: Session, ids: Iterable[UUID | None]) -> None:
    """Of versions that are to serve no more: those that wait to be cut anew need not be."""
    known = [one for one in ids if one is not None]
    for first in range(0, len(known), IDS_AT_A_TIME):
        part = PageVersion.id.in_(known[first : first + IDS_AT_A_TIME])
        undone = update(PageVersion).where(part, PageVersion.state == WAITING)
        undone = undone.values(state=INDEXED, lease_token=None, lease_until=None)
        session.execute(undone.execution_options(synchronize_session="fetch"))


def any_indexed(session: Session) -> bool:
    """Whether any text is in the vector store, whole."""
    return session.scalar(select(PageVersion.id).where(PageVersion.state == INDEXED).limit(1)) is not None


def embedded_in(session: Session, crawl_id: UUID) -> tuple[int, int]:
    """Chunks, and vectors computed, over the versions this crawl made."""
    statement = select(
        func.coalesce(func.sum(PageVersion.chunk_count), 0), func.coalesce(func.sum(PageVersion.embedded_count), 0)
    ).where(PageVersion.crawl_id == crawl_id)
    chunks, embedded = session.execute(statement).one()
    return int(chunks), int(embedded)


def count_unindexed(session: Session, ids: Sequence[UUID]) -> int:
    """How many of these versions are not in the vector store, whole."""
    undone = (PageVersion.id.in_(ids), PageVersion.state != INDEXED)
    return session.scalar(select(func.count()).where(*undone)) or 0


def history(session: Session, page_id: UUID) -> list[PageVersion]:
    """The page's versions, newest first."""
    statement = select(PageVersion).where(PageVersion.page_id == page_id).order_by(PageVersion.number.desc())
    return list(session.scalars(statement))


def live_titles(session: Session, *, org_id: UUID) -> list[str]:
    """The titles of the org's pages that answer now, each once, in order."""
    statement = (
        select(PageVersion.title)
        .join(Page, Page.live_version == PageVersion.id)
        .where(Page.org_id == org_id, Page.excluded.is_(False), Page.datasource_id.in_(datasources.kept(org_id)))
    )
    return list(session.scalars(statement.distinct().order_by(PageVersion.title)))
