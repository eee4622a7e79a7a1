"""Golden questions: what an org wants to be answered well, and how it knows that it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Text, UniqueConstraint, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import QuestionNotFound


class GoldenQuestion(Base):
    """One question and what a good briefing has: pages, words, a scenario, or the word that there is no answer."""

    __tablename__ = "golden_questions"
    __table_args__ = (UniqueConstraint("org_id", "digest"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    digest: Mapped[str]
    """By which the same question is known again."""
    message: Mapped[str] = mapped_column(Text)
    before: Mapped[list[str]]
    urls: Mapped[list[str]]
    texts: Mapped[list[str]]
    scenario: Mapped[str | None]
    no_answer: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


def digest_of(message: str, before: Sequence[str]) -> str:
    """The same for the same question after the same conversation, whatever its white space."""
    said = "\x1f".join(" ".join(text.split()) for text in (message, *before))
    return hashlib.sha256(said.encode()).hexdigest()


def put(session: Session, row: Mapping[str, object], *, org_id: UUID, now: datetime) -> tuple[GoldenQuestion, bool]:
    """Store a question, or what is expected of one that is there. Says whether it is new."""
    digest = digest_of(str(row["message"]), row["before"])  # type: ignore[arg-type] # a list of texts
    where = (GoldenQuestion.org_id == org_id, GoldenQuestion.digest == digest)
    found = session.scalars(select(GoldenQuestion).where(*where)).one_or_none()
    if found is None:
        found = GoldenQuestion(id=uuid4(), org_id=org_id, digest=digest, created_at=now, **row)
        session.add(found)
        session.flush()
        return found, True
    for name, value in row.items():
        setattr(found, name, value)
    session.flush()
    return found, False


def listing(session: Session, *, org_id: UUID) -> list[GoldenQuestion]:
    """The org's questions, oldest first."""
    statement = select(GoldenQuestion).where(GoldenQuestion.org_id == org_id)
    return list(session.scalars(statement.order_by(GoldenQuestion.created_at, GoldenQuestion.id)))


def page_through(session: Session, *, org_id: UUID, limit: int, after: Place | None) -> Listed[GoldenQuestion]:
    """Some of the org's questions, oldest first."""
    statement = select(GoldenQuestion).where(GoldenQuestion.org_id == org_id)
    return fetch(session, statement, GoldenQuestion.created_at, GoldenQuestion.id, limit=limit, after=after)


def count(session: Session, *, org_id: UUID) -> int:
    """How many the org has."""
    return session.scalar(select(func.count()).where(GoldenQuestion.org_id == org_id)) or 0


def remove(session: Session, question_id: UUID, *, org_id: UUID) -> GoldenQuestion:
    """Delete a question.

    Raises:
        QuestionNotFound: If the org has none of this id.
    """
    where = (GoldenQuestion.id == question_id, GoldenQuestion.org_id == org_id)
    found = session.scalars(select(GoldenQuestion).where(*where)).one_or_none()
    if found is None:
        raise QuestionNotFound(question=question_id)
    session.execute(delete(GoldenQuestion).where(GoldenQuestion.id == question_id))
    return found


def orgs_with_some(session: Session, org_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the orgs that have a question."""
    with_some = select(GoldenQuestion.org_id).where(GoldenQuestion.org_id == Org.id).exists()
    return set(session.scalars(select(Org.id).where(Org.id.in_(org_ids), with_some)))
