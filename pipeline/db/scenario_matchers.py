"""What was learnt from an org's triggers, kept so that another process need not learn it again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class ScenarioMatcher(Base):
    """An org's matcher under one model. `digest` names the versions and the code it was learnt with."""

    __tablename__ = "scenario_matchers"

    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    state: Mapped[bytes] = mapped_column(LargeBinary)
    built_at: Mapped[datetime]


class BackgroundVectors(Base):
    """Vectors of the questions that belong to no scenario, under one model: float32, row after row."""

    __tablename__ = "background_vectors"

    model: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    vectors: Mapped[bytes] = mapped_column(LargeBinary)


def state(session: Session, *, org_id: UUID, model: str, digest: str) -> bytes | None:
    """The stored matcher, if it was learnt from exactly this."""
    return session.scalars(
        select(ScenarioMatcher.state).where(
            ScenarioMatcher.org_id == org_id, ScenarioMatcher.model == model, ScenarioMatcher.digest == digest
        )
    ).one_or_none()


def keep(session: Session, *, org_id: UUID, model: str, digest: str, state: bytes, now: datetime) -> None:
    """Store a matcher in the place of the one before it."""
    row = {"org_id": org_id, "model": model, "digest": digest, "state": state, "built_at": now}
    fresh = {"digest": digest, "state": state, "built_at": now}
    insert = insert_into(session, ScenarioMatcher).values(**row)
    session.execute(insert.on_conflict_do_update(index_elements=["org_id", "model"], set_=fresh))


def forget(session: Session, *, model: str) -> None:
    """Delete what was learnt under a model."""
    for table in (ScenarioMatcher, BackgroundVectors):
        session.execute(delete(table).where(table.model == model))


def background(session: Session, *, model: str, digest: str) -> bytes | None:
    """The stored vectors of these background questions."""
    return session.scalars(
        select(BackgroundVectors.vectors).where(BackgroundVectors.model == model, BackgroundVectors.digest == digest)
    ).one_or_none()


def keep_background(session: Session, *, model: str, digest: str, vectors: bytes) -> None:
    """Store the vectors of the background questions; of two who do, the first is kept."""
    insert = insert_into(session, BackgroundVectors).values(model=model, digest=digest, vectors=vectors)
    session.execute(insert.on_conflict_do_nothing())
