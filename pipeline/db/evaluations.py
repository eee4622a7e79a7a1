"""Evaluations: how well an org's golden questions were answered, each time somebody, or a crawl's end, asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Float, ForeignKey, Index, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, CompressedText, insert_new
from pipeline.db.leases import Leased, free

DUE, SCORED, FAILED = "due", "scored", "failed"


class Evaluation(Leased, Base):
    """One evaluation. That of a crawl is due before the crawl ends, and decides whether its texts go on serving."""

    __tablename__ = "evaluations"
    __table_args__ = (
        Index("ix_evaluations_org_id", "org_id", "created_at"),
        Index("ix_evaluations_state", "state", "lease_until"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    crawl_id: Mapped[UUID | None] = mapped_column(ForeignKey("crawls.id", ondelete="CASCADE"), unique=True)
    state: Mapped[str] = mapped_column(default=DUE)
    is_accepted: Mapped[bool] = mapped_column(default=False)
    """Whether what was scored serves, so that the next one is compared with it."""
    score: Mapped[float | None] = mapped_column(Float)
    compared_with: Mapped[float | None] = mapped_column(Float)
    """The score before, over the questions that both have."""
    body: Mapped[str | None] = mapped_column(CompressedText)
    """The report as JSON."""
    created_at: Mapped[datetime]
    scored_at: Mapped[datetime | None]


def ask(session: Session, crawl_id: UUID, *, org_id: UUID, now: datetime) -> None:
    """Let a crawl's result be scored. Asking twice is the same as once."""
    row = {"id": uuid4(), "org_id": org_id, "crawl_id": crawl_id, "state": DUE, "created_at": now}
    insert_new(session, Evaluation, [row | {"is_accepted": False, "attempts": 0, "hints": 0}])


def of_crawl(session: Session, crawl_id: UUID) -> Evaluation | None:
    """The crawl's evaluation, as it stands in the database now."""
    statement = select(Evaluation).where(Evaluation.crawl_id == crawl_id)
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def claim(
    session: Session, *, org_id: UUID | None, now: datetime, lease: timedelta, owner: str, attempts: int
) -> Evaluation | None:
    """Take the evaluation that is due longest, of this org if one is given. Two workers never take the same."""
    due = select(Evaluation.id).where(
        Evaluation.state == DUE, free(Evaluation, now=now), Evaluation.attempts < attempts
    )
    if org_id is not None:
        due = due.where(Evaluation.org_id == org_id)
    due = due.order_by(Evaluation.created_at, Evaluation.id).limit(1).with_for_update(skip_locked=True)
    statement = (
        update(Evaluation)
        .where(Evaluation.id.in_(due))
        .values(lease_token=uuid4(), lease_until=now + lease, lease_owner=owner, attempts=Evaluation.attempts + 1)
        .returning(Evaluation)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return session.scalars(statement).one_or_none()


def any_due(session: Session, *, org_id: UUID | None) -> bool:
    """Whether one is due, held or not: cheaper to ask than to claim."""
    due = select(Evaluation.id).where(Evaluation.state == DUE)
    return session.scalar((due if org_id is None else due.where(Evaluation.org_id == org_id)).limit(1)) is not None


def held(session: Session, evaluation_id: UUID, *, token: UUID) -> Evaluation | None:
    """The evaluation, if this token holds it still; its row is locked until the commit."""
    where = (Evaluation.id == evaluation_id, Evaluation.lease_token == token, Evaluation.state == DUE)
    statement = select(Evaluation).where(*where).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def accepted(session: Session, *, org_id: UUID, limit: int = 1) -> list[Evaluation]:
    """The org's evaluations of what went on to serve, the latest first."""
    where = (Evaluation.org_id == org_id, Evaluation.state == SCORED, Evaluation.is_accepted)
    return _latest(session, *where, limit=limit)


def scored(session: Session, *, org_id: UUID, limit: int) -> list[Evaluation]:
    """The org's evaluations, held ones too, the latest first."""
    return _latest(session, Evaluation.org_id == org_id, Evaluation.state == SCORED, limit=limit)


def accept(session: Session, crawl_id: UUID) -> None:
    """What a crawl held serves now, so the next is compared with its score."""
    statement = update(Evaluation).where(Evaluation.crawl_id == crawl_id, Evaluation.state == SCORED)
    session.execute(statement.values(is_accepted=True).execution_options(synchronize_session=False))


def forget_older(session: Session, *, org_id: UUID, keep: int) -> None:
    """Delete what the org has scored but for so many of the latest, and the last one that was accepted."""
    kept = [one.id for one in (*scored(session, org_id=org_id, limit=keep), *accepted(session, org_id=org_id))]
    where = (Evaluation.org_id == org_id, Evaluation.state == SCORED, Evaluation.id.not_in(kept))
    session.execute(delete(Evaluation).where(*where).execution_options(synchronize_session=False))


def _latest(session: Session, *where: object, limit: int) -> list[Evaluation]:
    statement = select(Evaluation).where(*where)  # type: ignore[arg-type] # conditions
    return list(session.scalars(statement.order_by(Evaluation.scored_at.desc(), Evaluation.id).limit(limit)))
