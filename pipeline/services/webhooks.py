"""Webhooks: an org says where it wants to be told of what, looks at what was told, and has it told again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pipeline.db import orgs, webhook_deliveries, webhook_endpoints
from pipeline.db.crawls import Crawl
from pipeline.db.engine import Database, Session
from pipeline.db.paging import Listed, Place
from pipeline.db.webhook_deliveries import PAGE_REMOVED, PENDING, WebhookDelivery
from pipeline.db.webhook_endpoints import DISABLED, ENABLED, WebhookEndpoint
from pipeline.errors import InvalidWebhook
from pipeline.model import CrawlStatus, OrgScope
from pipeline.services.clock import Clock
from pipeline.services.webhook_secrets import Secrets, new_salt
from pipeline.settings import WebhookSettings
from pipeline.webhook_signature import write_secret

CRAWL_STARTED, CRAWL_COMPLETED, CRAWL_FAILED, CRAWL_HELD = (
    "crawl.started",
    "crawl.completed",
    "crawl.failed",
    "crawl.held",
)
EVENTS = (CRAWL_STARTED, CRAWL_COMPLETED, CRAWL_FAILED, CRAWL_HELD, PAGE_REMOVED)
"""What can be told."""

URL_LIMIT = 2_048
DESCRIPTION_LIMIT = 200
BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class WebhookView:
    """One webhook. `events` is empty where it is told of all; `secret` is there only when it was just made."""

    id: UUID
    url: str
    description: str
    events: tuple[str, ...]
    status: str
    disabled_reason: str | None
    failing_since: datetime | None
    old_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change of a webhook; None leaves it."""

    url: str | None = None
    description: str | None = None
    events: Sequence[str] | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One call of a receiver. `seconds` is how long it took."""

    at: datetime
    http_status: int | None
    problem: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One message to one webhook, with its last attempts, oldest first."""

    id: UUID
    message_id: str
    event: str
    state: str
    body: str
    tries: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_problem: str | None
    delivered_at: datetime | None
    created_at: datetime
    attempts: tuple[AttemptView, ...] = ()


