"""Served spans: which text of a page answered from when to when. Written with every flip, whoever flips.

So is when a version stopped (`PageVersion.retired_at`): what is kept of a text is counted from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, ForeignKey, Index, event, insert, or_, select, update
from sqlalchemy.orm import Mapped, Mapper, Session, attributes, mapped_column

from pipeline.db.base import Base
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page


class ServedSpan(Base):
    """One version of one page answered from `since` until `until`, or does so now."""

    __tablename__ = "served_spans"
    __table_args__ = (Index("ix_served_spans_page", "page_id", "since"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    page_id: Mapped[UUID] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"))
    version_id: Mapped[UUID]
    since: Mapped[datetime]
    until: Mapped[datetime | None]


@event.listens_for(Page, "after_update")
def _note_flip(mapper: Mapper[Any], connection: Connection, page: Page) -> None:
    """End the span of what served, and begin that of what serves now."""
    del mapper
    history = attributes.get_history(page, "live_version")
    if not history.has_changes():
        return
    if list(history.deleted) != [None]:
        is_open = (ServedSpan.page_id == page.id, ServedSpan.until.is_(None))
        served = PageVersion.id.in_(select(ServedSpan.version_id).where(*is_open))
        connection.execute(update(PageVersion).where(served).values(retired_at=page.updated_at))
        connection.execute(update(ServedSpan).where(*is_open).values(until=page.updated_at))
    if page.live_version is not None:
        row = {"id": uuid4(), "page_id": page.id, "version_id": page.live_version, "since": page.updated_at}
        connection.execute(insert(ServedSpan).values(**row))
        serves = (PageVersion.id == page.live_version, PageVersion.retired_at.is_not(None))
        connection.execute(update(PageVersion).where(*serves).values(retired_at=None))


def of_page(session: Session, page_id: UUID) -> list[ServedSpan]:
    """When which text of the page answered, the newest first."""
    statement = select(ServedSpan).where(ServedSpan.page_id == page_id)
    return list(session.scalars(statement.order_by(ServedSpan.since.desc(), ServedSpan.until.desc().nulls_first())))


def last(session: Session, page_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The version of each of these pages that answered last; pages that never did have none."""
    statement = select(ServedSpan.page_id, ServedSpan.version_id).where(ServedSpan.page_id.in_(page_ids))
    return {row.page_id: row.version_id for row in session.execute(statement.order_by(ServedSpan.since))}


def version_at(session: Session, page_id: UUID, moment: datetime) -> PageVersion | None:
    """The text of the page that answered at this moment; None when none did."""
    statement = (
        select(PageVersion)
        .join(ServedSpan, ServedSpan.version_id == PageVersion.id)
        .where(
            ServedSpan.page_id == page_id,
            ServedSpan.since <= moment,
            or_(ServedSpan.until.is_(None), ServedSpan.until > moment),
        )
        .order_by(ServedSpan.since.desc())
        .limit(1)
    )
    return session.scalars(statement).one_or_none()


def at(session: Session, datasource_id: UUID, moment: datetime) -> dict[UUID, UUID]:
    """For each page of the datasource that answered at this moment: the version that did."""
    statement = (
        select(ServedSpan.page_id, ServedSpan.version_id)
        .join(Page, Page.id == ServedSpan.page_id)
        .where(
            Page.datasource_id == datasource_id,
            ServedSpan.since <= moment,
            or_(ServedSpan.until.is_(None), ServedSpan.until > moment),
        )
        .order_by(ServedSpan.since)
    )
    return {row.page_id: row.version_id for row in session.execute(statement)}


def before(session: Session, datasource_id: UUID, moment: datetime) -> dict[UUID, UUID]:
    """For each page of the datasource that answered right before this moment: the version that did."""
    statement = (
        select(ServedSpan.page_id, ServedSpan.version_id)
        .join(Page, Page.id == ServedSpan.page_id)
        .where(
            Page.datasource_id == datasource_id,
            ServedSpan.since < moment,
            or_(ServedSpan.until.is_(None), ServedSpan.until >= moment),
        )
        .order_by(ServedSpan.since)
    )
    return {row.page_id: row.version_id for row in session.execute(statement)}


def changed_since(session: Session, datasource_id: UUID, moment: datetime) -> bool:
    """Whether any page of the datasource answers otherwise than before this moment, or did meanwhile."""
    statement = (
        select(ServedSpan.id)
        .join(Page, Page.id == ServedSpan.page_id)
        .where(Page.datasource_id == datasource_id, or_(ServedSpan.since >= moment, ServedSpan.until >= moment))
        .limit(1)
    )
    return session.scalar(statement) is not None
