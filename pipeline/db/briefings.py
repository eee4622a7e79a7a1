"""Briefings as they were given, kept for a while: a row needs no page, chunk or scenario to be read again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, ForeignKey, bindparam, delete, exists, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, CompressedText
from pipeline.db.orgs import Org
from pipeline.errors import BriefingNotFound


class BriefingRow(Base):
    """One briefing with its trace. `body` is JSON."""

    __tablename__ = "briefings"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    asked_at: Mapped[datetime] = mapped_column(index=True)
    body: Mapped[str] = mapped_column(CompressedText)


class Kept(NamedTuple):
    """A briefing to be stored, or as it was stored."""

    id: UUID
    org_id: UUID
    asked_at: datetime
    body: str


def add(session: Session, rows: Sequence[Kept]) -> None:
    """Store briefings; those of an org erased meanwhile are not."""
    if rows:
        session.connection().execute(_ADDED, [row._asdict() for row in rows])


def get(session: Session, briefing_id: UUID, *, org_id: UUID) -> Kept:
    """The org's briefing.

    Raises:
        BriefingNotFound: If the org has none of this id, or its time is over.
    """
    found = session.execute(
        select(*_COLUMNS).where(BriefingRow.id == briefing_id, BriefingRow.org_id == org_id)
    ).one_or_none()
    if found is None:
        raise BriefingNotFound(briefing=briefing_id)
    return Kept(*found)


def forget(session: Session, *, before: datetime, limit: int) -> int:
    """Delete the oldest of those asked for before then. Returns how many went."""
    due = select(BriefingRow.id).where(BriefingRow.asked_at < before).order_by(BriefingRow.asked_at).limit(limit)
    result = session.execute(
        delete(BriefingRow).where(BriefingRow.id.in_(due)).execution_options(synchronize_session=False)
    )
    return result.rowcount if isinstance(result, CursorResult) else 0


_COLUMNS = tuple(BriefingRow.__table__.columns)
_ADDED = insert(BriefingRow).from_select(
    [column.key for column in _COLUMNS],
    select(*(bindparam(column.key, type_=column.type) for column in _COLUMNS)).where(
        exists().where(Org.id == bindparam("org_id"), Org.erased_at.is_(None))
    ),
)
"""Built once: putting it together took as long as storing a briefing."""
