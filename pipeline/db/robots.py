"""Robots answers: one a site, shared by every crawl of every org."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class RobotsAnswer(Base):
    """What an origin answered for `/robots.txt`, believed until it expires."""

    __tablename__ = "robots_answers"

    origin: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


def read(session: Session, origin: str, *, now: datetime) -> tuple[int, bytes] | None:
    """The stored answer, while it is believed."""
    statement = select(RobotsAnswer.status, RobotsAnswer.body).where(
        RobotsAnswer.origin == origin, RobotsAnswer.expires_at > now
    )
    row = session.execute(statement).one_or_none()
    return None if row is None else (row[0], row[1])


def keep(session: Session, origin: str, status: int, body: bytes, *, expires_at: datetime) -> None:
    """Store an answer over the one before."""
    values = {"status": status, "body": body, "expires_at": expires_at}
    statement = insert_into(session, RobotsAnswer).values(origin=origin, **values)
    session.execute(statement.on_conflict_do_update(index_elements=[RobotsAnswer.origin], set_=values))


def forget_all(session: Session) -> None:
    """Delete every answer: each is asked for again when it is needed."""
    session.execute(delete(RobotsAnswer))


def forget(session: Session, *, now: datetime) -> None:
    """Delete answers that are not believed any more."""
    session.execute(delete(RobotsAnswer).where(RobotsAnswer.expires_at <= now))
