"""Held changes: what a crawl would take from a page that serves, until the crawl's end, or a person, decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into

GONE, WITHDRAWN, FOLDED, EMPTIED, REPLACED = "gone", "withdrawn", "folded", "emptied", "replaced"
WORSE = "worse"
"""Its new text went live, and the org's golden questions were answered worse with it."""

TEXTS = (REPLACED, WORSE)
"""Kinds of change that bring a new text."""

STAGED, HELD, REJECTED = "staged", "held", "rejected"


class HeldChange(Base):
    """What the newest look at one page would do to it. The page serves as it did."""

    __tablename__ = "held_changes"
    __table_args__ = (
        Index("ix_held_changes_crawl", "crawl_id", "state"),
        Index("ix_held_changes_datasource", "datasource_id", "state"),
    )

    page_id: Mapped[UUID] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"), primary_key=True)
    org_id: Mapped[UUID]
    datasource_id: Mapped[UUID]
    crawl_id: Mapped[UUID]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(default=STAGED)
    reason: Mapped[str]
    digest: Mapped[str]
    """By which the same change is known again: once rejected, it is not asked about a second time."""
    target: Mapped[str | None]
    """Where the page would fold into."""
    version_id: Mapped[UUID | None]
    """The text that would go live."""
    created_at: Mapped[datetime]


def get(session: Session, page_id: UUID) -> HeldChange | None:
    """What is held of this page, or was rejected."""
    return session.get(HeldChange, page_id, populate_existing=True)


def put(session: Session, row: dict[str, object]) -> None:
    """Write what the newest look at a page would do, in place of what an earlier one would have done."""
    rest = {name: value for name, value in row.items() if name != "page_id"}
    statement = insert_into(session, HeldChange).values(**row)
    session.execute(statement.on_conflict_do_update(index_elements=[HeldChange.page_id], set_=rest))


def forget(session: Session, page_ids: Sequence[UUID]) -> None:
    """Nothing is held of these pages any more."""
    statement = delete(HeldChange).where(HeldChange.page_id.in_(page_ids))
    session.execute(statement.execution_options(synchronize_session=False))


def in_datasource(session: Session, datasource_id: UUID, *, state: str) -> list[HeldChange]:
    """The datasource's changes in this state, those of whichever crawl."""
    where = (HeldChange.datasource_id == datasource_id, HeldChange.state == state)
    return _rows(session, *where)


def of_crawl(session: Session, crawl_id: UUID, *, state: str) -> list[HeldChange]:
    """This crawl's changes in this state."""
    return _rows(session, HeldChange.crawl_id == crawl_id, HeldChange.state == state)


def count(session: Session, crawl_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many pages each of these crawls holds; crawls with none are left out."""
    statement = (
        select(HeldChange.crawl_id, func.count())
        .where(HeldChange.crawl_id.in_(crawl_ids), HeldChange.state == HELD)
        .group_by(HeldChange.crawl_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def _rows(session: Session, *where: object) -> list[HeldChange]:
    statement = select(HeldChange).where(*where).order_by(HeldChange.page_id)  # type: ignore[arg-type] # conditions
    return list(session.scalars(statement.execution_options(populate_existing=True)))