class WebhookService:
    """Sets webhooks and reads their log."""

    def __init__(
        self,
        database: Database,
        settings: WebhookSettings,
        clock: Clock,
        *,
        secrets: Secrets,
        check: Callable[[str], None],
    ) -> None:
        """Work on this database; `check` refuses URLs that must not be called."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._secrets = secrets
        self._check = check

    def add(self, url: str, *, scope: OrgScope, events: Sequence[str] = (), description: str = "") -> WebhookView:
        """Tell this URL of these events, or of all, from now on. The answer shows its secret, this once.

        Raises:
            InvalidUrl: If it is no http or https URL.
            AddressRefused: If it is not public, and not allowed.
            InvalidWebhook: If there is no such event, a text is too long, or the org has webhooks enough.
            WebhookKeyMissing: If this installation cannot sign.
        """
        self._check_given(Changes(url, description, events))
        now = self._clock()
        mark = self._secrets.mark
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            if webhook_endpoints.count(session, org_id=scope.org_id) >= self._settings.per_org:
                raise InvalidWebhook(problem="the org has as many as it may", allowed=self._settings.per_org)
            endpoint = WebhookEndpoint(
                id=uuid4(),
                org_id=scope.org_id,
                url=url,
                description=description,
                events=_in_order(events),
                status=ENABLED,
                secret_salt=new_salt(),
                key_mark=mark,
                failures=0,
                created_at=now,
                updated_at=now,
            )
            session.add(endpoint)
            return self._view(endpoint, shows_secret=True)

    def list_webhooks(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[WebhookView]:
        """The org's webhooks, oldest first."""
        with self._database.read() as session:
            return webhook_endpoints.page_through(session, org_id=scope.org_id, limit=limit, after=after).each(
                self._view
            )

    def show(self, webhook_id: UUID, *, scope: OrgScope) -> WebhookView:
        """One webhook.

        Raises:
            WebhookNotFound: If the org has none of this id.
        """
        with self._database.read() as session:
            return self._view(webhook_endpoints.get(session, webhook_id, org_id=scope.org_id))

    def change(self, webhook_id: UUID, changes: Changes, *, scope: OrgScope) -> WebhookView:
        """Change a webhook. Enabling one that failed forgets its failures; what was given up stays so.

        Raises:
            WebhookNotFound: If the org has none of this id.
            InvalidUrl: If the URL is none.
            AddressRefused: If it is not public, and not allowed.
            InvalidWebhook: If there is no such event or status, or a text is too long.
        """
        self._check_given(changes)
        with self._database.write() as session:
            endpoint = webhook_endpoints.get(session, webhook_id, org_id=scope.org_id, locked=True)
            endpoint.url = endpoint.url if changes.url is None else changes.url
            endpoint.description = endpoint.description if changes.description is None else changes.description
            endpoint.events = endpoint.events if changes.events is None else _in_order(changes.events)
            if changes.status == DISABLED and endpoint.status == ENABLED:
                disable(session, endpoint, reason=BY_HAND, now=self._clock())
            elif changes.status == ENABLED or changes.url is not None:
                endpoint.status = changes.status or endpoint.status
                endpoint.disabled_reason = None if endpoint.status == ENABLED else endpoint.disabled_reason
                endpoint.failing_since, endpoint.quiet_until, endpoint.failures = None, None, 0
            endpoint.updated_at = self._clock()
            return self._view(endpoint)

    def delete(self, webhook_id: UUID, *, scope: OrgScope) -> None:
        """Remove a webhook and its log.

        Raises:
            WebhookNotFound: If the org has none of this id.
        """
        with self._database.write() as session:
            session.delete(webhook_endpoints.get(session, webhook_id, org_id=scope.org_id))

    def rotate(self, webhook_id: UUID, *, scope: OrgScope) -> WebhookView:
        """Make a new secret, shown this once. For a while messages are signed with the one before, too.

        Raises:
            WebhookNotFound: If the org has none of this id.
            WebhookKeyMissing: If this installation cannot sign.
        """
        now, mark = self._clock(), self._secrets.mark
        with self._database.write() as session:
            endpoint = webhook_endpoints.get(session, webhook_id, org_id=scope.org_id, locked=True)
            is_known = endpoint.key_mark == mark
            endpoint.old_secret_salt = endpoint.secret_salt if is_known else None
            endpoint.old_secret_until = now + self._settings.overlap if is_known else None
            endpoint.secret_salt, endpoint.key_mark, endpoint.updated_at = new_salt(), mark, now
            endpoint.quiet_until = None
            return self._view(endpoint, shows_secret=True)

    def list_deliveries(
        self,
        webhook_id: UUID,
        *,
        scope: OrgScope,
        limit: int = 20,
        after: Place | None = None,
        states: Sequence[str] = (),
    ) -> Listed[DeliveryView]:
        """What a webhook was told, and is to be told, newest first.

        Raises:
            WebhookNotFound: If the org has none of this id.
        """
        with self._database.read() as session:
            webhook_endpoints.get(session, webhook_id, org_id=scope.org_id)
            found = webhook_deliveries.page_through(session, webhook_id, limit=limit, after=after, states=states)
            return found.each(_delivery)

    def replay(self, webhook_id: UUID, delivery_id: UUID, *, scope: OrgScope) -> DeliveryView:
        """Tell it once more, with the same message id. Twice, before it left, is the same as once.

        Raises:
            WebhookNotFound: If the org has no such webhook.
            DeliveryNotFound: If that has no such delivery.
            InvalidWebhook: If the webhook is disabled.
        """
        now = self._clock()
        with self._database.write() as session:
            endpoint = webhook_endpoints.get(session, webhook_id, org_id=scope.org_id, locked=True)
            if endpoint.status != ENABLED:
                raise InvalidWebhook(problem="it is disabled: enable it first", webhook=webhook_id)
            delivery = webhook_deliveries.get(session, delivery_id, endpoint_id=webhook_id, org_id=scope.org_id)
            if delivery.state != PENDING or delivery.due_at > now:
                delivery.state, delivery.due_at, delivery.tries = PENDING, now, 0
                delivery.lease_token = delivery.lease_until = None
            endpoint.quiet_until = None
            return _delivery(delivery)

    def _check_given(self, changes: Changes) -> None:
        if changes.url is not None:
            if len(changes.url) > URL_LIMIT:
                raise InvalidWebhook(field="url", allowed=f"up to {URL_LIMIT} characters")
            self._check(changes.url)
        if changes.description is not None and len(changes.description) > DESCRIPTION_LIMIT:
            raise InvalidWebhook(field="description", allowed=f"up to {DESCRIPTION_LIMIT} characters")
        if unknown := sorted(set(changes.events or ()) - set(EVENTS)):
            raise InvalidWebhook(field="events", given=unknown[0], allowed=", ".join(EVENTS))
        if changes.status not in {None, ENABLED, DISABLED}:
            raise InvalidWebhook(field="status", allowed=f"{ENABLED}, {DISABLED}")

    def _view(self, endpoint: WebhookEndpoint, *, shows_secret: bool = False) -> WebhookView:
        secret = write_secret(self._secrets.of(endpoint, now=self._clock())[0]) if shows_secret else None
        return WebhookView(
            id=endpoint.id,
            url=endpoint.url,
            description=endpoint.description,
            events=tuple(endpoint.events),
            status=endpoint.status,
            disabled_reason=endpoint.disabled_reason,
            failing_since=endpoint.failing_since,
            old_secret_until=endpoint.old_secret_until,
            created_at=endpoint.created_at,
            updated_at=endpoint.updated_at,
            secret=secret,
        )


