"""Partners: the platforms that provision orgs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, columns
from pipeline.db.orgs import Org
from pipeline.errors import OrgNotFound, PartnerNotFound

ACTIVE, INACTIVE = "active", "inactive"


class Partner(Base):
    """A platform whose customers are orgs here. An inactive one's keys, and its orgs' keys, are refused."""

    __tablename__ = "partners"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(default=ACTIVE)
    logo: Mapped[str | None]
    app_name: Mapped[str | None]
    default_instructions: Mapped[str] = mapped_column(Text, default="")
    """What orgs without instructions of their own answer by."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def get(session: Session, partner_id: UUID) -> Partner:
    """The partner.

    Raises:
        PartnerNotFound: If there is none.
    """
    found = session.get(Partner, partner_id)
    if found is None:
        raise PartnerNotFound(partner=partner_id)
    return found


def find(session: Session, name: str) -> Partner | None:
    """The partner of this name."""
    return session.scalars(select(Partner).where(Partner.name == name)).one_or_none()


def listing(session: Session) -> list[Partner]:
    """Every partner, by name."""
    return list(session.scalars(select(Partner).order_by(Partner.name)))


_ANSWERS_BY = (
    select(Org.erased_at, Org.ai_instructions, Partner.default_instructions)
    .outerjoin(Partner, Partner.id == Org.partner_id)
    .where(Org.id == bindparam("org_id"))
)
"""Built once, as every answer reads it."""


def answers_by(session: Session, org_id: UUID) -> str:
    """The `instructions` of an org, in one read.

    Raises:
        OrgNotFound: If there is none.
    """
    row = columns(session, _ANSWERS_BY, {"org_id": org_id}).one_or_none()
    if row is None or row[0] is not None:
        raise OrgNotFound(org=org_id)
    return row[1] or row[2] or ""


def instructions(session: Session, org: Org) -> str:
    """What an org answers by: its own instructions, else its partner's default."""
    if org.ai_instructions or org.partner_id is None:
        return org.ai_instructions
    return get(session, org.partner_id).default_instructions
