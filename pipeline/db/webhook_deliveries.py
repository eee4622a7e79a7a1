"""Webhook deliveries: what an endpoint is to be told, one row each, written with what it tells of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    Connection,
    CursorResult,
    ForeignKey,
    Index,
    Text,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Mapper, Session, attributes, mapped_column

from pipeline.db.base import Base, count_changed
from pipeline.db.pages import Page
from pipeline.db.paging import Listed, Place, fetch
from pipeline.db.webhook_endpoints import ENABLED, WebhookEndpoint
from pipeline.errors import DeliveryNotFound

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
PAGE_REMOVED = "page.removed"
ATTEMPTS_KEPT = 30


class WebhookDelivery(Base):
    """One message to one endpoint. `message_id` is the same at every attempt and replay."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "state", "due_at"),
        Index("ix_webhook_deliveries_endpoint", "endpoint_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    event: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(default=PENDING)
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    """Since it was written, or was last sent again by hand."""
    lease_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """What became of each call, oldest first: `at`, `http_status`, `problem`, `seconds`."""
    last_status: Mapped[int | None]
    last_problem: Mapped[str | None]
    last_attempt_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


def announce(
    session: Session | Connection, name: str, *, org_id: UUID, facts: Mapping[str, object], now: datetime
) -> int:
    """Write a message for every endpoint of the org that wants this event. Returns how many.

    It is part of the caller's transaction: what is told did happen, and what happened is told.
    """
    found = session.execute(
        select(WebhookEndpoint.id, WebhookEndpoint.events).where(
            WebhookEndpoint.org_id == org_id, WebhookEndpoint.status == ENABLED
        )
    )
    wanted = [row.id for row in found if not row.events or name in row.events]
    if not wanted:
        return 0
    told = {"org_id": org_id, **facts}
    moment = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = json.dumps({"type": name, "timestamp": moment, "data": told}, default=str, separators=(",", ":"))
    row = {"org_id": org_id, "message_id": f"msg_{uuid4().hex}", "event": name, "body": body}
    first = {"state": PENDING, "due_at": now, "tries": 0, "attempts": [], "created_at": now}
    rows = [{"id": uuid4(), "endpoint_id": endpoint_id, **row, **first} for endpoint_id in wanted]
    session.execute(insert(WebhookDelivery.__table__), rows)  # type: ignore[arg-type] # the declared type is wider
    return len(rows)


def announce_removal(session: Session | Connection, page: Page, *, reason: str, now: datetime) -> None:
    """Tell that a page answers no more, and why."""
    facts = {"datasource_id": page.datasource_id, "page_id": page.id, "reason": reason}
    announce(session, PAGE_REMOVED, org_id=page.org_id, facts=facts, now=now)


@event.listens_for(Page, "after_update")
def _note_removal(mapper: Mapper[Any], connection: Connection, page: Page) -> None:
    """A page that answered and no longer does is told of, whoever took it away."""
    del mapper
    if _answered(page) and (page.live_version is None or page.excluded):
        announce_removal(connection, page, reason=page.reason, now=page.updated_at)


def _answered(page: Page) -> bool:
    """Whether it did before this change."""
    live = attributes.get_history(page, "live_version")
    excluded = attributes.get_history(page, "excluded")
    if not live.has_changes() and not excluded.has_changes():
        return False
    had_text = list(live.deleted or live.unchanged or [None]) != [None]
    was_excluded = list(excluded.deleted or excluded.unchanged or [False]) == [True]
    return had_text and not was_excluded


def due_endpoints(session: Session, *, now: datetime, limit: int) -> list[UUID]:
    """Endpoints with something to be told now, that longest due first. Who failed a moment ago is left alone."""
    statement = (
        select(WebhookDelivery.endpoint_id)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(
            WebhookDelivery.state == PENDING,
            WebhookDelivery.due_at <= now,
            or_(WebhookDelivery.lease_until.is_(None), WebhookDelivery.lease_until < now),
            WebhookEndpoint.status == ENABLED,
            or_(WebhookEndpoint.quiet_until.is_(None), WebhookEndpoint.quiet_until <= now),
        )
        .group_by(WebhookDelivery.endpoint_id)
        .order_by(func.min(WebhookDelivery.due_at), WebhookDelivery.endpoint_id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def claim(session: Session, endpoint_id: UUID, *, now: datetime, lease: timedelta) -> WebhookDelivery | None:
    """Hold what this endpoint is to be told next, the oldest first; None when nothing is due, or others hold it."""
    free = or_(WebhookDelivery.lease_until.is_(None), WebhookDelivery.lease_until < now)
    due = (WebhookDelivery.state == PENDING, WebhookDelivery.due_at <= now, free)
    oldest = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == endpoint_id, *due)
        .order_by(WebhookDelivery.created_at, WebhookDelivery.id)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id == oldest, *due)
        .values(lease_token=uuid4(), lease_until=now + lease, tries=WebhookDelivery.tries + 1)
        .returning(WebhookDelivery)
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).one_or_none()


def held(session: Session, delivery_id: UUID, *, token: UUID) -> WebhookDelivery | None:
    """The delivery, locked, if `token` still holds it."""
    statement = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id, WebhookDelivery.lease_token == token)
    return session.scalars(statement.with_for_update()).one_or_none()


def give_up(session: Session, endpoint_id: UUID, *, problem: str) -> int:
    """Nothing that waits for this endpoint is sent any more. Returns how many messages that are."""
    statement = update(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.state == PENDING
    )
    return count_changed(session, statement.values(state=FAILED, last_problem=problem, lease_token=None))


def get(session: Session, delivery_id: UUID, *, endpoint_id: UUID, org_id: UUID) -> WebhookDelivery:
    """The org's delivery to this endpoint.

    Raises:
        DeliveryNotFound: If there is none of this id.
    """
    statement = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id,
        WebhookDelivery.endpoint_id == endpoint_id,
        WebhookDelivery.org_id == org_id,
    )
    found = session.scalars(statement.with_for_update()).one_or_none()
    if found is None:
        raise DeliveryNotFound(delivery=delivery_id)
    return found


def page_through(
    session: Session, endpoint_id: UUID, *, limit: int, after: Place | None = None, states: Sequence[str] = ()
) -> Listed[WebhookDelivery]:
    """Some of an endpoint's deliveries, newest first."""
    statement = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)
    if states:
        statement = statement.where(WebhookDelivery.state.in_(states))
    at, row_id = WebhookDelivery.created_at, WebhookDelivery.id
    return fetch(session, statement, at, row_id, limit=limit, after=after, newest_first=True)


def forget(session: Session, *, before: datetime, limit: int) -> int:
    """Forget some of the messages that were written before then and are not waiting. Returns how many."""
    old = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.created_at < before, WebhookDelivery.state != PENDING)
        .limit(limit)
    )
    result = session.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(old)))
    return cast("CursorResult[Any]", result).rowcount