def disable(session: Session, endpoint: WebhookEndpoint, *, reason: str, now: datetime) -> None:
    """Tell an endpoint nothing any more; what waits for it is given up and can be replayed."""
    endpoint.status, endpoint.disabled_reason, endpoint.updated_at = DISABLED, reason, now
    webhook_deliveries.give_up(session, endpoint.id, problem=f"the webhook was disabled: {reason}")


def announce_start(session: Session, crawl: Crawl, *, now: datetime) -> None:
    """Tell the org's webhooks that a crawl begins."""
    _announce(session, CRAWL_STARTED, crawl, now=now)


def announce_end(session: Session, crawl: Crawl, *, now: datetime) -> None:
    """Tell how a crawl ended; one that was cancelled is not told of."""
    name = {CrawlStatus.COMPLETED: CRAWL_COMPLETED, CrawlStatus.FAILED: CRAWL_FAILED}.get(CrawlStatus(crawl.status))
    if name is not None:
        _announce(session, name, crawl, now=now)


def announce_hold(session: Session, crawl: Crawl, *, held_pages: int, now: datetime) -> None:
    """Tell that a crawl waits for a decision about so many pages."""
    _announce(session, CRAWL_HELD, crawl, now=now, held_pages=held_pages)


def _announce(session: Session, name: str, crawl: Crawl, *, now: datetime, **facts: int) -> None:
    """Ids and counts: no address and no text."""
    counts = ("total", "new", "updated", "unchanged", "removed", "failed", "held")
    told: dict[str, Any] = {"datasource_id": crawl.datasource_id, "crawl_id": crawl.id, "trigger": crawl.trigger}
    told |= {f"{count}_pages": getattr(crawl, f"{count}_pages") for count in counts}
    webhook_deliveries.announce(session, name, org_id=crawl.org_id, facts=told | facts, now=now)


def _in_order(events: Sequence[str]) -> list[str]:
    return [event for event in EVENTS if event in events]


def _delivery(row: WebhookDelivery) -> DeliveryView:
    attempts = tuple(
        AttemptView(
            at=datetime.fromisoformat(attempt["at"]),
            http_status=attempt["http_status"],
            problem=attempt["problem"],
            seconds=attempt["seconds"],
        )
        for attempt in row.attempts
    )
    return DeliveryView(
        id=row.id,
        message_id=row.message_id,
        event=row.event,
        state=row.state,
        body=row.body,
        tries=row.tries,
        next_attempt_at=row.due_at if row.state == PENDING else None,
        last_status=row.last_status,
        last_problem=row.last_problem,
        delivered_at=row.delivered_at,
        created_at=row.created_at,
        attempts=attempts,
    )
