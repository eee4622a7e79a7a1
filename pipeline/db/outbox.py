"""The outbox: hints that leave once the change they speak of is committed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline import tracing
from pipeline.db.base import Base

CRAWL, INDEX = "crawl", "index"


class OutboxHint(Base):
    """A hint to send: look at this crawl, or at the waiting pages of this org."""

    __tablename__ = "outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    target_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(index=True)
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """What it came from, however late it leaves."""


def put(session: Session, kind: str, target_id: UUID, *, now: datetime) -> None:
    """Write a hint beside the change it speaks of."""
    came_from = tracing.traceparent()
    session.add(OutboxHint(id=uuid4(), kind=kind, target_id=target_id, created_at=now, traceparent=came_from))


def unsent(session: Session, *, limit: int) -> list[OutboxHint]:
    """Hints that have not left, oldest first."""
    return list(session.scalars(select(OutboxHint).order_by(OutboxHint.created_at, OutboxHint.id).limit(limit)))


def forget(session: Session, target_id: UUID) -> None:
    """Delete hints that speak of this."""
    session.execute(delete(OutboxHint).where(OutboxHint.target_id == target_id))


def sent(session: Session, ids: Sequence[UUID]) -> None:
    """Forget hints that left."""
    session.execute(delete(OutboxHint).where(OutboxHint.id.in_(ids)))
