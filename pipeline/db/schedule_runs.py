"""Schedule runs: each due time of each datasource, once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class ScheduleRun(Base):
    """One due time. The key makes a second beat, or a doubled tick, harmless."""

    __tablename__ = "schedule_runs"

    datasource_id: Mapped[UUID] = mapped_column(ForeignKey("datasources.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


def take(session: Session, datasource_id: UUID, *, due_at: datetime, now: datetime) -> bool:
    """Take a due time. False when another beat has it."""
    statement = (
        insert_into(session, ScheduleRun)
        .values(datasource_id=datasource_id, due_at=due_at, created_at=now)
        .on_conflict_do_nothing()
        .returning(ScheduleRun.datasource_id)
    )
    return session.execute(statement).first() is not None
