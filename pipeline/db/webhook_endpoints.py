"""Webhook endpoints: where an org wants to be told of what happens, and how far that works."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import WebhookNotFound

ENABLED, DISABLED = "enabled", "disabled"


class WebhookEndpoint(Base):
    """One receiver. Its secrets are not here: only what, with the installation's key, makes them."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    url: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    events: Mapped[list[str]]
    """Which it is told of; none named: all."""
    status: Mapped[str] = mapped_column(default=ENABLED)
    disabled_reason: Mapped[str | None]
    secret_salt: Mapped[str]
    old_secret_salt: Mapped[str | None]
    old_secret_until: Mapped[datetime | None]
    """Until then deliveries are signed with the secret before, too."""
    key_mark: Mapped[str]
    """Tells which key of the installation its secrets are made with."""
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    """In a row."""
    quiet_until: Mapped[datetime | None]
    """Not called before, because it failed just now."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def get(session: Session, endpoint_id: UUID, *, org_id: UUID, locked: bool = False) -> WebhookEndpoint:
    """The org's endpoint.

    Raises:
        WebhookNotFound: If the org has none of this id.
    """
    statement = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.org_id == org_id)
    found = session.scalars(statement.with_for_update() if locked else statement).one_or_none()
    if found is None:
        raise WebhookNotFound(webhook=endpoint_id)
    return found


def count(session: Session, *, org_id: UUID) -> int:
    """How many the org has."""
    return session.scalar(select(func.count()).where(WebhookEndpoint.org_id == org_id)) or 0


def page_through(session: Session, *, org_id: UUID, limit: int, after: Place | None = None) -> Listed[WebhookEndpoint]:
    """Some of the org's endpoints, oldest first."""
    statement = select(WebhookEndpoint).where(WebhookEndpoint.org_id == org_id)
    return fetch(session, statement, WebhookEndpoint.created_at, WebhookEndpoint.id, limit=limit, after=after)


def by_id(session: Session, endpoint_ids: Sequence[UUID]) -> list[WebhookEndpoint]:
    """These endpoints, as far as they are there."""
    return list(session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id.in_(endpoint_ids))))
