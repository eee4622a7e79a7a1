"""Sends what webhooks are to be told: held by a lease, tried again ever later, given up after days."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import perf_counter
from typing import Protocol
from uuid import UUID

from pipeline.db import webhook_deliveries
from pipeline.db.engine import Database
from pipeline.db.webhook_deliveries import ATTEMPTS_KEPT, DELIVERED, FAILED, WebhookDelivery
from pipeline.db.webhook_endpoints import ENABLED, WebhookEndpoint
from pipeline.errors import AddressRefused, InvalidUrl, ReceiverUnavailable, SitewiseError, WebhookKeyChanged
from pipeline.logs import get_logger
from pipeline.services.clock import Clock
from pipeline.services.webhook_secrets import Secrets
from pipeline.services.webhooks import disable
from pipeline.settings import WebhookSettings
from pipeline.webhook_signature import ID_HEADER, SIGNATURE_HEADER, TIME_HEADER, sign

ENDPOINTS_AT_A_TIME = 8
MESSAGES_IN_A_ROW = 20
"""To one receiver, before others get their turn."""

LONGEST_QUIET = timedelta(minutes=5)
"""How long a receiver is left alone after it failed, at most: of many messages to one that is away, one finds out."""

LONGEST_RETRY_AFTER = timedelta(days=1)
LEASE_MARGIN = timedelta(seconds=20)

GONE, FAILING = "the receiver answered 410 Gone", "it took nothing for days"

log = get_logger(__name__)


class Answered(Protocol):
    """What is needed of an answer. Header names are lower case."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        ...


