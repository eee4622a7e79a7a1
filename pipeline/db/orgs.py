"""Orgs: the tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ScalarSelect, Text, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from pipeline.db import base
from pipeline.db.base import Base, insert_into
from pipeline.errors import OrgNotFound


class Org(Base):
    """One customer, with its own knowledge, training and agent."""

    __tablename__ = "orgs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    website: Mapped[str | None]
    language: Mapped[str] = mapped_column(default="en")
    ai_instructions: Mapped[str] = mapped_column(Text, default="")
    integrations: Mapped[dict[str, Any]] = mapped_column(default=dict)
    indexed_at: Mapped[datetime | None]
    """When work of this org was last claimed."""
    turn: Mapped[int] = mapped_column(BigInteger, default=0, index=True)
    """The place in the round: the org with waiting work and the lowest is next, and gets the highest."""
    crawl_turn: Mapped[int] = mapped_column(BigInteger, default=0, index=True)
    """Likewise, for who is crawled next."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def ensure(session: Session, name: str, *, now: datetime) -> Org:
    """The org of this name, stored if there is none. Of two who store it at once, the second gets the first's."""
    row = {"id": uuid4(), "name": name, "language": "en", "created_at": now, "updated_at": now}
    turns = {"turn": _after_all(Org.turn), "crawl_turn": _after_all(Org.crawl_turn)}
    session.execute(insert_into(session, Org).values(**row, **turns).on_conflict_do_nothing())
    return session.scalars(select(Org).where(Org.name == name)).one()


def find(session: Session, name: str) -> Org | None:
    """The org of this name."""
    return session.scalars(select(Org).where(Org.name == name)).one_or_none()


def get(session: Session, org_id: UUID) -> Org:
    """The org.

    Raises:
        OrgNotFound: If there is none.
    """
    org = session.get(Org, org_id)
    if org is None:
        raise OrgNotFound(org=org_id)
    return org


def listing(session: Session) -> list[Org]:
    """Every org, by name."""
    return list(session.scalars(select(Org).order_by(Org.name)))


def hold(session: Session, org_id: UUID) -> None:
    """Until the commit, let nobody else decide which of the org's texts it embeds."""
    base.hold(session, [org_id])


def took_turn(session: Session, org_id: UUID, *, now: datetime) -> None:
    """Note that this org's pages were claimed: every other org is before it now."""
    _go_last(session, org_id, indexed_at=now, turn=_after_all(Org.turn))


def took_crawl_turn(session: Session, org_id: UUID) -> None:
    """Note that a crawl of this org was claimed: every other org is before it now."""
    _go_last(session, org_id, crawl_turn=_after_all(Org.crawl_turn))


def _go_last(session: Session, org_id: UUID, **values: object) -> None:
    statement = update(Org).where(Org.id == org_id).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))


def _after_all(turn: InstrumentedAttribute[int]) -> ScalarSelect[int]:
    """After every org there is. Counted, not timed: clocks of machines differ, and a new org gets no start."""
    return select(func.coalesce(func.max(turn), 0) + 1).scalar_subquery()
