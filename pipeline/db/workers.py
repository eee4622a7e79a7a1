"""Workers: a row for each process that takes hints, for as long as it says that it lives."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class Worker(Base):
    """One process that listens to one queue. It writes its row again every few seconds."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    queue: Mapped[str]
    sends_ticks: Mapped[bool]
    """Whether it also sends what happens by the clock."""
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    job: Mapped[str | None]
    """What it works on; None while it waits."""
    took_at: Mapped[datetime | None]
    """When it last took a hint."""


def beat(session: Session, worker: Worker) -> None:
    """Write a worker's row, new or again; one that was forgotten while it was silent comes back."""
    row = {column.name: getattr(worker, column.name) for column in Worker.__table__.columns}
    changing = {name: row[name] for name in ("beat_at", "job", "took_at")}
    statement = insert_into(session, Worker).values(**row).on_conflict_do_update(index_elements=["id"], set_=changing)
    session.execute(statement)


def leave(session: Session, worker_id: UUID) -> None:
    """Forget a worker that ended."""
    session.execute(delete(Worker).where(Worker.id == worker_id))


def forget(session: Session, *, before: datetime) -> None:
    """Forget workers that have been silent since then."""
    session.execute(delete(Worker).where(Worker.beat_at < before))


def listing(session: Session) -> list[Worker]:
    """Every worker, by queue, the oldest first."""
    return list(session.scalars(select(Worker).order_by(Worker.queue, Worker.started_at, Worker.id)))


def queues_heard(session: Session, *, since: datetime) -> set[str]:
    """Queues that a worker listens to which has spoken since then."""
    return set(session.scalars(select(Worker.queue).where(Worker.beat_at >= since).distinct()))