class Receivers(Protocol):
    """What calls receivers, and none inside."""

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> Answered:
        """POST a body. Raises `InvalidUrl`, `AddressRefused` or `ReceiverUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one call went. No status: there was no answer."""

    at: datetime
    seconds: float
    status: int | None = None
    problem: str | None = None
    retry_after: timedelta | None = None

    @property
    def went_well(self) -> bool:
        """Whether the receiver took it. A redirect is not followed: it may lead anywhere."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class WebhookSender:
    """Delivers. Any number of processes may."""

    def __init__(
        self,
        database: Database,
        settings: WebhookSettings,
        clock: Clock,
        *,
        secrets: Secrets,
        receivers: Callable[[], Receivers],
    ) -> None:
        """Send what this database says is due, through `receivers`."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._secrets = secrets
        self._receivers = receivers
        self._running: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Deliver what is due, beside whatever else goes on; nothing where that is under way already."""
        if self._stop.is_set() or (self._running is not None and self._running.is_alive()):
            return
        self._running = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._running.start()

    def close(self) -> None:
        """Begin no further call. One that is under way is told again when its lease has run out."""
        self._stop.set()
        if self._running is not None:
            self._running.join(self._settings.timeout.total_seconds() / 4)

    def deliver_due(self) -> int:
        """Send what is due now, to some receivers side by side. Returns how many calls were made."""
        with self._database.read() as session:
            due = webhook_deliveries.due_endpoints(session, now=self._clock(), limit=ENDPOINTS_AT_A_TIME)
        made: list[int] = []
        threads = [
            threading.Thread(target=self._deliver_to, args=(found, made), name=f"webhook {found}", daemon=True)
            for found in due
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(made)

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and self.deliver_due():
                pass
        except SitewiseError as error:
            log.warning("webhooks wait", problem=str(error))

    def _deliver_to(self, endpoint_id: UUID, made: list[int]) -> None:
        """Send an endpoint's messages one after the other, until one fails."""
        try:
            for count in range(MESSAGES_IN_A_ROW):
                if self._stop.is_set() or not self._deliver_next(endpoint_id):
                    made.append(count)
                    return
            made.append(MESSAGES_IN_A_ROW)
        except SitewiseError as error:
            log.warning("webhook waits", webhook=str(endpoint_id), problem=str(error))

    def _deliver_next(self, endpoint_id: UUID) -> bool:
        """Send one message. False when none is due, or it failed."""
        now = self._clock()
        with self._database.write() as session:
            endpoint = session.get(WebhookEndpoint, endpoint_id)
            if endpoint is None or endpoint.status != ENABLED:
                return False
            try:
                secrets = self._secrets.of(endpoint, now=now)
            except WebhookKeyChanged as error:
                endpoint.quiet_until = now + LONGEST_QUIET
                log.error("webhook cannot be signed", webhook=str(endpoint_id), problem=str(error))  # noqa: TRY400 - its cause is known: no trace
                return False
            lease = self._settings.timeout + LEASE_MARGIN
            delivery = webhook_deliveries.claim(session, endpoint_id, now=now, lease=lease)
        if delivery is None or delivery.lease_token is None:
            return False
        try:
            attempt = self._call(endpoint.url, delivery, secrets)
        except Exception as error:  # noqa: BLE001 - a message that is never settled would be sent again for ever
            log.error("webhook call failed", webhook=str(endpoint_id), problem=type(error).__name__)  # noqa: TRY400 - it may quote what the receiver sent
            attempt = Attempt(now, 0.0, problem=type(error).__name__)
        self._settle(endpoint_id, delivery.id, delivery.lease_token, attempt)
        return attempt.went_well

    def _call(self, url: str, delivery: WebhookDelivery, secrets: list[bytes]) -> Attempt:
        at, began = self._clock(), perf_counter()
        body, seconds = delivery.body.encode(), int(at.timestamp())
        signatures = [sign(one, message_id=delivery.message_id, seconds=seconds, body=body) for one in secrets]
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: delivery.message_id,
            TIME_HEADER: str(seconds),
            SIGNATURE_HEADER: " ".join(signatures),
        }
        try:
            answer = self._receivers().post(url, body, headers=headers)
        except (InvalidUrl, AddressRefused, ReceiverUnavailable) as error:
            problem = str(error.facts.get("problem") or error)
            return Attempt(at, round(perf_counter() - began, 3), problem=problem[:200])
        took = round(perf_counter() - began, 3)
        return Attempt(at, took, status=answer.status, retry_after=_wait(answer.headers.get("retry-after"), now=at))

    def _settle(self, endpoint_id: UUID, delivery_id: UUID, token: UUID, attempt: Attempt) -> None:
        """Write how it went, unless another has taken it over meanwhile."""
        now = self._clock()
        with self._database.write() as session:
            endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update=True)
            delivery = webhook_deliveries.held(session, delivery_id, token=token)
            if endpoint is None or delivery is None:
                return
            _note(delivery, attempt)
            if attempt.went_well:
                delivery.state, delivery.delivered_at = DELIVERED, now
                endpoint.failing_since, endpoint.quiet_until, endpoint.failures = None, None, 0
            else:
                self._put_off(delivery, endpoint, attempt, now=now)
            session.flush()
            if reason := self._why_no_more(endpoint, attempt, now=now):
                disable(session, endpoint, reason=reason, now=now)
            facts = {"webhook": str(endpoint_id), "message": delivery.event, "tries": delivery.tries}
        if attempt.went_well:
            log.info("webhook delivered", seconds=attempt.seconds, **facts)
        else:
            log.warning("webhook not delivered", status=attempt.status, problem=attempt.problem, **facts)

    def _put_off(
        self, delivery: WebhookDelivery, endpoint: WebhookEndpoint, attempt: Attempt, *, now: datetime
    ) -> None:
        delays = self._settings.retry_delays
        endpoint.failures += 1
        endpoint.failing_since = endpoint.failing_since or now
        quiet = min(delays[min(endpoint.failures, len(delays)) - 1], LONGEST_QUIET)
        endpoint.quiet_until = now + max(quiet, attempt.retry_after or quiet)
        if delivery.tries > len(delays):
            delivery.state = FAILED
            return
        delay = delays[delivery.tries - 1]
        delivery.due_at = now + max(delay, attempt.retry_after or delay)

    def _why_no_more(self, endpoint: WebhookEndpoint, attempt: Attempt, *, now: datetime) -> str | None:
        """Why this receiver is told nothing any more."""
        if attempt.status == HTTPStatus.GONE:
            return GONE
        if endpoint.failing_since is None or endpoint.failures <= len(self._settings.retry_delays):
            return None
        return FAILING if now - endpoint.failing_since >= self._settings.disable_after else None


def _note(delivery: WebhookDelivery, attempt: Attempt) -> None:
    told = {
        "at": attempt.at.isoformat(),
        "http_status": attempt.status,
        "problem": attempt.problem,
        "seconds": attempt.seconds,
    }
    delivery.attempts = [*delivery.attempts, told][-ATTEMPTS_KEPT:]
    delivery.last_status, delivery.last_problem = attempt.status, attempt.problem
    delivery.last_attempt_at = attempt.at
    delivery.lease_token = delivery.lease_until = None


def _wait(given: str | None, *, now: datetime) -> timedelta | None:
    """What a Retry-After asks for, as far as it is sensible; none where it cannot be read."""
    if given is None:
        return None
    try:
        if given.strip().isdecimal():
            return min(timedelta(seconds=min(int(given), 10**6)), LONGEST_RETRY_AFTER)
        until = parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), LONGEST_RETRY_AFTER)
