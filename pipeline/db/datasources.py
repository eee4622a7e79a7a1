"""Datasources: the websites an org wants read, with the rules and dates of their crawls."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, Select, delete, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db import base
from pipeline.db.base import Base, insert_into
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import DatasourceNotFound
from pipeline.model import DatasourceStatus
from pipeline.urls import url_key as fold


class Datasource(Base):
    """One website of one org."""

    __tablename__ = "datasources"
    __table_args__ = (
        Index(
            "uq_datasources_kept",
            "org_id",
            "url_key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    url: Mapped[str]
    url_key: Mapped[str]
    display_name: Mapped[str]
    status: Mapped[str] = mapped_column(default=DatasourceStatus.ACTIVE)
    page_limit: Mapped[int | None]
    include_paths: Mapped[list[str]] = mapped_column(default=list)
    exclude_paths: Mapped[list[str]] = mapped_column(default=list)
    sitemap_urls: Mapped[list[str]] = mapped_column(default=list)
    subdomains: Mapped[bool] = mapped_column(default=False)
    extra_hosts: Mapped[list[str]] = mapped_column(default=list)
    crawl_interval_hours: Mapped[int | None]
    render_js: Mapped[str] = mapped_column(default="never")
    documents: Mapped[bool] = mapped_column(default=False)
    next_crawl_at: Mapped[datetime | None] = mapped_column(index=True)
    lastmod_kept: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often its sitemaps said that a page had not changed, and a look agreed."""
    lastmod_told: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often they said that one had, and a look agreed."""
    lastmod_broken: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often they said that one had not, and it had."""
    revisit_weight: Mapped[float | None]
    """What a look at one of its pages is worth, in squared intervals."""
    last_crawl_started_at: Mapped[datetime | None]
    last_crawl_completed_at: Mapped[datetime | None]
    error_message: Mapped[str | None]
    former_urls: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    """Where it started before it moved, the oldest first."""
    moved_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def ensure(session: Session, *, url: str, url_key: str, org_id: UUID, now: datetime) -> Datasource:
    """The org's datasource that starts at this address, stored if there is none.

    Of two who store it at once, the second gets the first's.
    """
    row = {"id": uuid4(), "org_id": org_id, "url": url, "url_key": url_key, "display_name": ""}
    times = {"created_at": now, "updated_at": now}
    session.execute(insert_into(session, Datasource).values(**row, **times).on_conflict_do_nothing())
    return session.scalars(
        select(Datasource).where(
            Datasource.url_key == url_key, Datasource.org_id == org_id, Datasource.deleted_at.is_(None)
        )
    ).one()


def hold(session: Session, datasource_ids: Iterable[UUID]) -> None:
    """Until the commit, let nobody else decide about pages of these datasources.

    Which of two twins is kept, and what a crawl counts, is read before it is written.
    """
    base.hold(session, datasource_ids)


def get(session: Session, datasource_id: UUID, *, org_id: UUID) -> Datasource:
    """The org's datasource.

    Raises:
        DatasourceNotFound: If the org has none of this id.
    """
    found = session.scalars(
        select(Datasource).where(
            Datasource.id == datasource_id, Datasource.org_id == org_id, Datasource.deleted_at.is_(None)
        )
    ).one_or_none()
    if found is None:
        raise DatasourceNotFound(datasource=datasource_id)
    return found


def listing(session: Session, *, org_id: UUID) -> list[Datasource]:
    """The org's datasources, oldest first."""
    statement = select(Datasource).where(Datasource.org_id == org_id, Datasource.deleted_at.is_(None))
    return list(session.scalars(statement.order_by(Datasource.created_at, Datasource.id)))


def kept(org_id: UUID) -> Select[UUID]:
    """The ids of the org's datasources that are not deleted, for a condition."""
    return select(Datasource.id).where(Datasource.org_id == org_id, Datasource.deleted_at.is_(None))


def kept_by_anybody() -> Select[UUID]:
    """The ids of all orgs' datasources that are not deleted, for a condition."""
    return select(Datasource.id).where(Datasource.deleted_at.is_(None))


def page_through(session: Session, *, org_id: UUID, limit: int, after: Place | None) -> Listed[Datasource]:
    """Some of the org's datasources, oldest first."""
    statement = select(Datasource).where(Datasource.org_id == org_id, Datasource.deleted_at.is_(None))
    return fetch(session, statement, Datasource.created_at, Datasource.id, limit=limit, after=after)


def count(session: Session, *, org_id: UUID) -> int:
    """How many datasources the org has."""
    return session.scalar(select(func.count()).select_from(kept(org_id).subquery())) or 0


def find(session: Session, *, url_key: str, org_id: UUID) -> Datasource | None:
    """The org's datasource that starts at this folded address."""
    kept_one = (Datasource.url_key == url_key, Datasource.org_id == org_id, Datasource.deleted_at.is_(None))
    return session.scalars(select(Datasource).where(*kept_one)).one_or_none()


def formerly_at(session: Session, *, url_key: str, org_id: UUID) -> Datasource | None:
    """The org's datasource that started at this folded address before it moved."""
    moved = select(Datasource).where(Datasource.org_id == org_id, Datasource.deleted_at.is_(None))
    known = session.scalars(moved.where(Datasource.moved_at.is_not(None)).order_by(Datasource.moved_at.desc()))
    return next((one for one in known if any(url_key == fold(url) for url in one.former_urls)), None)


def add(session: Session, *, url: str, url_key: str, org_id: UUID, now: datetime) -> UUID | None:
    """Store a datasource that starts at this address. Its id; None when the org has one, also of this moment."""
    row = {"id": uuid4(), "org_id": org_id, "url": url, "url_key": url_key, "display_name": ""}
    times = {"created_at": now, "updated_at": now}
    statement = insert_into(session, Datasource).values(**row, **times).on_conflict_do_nothing()
    return session.execute(statement.returning(Datasource.id)).scalar_one_or_none()


def deleted(session: Session, *, limit: int) -> list[Datasource]:
    """Deleted datasources whose rows are still there, the first deleted first; those of erased orgs go with these."""
    statement = (
        select(Datasource)
        .join(Org, Org.id == Datasource.org_id)
        .where(Datasource.deleted_at.is_not(None), Org.erased_at.is_(None))
        .order_by(Datasource.deleted_at, Datasource.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def urls(session: Session, *, org_id: UUID) -> list[str]:
    """Where the org's datasources start, those deleted included."""
    return list(session.scalars(select(Datasource.url).where(Datasource.org_id == org_id)))


def urls_elsewhere(session: Session, *, org_id: UUID) -> list[str]:
    """Where the datasources of all other orgs start."""
    return list(
        session.scalars(select(Datasource.url).where(Datasource.org_id != org_id, Datasource.deleted_at.is_(None)))
    )


def drop(session: Session, datasource_id: UUID) -> None:
    """Delete the row of a deleted datasource, with whatever still hangs on it."""
    statement = delete(Datasource).where(Datasource.id == datasource_id, Datasource.deleted_at.is_not(None))
    session.execute(statement.execution_options(synchronize_session=False))


def due(session: Session, *, now: datetime, limit: int) -> list[Datasource]:
    """Active datasources whose next crawl is due, longest overdue first."""
    statement = (
        select(Datasource)
        .where(
            Datasource.next_crawl_at <= now,
            Datasource.status == DatasourceStatus.ACTIVE,
            Datasource.deleted_at.is_(None),
        )
        .order_by(Datasource.next_crawl_at)
        .limit(limit)
    )
    return list(session.scalars(statement))
