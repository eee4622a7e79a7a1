"""Orgs: the tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    ScalarSelect,
    Select,
    Text,
    UniqueConstraint,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from pipeline.db import base
from pipeline.db.base import Base, insert_into
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import OrgExists, OrgNotFound


class Org(Base):
    """One customer, with its own knowledge, training and agent."""

    __tablename__ = "orgs"

    __table_args__ = (
        UniqueConstraint("partner_id", "external_id"),
        Index(
            "ix_orgs_name_alone",
            "name",
            unique=True,
            sqlite_where=text("partner_id IS NULL"),
            postgresql_where=text("partner_id IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("partners.id"))
    """The platform that made it; none for an org of the command line, which is found by its name."""
    external_id: Mapped[str | None]
    """How its partner calls it."""
    name: Mapped[str]
    website: Mapped[str | None]
    language: Mapped[str] = mapped_column(default="en")
    ai_instructions: Mapped[str] = mapped_column(Text, default="")
    draft_instructions: Mapped[str | None] = mapped_column(Text)
    limits: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Quotas that are this org's own, by name."""
    integrations: Mapped[dict[str, Any]] = mapped_column(default=dict)
    indexed_at: Mapped[datetime | None]
    """When work of this org was last claimed."""
    turn: Mapped[int] = mapped_column(BigInteger, default=0, index=True)
    """The place in the round: the org with waiting work and the lowest is next, and gets the highest."""
    crawl_turn: Mapped[int] = mapped_column(BigInteger, default=0, index=True)
    """Likewise, for who is crawled next."""
    erased_at: Mapped[datetime | None]
    """When its erasure was asked for. From then on there is no such org; its rows follow."""
    rereading_since: Mapped[datetime | None]
    """Since when its stored pages are read again by a newer extractor; none when they are not."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def ensure(session: Session, name: str, *, now: datetime) -> Org:
    """The org of this name without a partner, stored if there is none.

    Of two who store it at once, the second gets the first's.
    """
    row = {"id": uuid4(), "name": name, "language": "en", "created_at": now, "updated_at": now}
    turns = {"turn": _after_all(Org.turn), "crawl_turn": _after_all(Org.crawl_turn)}
    session.execute(insert_into(session, Org).values(**row, **turns).on_conflict_do_nothing())
    return session.scalars(_alone(name)).one()


def add(
    session: Session,
    *,
    partner_id: UUID,
    name: str,
    external_id: str | None,
    website: str | None,
    language: str,
    ai_instructions: str,
    integrations: dict[str, Any],
    now: datetime,
) -> Org | None:
    """A new org of a partner's; None if that has one of this external_id, stored a moment ago perhaps."""
    row = {
        "id": uuid4(),
        "partner_id": partner_id,
        "name": name,
        "external_id": external_id,
        "website": website,
        "language": language,
        "ai_instructions": ai_instructions,
        "integrations": integrations,
        "turn": _after_all(Org.turn),
        "crawl_turn": _after_all(Org.crawl_turn),
        "created_at": now,
        "updated_at": now,
    }
    statement = insert_into(session, Org).values(**row).on_conflict_do_nothing().returning(Org)
    return session.scalars(statement).one_or_none()


def count_of_partner(session: Session, partner_id: UUID) -> int:
    """How many orgs a partner has. Until the commit nobody else counts them."""
    base.hold(session, [partner_id])
    statement = select(func.count()).select_from(Org).where(Org.partner_id == partner_id, Org.erased_at.is_(None))
    return session.scalars(statement).one()


def check_external(session: Session, external_id: str | None, *, partner_id: UUID, org_id: UUID) -> None:
    """Refuse an external_id that another of the partner's orgs has. Until the commit nobody else takes it.

    Raises:
        OrgExists: If there is such an org; its id is among the facts.
    """
    if external_id is None:
        return
    base.hold(session, [partner_id])
    there = find_external(session, external_id, partner_id=partner_id)
    if there is not None and there.id != org_id:
        raise OrgExists(org=there.id, external_id=external_id)


def of_partner(
    session: Session, partner_id: UUID, *, limit: int, after: Place | None, external_id: str | None
) -> Listed[Org]:
    """A partner's orgs, oldest first."""
    statement = select(Org).where(Org.partner_id == partner_id, Org.erased_at.is_(None))
    if external_id is not None:
        statement = statement.where(Org.external_id == external_id)
    return fetch(session, statement, Org.created_at, Org.id, limit=limit, after=after)


def find_external(session: Session, external_id: str, *, partner_id: UUID) -> Org | None:
    """The org that a partner calls so."""
    statement = select(Org).where(Org.partner_id == partner_id, Org.external_id == external_id)
    return session.scalars(statement).one_or_none()


def find(session: Session, name: str) -> Org | None:
    """The org of this name, among those without a partner."""
    return session.scalars(_alone(name).where(Org.erased_at.is_(None))).one_or_none()


def get(session: Session, org_id: UUID) -> Org:
    """The org.

    Raises:
        OrgNotFound: If there is none.
    """
    org = session.get(Org, org_id)
    if org is None or org.erased_at is not None:
        raise OrgNotFound(org=org_id)
    return org


def listing(session: Session) -> list[Org]:
    """Every org, by name."""
    return list(session.scalars(select(Org).where(Org.erased_at.is_(None)).order_by(Org.name)))


def erased(session: Session, *, partner_id: UUID | None = None) -> list[UUID]:
    """Orgs, of one partner or of all, whose erasure is not finished, the first asked for first."""
    statement = select(Org.id).where(Org.erased_at.is_not(None))
    if partner_id is not None:
        statement = statement.where(Org.partner_id == partner_id)
    return list(session.scalars(statement.order_by(Org.erased_at, Org.id)))


def drop(session: Session, org_id: UUID) -> None:
    """Delete the row of an erased org."""
    statement = delete(Org).where(Org.id == org_id, Org.erased_at.is_not(None))
    session.execute(statement.execution_options(synchronize_session=False))


def hold(session: Session, org_id: UUID) -> None:
    """Until the commit, let nobody else decide which of the org's texts it embeds."""
    base.hold(session, [org_id])


def took_turn(session: Session, org_id: UUID, *, now: datetime) -> None:
    """Note that this org's pages were claimed: every other org is before it now."""
    _go_last(session, org_id, indexed_at=now, turn=_after_all(Org.turn))


def took_crawl_turn(session: Session, org_id: UUID) -> None:
    """Note that a crawl of this org was claimed: every other org is before it now."""
    _go_last(session, org_id, crawl_turn=_after_all(Org.crawl_turn))


def _alone(name: str) -> Select[Org]:
    return select(Org).where(Org.name == name, Org.partner_id.is_(None))


def _go_last(session: Session, org_id: UUID, **values: object) -> None:
    statement = update(Org).where(Org.id == org_id).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))


def _after_all(turn: InstrumentedAttribute[int]) -> ScalarSelect[int]:
    """After every org there is. Counted, not timed: clocks of machines differ, and a new org gets no start."""
    return select(func.coalesce(func.max(turn), 0) + 1).scalar_subquery()
