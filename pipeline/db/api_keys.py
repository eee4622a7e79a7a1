"""API keys: who may call, as what, and until when. A key's secret is never here, only its SHA-256."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, count_changed
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place, fetch
from pipeline.db.partners import Partner
from pipeline.errors import KeyNotFound

PARTNER, ORG, WIDGET = "partner", "org", "widget"


class ApiKey(Base):
    """One key. A partner key has a partner, every other an org."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"), index=True)
    org_id: Mapped[UUID | None] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    last_four: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


def holder(session: Session, key_id: UUID) -> tuple[ApiKey, Org | None, Partner | None] | None:
    """The key, its org, and the partner it or its org belongs to, in one statement; None if there is no such key."""
    statement = (
        select(ApiKey, Org, Partner)
        .outerjoin(Org, Org.id == ApiKey.org_id)
        .outerjoin(Partner, or_(Partner.id == ApiKey.partner_id, Partner.id == Org.partner_id))
        .where(ApiKey.id == key_id)
    )
    found = session.execute(statement).one_or_none()
    return None if found is None else (found[0], found[1], found[2])


def note_use(session: Session, key_id: UUID, *, now: datetime, at_most_every: timedelta) -> bool:
    """Write when a key was used, unless that was written a moment ago."""
    is_stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - at_most_every)
    return bool(count_changed(session, update(ApiKey).where(ApiKey.id == key_id, is_stale).values(last_used_at=now)))


def of_org(session: Session, org_id: UUID, *, limit: int, after: Place | None) -> Listed[ApiKey]:
    """The org's keys that a program uses, oldest first; revoked ones too, as long as the org is."""
    statement = select(ApiKey).where(ApiKey.org_id == org_id, ApiKey.kind == ORG)
    return fetch(session, statement, ApiKey.created_at, ApiKey.id, limit=limit, after=after)


def of_partner(session: Session, partner_id: UUID) -> list[ApiKey]:
    """A partner's own keys, oldest first."""
    statement = select(ApiKey).where(ApiKey.partner_id == partner_id).order_by(ApiKey.created_at, ApiKey.id)
    return list(session.scalars(statement))


def get_of_org(session: Session, key_id: UUID, *, org_id: UUID) -> ApiKey:
    """One of the org's keys.

    Raises:
        KeyNotFound: If the org has none of this id.
    """
    found = session.scalars(select(ApiKey).where(ApiKey.id == key_id, ApiKey.org_id == org_id)).one_or_none()
    if found is None:
        raise KeyNotFound(key=key_id)
    return found


def get(session: Session, key_id: UUID) -> ApiKey:
    """A key of anybody's.

    Raises:
        KeyNotFound: If there is none of this id.
    """
    found = session.get(ApiKey, key_id)
    if found is None:
        raise KeyNotFound(key=key_id)
    return found


def revoke_all(session: Session, org_id: UUID, kind: str, *, now: datetime) -> int:
    """End every key of this kind that an org has."""
    live = (ApiKey.org_id == org_id, ApiKey.kind == kind, ApiKey.revoked_at.is_(None))
    return count_changed(session, update(ApiKey).where(*live).values(revoked_at=now))
