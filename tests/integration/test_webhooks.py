"""Webhooks: told in the transaction of what they tell of, signed, tried again, given up, replayed."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn

import pytest
from standardwebhooks.webhooks import Webhook

from pipeline.adapters.webhook_key import FILE_NAME
from pipeline.db.webhook_deliveries import claim
from pipeline.db.webhook_endpoints import by_id
from pipeline.errors import (
    AddressRefused,
    DeliveryNotFound,
    InvalidWebhook,
    ReceiverUnavailable,
    WebhookKeyChanged,
    WebhookKeyMissing,
    WebhookNotFound,
)
from pipeline.services.page_actions import PageAction, PageChoice
from pipeline.services.webhook_secrets import Secrets
from pipeline.services.webhook_sending import WebhookSender
from pipeline.services.webhooks import EVENTS, Changes, DeliveryView, WebhookView
from pipeline.webhook_signature import read_secret
from tests.fakes.knowledge import Answer, Knowledge, at, paragraphs

URL = "https://platform.example/hooks"
SITE: dict[str, Answer] = {"/": paragraphs(2, about="home"), "/a": paragraphs(2, about="lamps")}
KEY = "k" * 40


@dataclass(frozen=True)
class Reply:
    """What a receiver answers; None: nothing at all."""

    status: int | None = 204
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver:
    """Takes messages, and answers as it is told to."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = deque(replies)
        self.messages: list[tuple[Mapping[str, str], bytes]] = []
        self._lock = threading.Lock()

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Take one."""
        assert url == URL
        with self._lock:
            self.messages.append((dict(headers or {}), body))
            reply = self.replies.popleft() if self.replies else Reply()
        if reply.status is None:
            raise ReceiverUnavailable(host="platform.example", problem="connection refused")
        return reply

    @property
    def events(self) -> list[str]:
        """What it was told, in order."""
        return [json.loads(body)["type"] for _, body in self.messages]


@pytest.fixture
def keyed(knowledge: Knowledge) -> Knowledge:
    """A knowledge base whose installation has a key for webhooks, as every one on servers needs."""
    webhooks = knowledge.settings.webhooks.model_validate({"key": KEY, "per_org": 2})
    knowledge.settings = knowledge.settings.model_copy(update={"webhooks": webhooks})
    knowledge.services.close()
    knowledge.services = knowledge.open()
    return knowledge


def sender(knowledge: Knowledge, receiver: Receiver, *, key: str = KEY) -> WebhookSender:
    """What delivers, to this receiver."""
    return WebhookSender(
        knowledge.services.database,
        knowledge.settings.webhooks,
        knowledge.clock,
        secrets=Secrets(key.encode),
        receivers=lambda: receiver,  # type: ignore[arg-type, return-value] # it always has a status when it answers
    )


def deliver(knowledge: Knowledge, receiver: Receiver) -> None:
    """Send all that is due now."""
    courier = sender(knowledge, receiver)
    while courier.deliver_due():
        pass


def add(knowledge: Knowledge, *events: str) -> WebhookView:
    """A webhook."""
    return knowledge.services.webhooks.add(URL, events=events, scope=knowledge.org)


def told(knowledge: Knowledge, webhook: WebhookView) -> list[DeliveryView]:
    """The webhook's log, oldest first."""
    found = knowledge.services.webhooks.list_deliveries(webhook.id, scope=knowledge.org, limit=100)
    return list(reversed(found.items))


def test_a_crawl_is_told_of_from_start_to_end(keyed: Knowledge) -> None:
    """Ids and counts arrive; the specification's own library takes the signature; no text of a page is in it."""
    webhook = add(keyed)
    receiver = Receiver()

    job = keyed.crawl(SITE, index=False)
    keyed.clock.forward(seconds=1)
    keyed.index()
    deliver(keyed, receiver)

    assert receiver.events == ["crawl.started", "crawl.completed"]
    headers, body = receiver.messages[1]
    message = json.loads(body)["data"]
    assert (message["crawl_id"], message["org_id"]) == (str(job.id), str(keyed.org.org_id))
    assert message["new_pages"] == 2
    assert b"lamps" not in body
    at = keyed.clock.now.timestamp()
    assert int(headers["webhook-timestamp"]) == int(at)
    signed = Webhook(webhook.secret or "").sign(headers["webhook-id"], keyed.clock.now, body.decode())
    assert headers["webhook-signature"] == signed


def test_only_what_was_asked_for_is_told(keyed: Knowledge) -> None:
    """A webhook that names events gets no others, and another org's crawl is nobody's business."""
    webhook = add(keyed, "crawl.failed", "crawl.completed")
    other = keyed.services.orgs.ensure("other")
    keyed.crawl(SITE, scope=other)

    keyed.crawl(SITE)

    assert [delivery.event for delivery in told(keyed, webhook)] == ["crawl.completed"]


def test_a_removed_page_is_told_of_with_its_reason(keyed: Knowledge) -> None:
    """A page that the site has withdrawn is named by its id; one that stays is not."""
    site = SITE | {f"/{number}": paragraphs(2, about=f"other{number}") for number in range(6)}
    keyed.crawl(site)
    webhook = add(keyed, "page.removed")
    keyed.clock.forward(hours=1)

    keyed.crawl(site | {"/a": 404})
    keyed.clock.forward(hours=1)
    keyed.crawl(site | {"/a": 404})

    (delivery,) = told(keyed, webhook)
    message = json.loads(delivery.body)["data"]
    pages = keyed.services.pages.list_pages(scope=keyed.org, limit=50)
    assert message["reason"] == "gone"
    assert message["page_id"] in {str(page.id) for page in pages if page.url.endswith("/a")}


def test_a_page_that_is_deleted_by_hand_is_told_of(keyed: Knowledge) -> None:
    """If it answered: one that was excluded before was told of then."""
    keyed.crawl(SITE)
    (source,) = keyed.services.datasources.page_through(scope=keyed.org).items
    ids = {page.url: page.id for page in keyed.services.pages.list_pages(scope=keyed.org, limit=50)}
    webhook = add(keyed, "page.removed")
    act = keyed.services.page_actions.act
    act(PageAction.EXCLUDE, source.id, PageChoice((ids[at("/")],)), scope=keyed.org)
    keyed.clock.forward(seconds=1)

    act(PageAction.DELETE, source.id, PageChoice(tuple(ids.values())), scope=keyed.org)

    messages = [json.loads(delivery.body)["data"] for delivery in told(keyed, webhook)]
    assert [message["page_id"] for message in messages] == [str(ids[at("/")]), str(ids[at("/a")])]
    assert {message["datasource_id"] for message in messages} == {str(source.id)}
    assert {message["reason"] for message in messages} == {"excluded_manually"}


def test_a_held_crawl_is_told_of(keyed: Knowledge) -> None:
    """Whoever has to decide hears of it at once, with how many pages wait."""
    site = SITE | {f"/{number}": paragraphs(2, about=f"other{number}") for number in range(4)}
    keyed.crawl(site)
    webhook = add(keyed, "crawl.held", "page.removed")
    bad = {path: 404 if path != "/" else answer for path, answer in site.items()}

    for _ in range(2):
        keyed.clock.forward(hours=1)
        keyed.crawl(bad)

    (delivery,) = told(keyed, webhook)
    assert delivery.event == "crawl.held"
    assert json.loads(delivery.body)["data"]["held_pages"] == 5


def test_a_failed_crawl_is_told_of(keyed: Knowledge) -> None:
    """A website that cannot be read at all."""
    webhook = add(keyed, "crawl.failed", "crawl.completed")

    keyed.crawl({"/": 500})

    assert [delivery.event for delivery in told(keyed, webhook)] == ["crawl.failed"]


def test_what_fails_is_sent_again_ever_later_and_then_given_up(keyed: Knowledge) -> None:
    """The same id at every attempt, over more than three days; the log tells each."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)
    receiver = Receiver(*[Reply(500)] * 20)
    began = keyed.clock.now

    for _ in range(14):
        deliver(keyed, receiver)
        (delivery,) = told(keyed, webhook)
        if delivery.next_attempt_at:
            keyed.clock.now = delivery.next_attempt_at

    (delivery,) = told(keyed, webhook)
    assert delivery.state == "failed"
    assert len(receiver.messages) == len(delivery.attempts) == 10
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 1
    waits = [after.at - before.at for before, after in zip(delivery.attempts, delivery.attempts[1:], strict=False)]
    assert waits == sorted(waits)
    assert (keyed.clock.now - began).days == 3


def test_a_receiver_that_is_away_is_asked_by_one_message_not_by_all(keyed: Knowledge) -> None:
    """Of many messages one finds out; once it answers, all arrive in their order."""
    add(keyed, "crawl.started")
    for _ in range(4):
        keyed.crawl(SITE)
        keyed.clock.forward(seconds=1)
    receiver = Receiver(Reply(None))

    deliver(keyed, receiver)
    calls_while_away = len(receiver.messages)
    keyed.clock.forward(seconds=6)
    deliver(keyed, receiver)

    assert calls_while_away == 1
    assert len(receiver.messages) == 5
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 4


def test_retry_after_is_obeyed(keyed: Knowledge) -> None:
    """A receiver that says when is asked then, not sooner."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)

    deliver(keyed, Receiver(Reply(503, {"retry-after": "600"})))

    (delivery,) = told(keyed, webhook)
    assert delivery.next_attempt_at is not None
    assert (delivery.next_attempt_at - keyed.clock.now).total_seconds() == 600


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("Mon, 01 Jan 2026 00:00:00 +99999999999999999999", id="a zone that no time has"),
        pytest.param("9" * 5_000, id="a number of 5,000 digits"),
        pytest.param("Mon, 01 Jan 0000 00:00:00 GMT", id="a year that no calendar has"),
        pytest.param("later", id="a word"),
    ],
)
def test_a_retry_after_that_cannot_be_read_asks_for_nothing(keyed: Knowledge, given: str) -> None:
    """The attempt counts as any other that failed: the next comes after the usual delay."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)

    deliver(keyed, Receiver(Reply(503, {"retry-after": given})))

    (delivery,) = told(keyed, webhook)
    assert [attempt.http_status for attempt in delivery.attempts] == [503]
    assert delivery.next_attempt_at == keyed.clock.now + keyed.settings.webhooks.retry_delays[0]


def test_a_call_that_fails_in_a_way_nobody_foresaw_is_a_failed_attempt(keyed: Knowledge) -> None:
    """It comes later and ends some day, as every message that is not taken; the log names the kind of failure only."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)

    class Broken(Receiver):
        def post(self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> NoReturn:
            """Fail as a library might that read what a receiver sent."""
            super().post(url, body, headers=headers)
            raise RecursionError("what the receiver sent")

    deliver(keyed, Broken())

    (delivery,) = told(keyed, webhook)
    assert [attempt.problem for attempt in delivery.attempts] == ["RecursionError"]
    assert delivery.next_attempt_at == keyed.clock.now + keyed.settings.webhooks.retry_delays[0]


def test_a_receiver_that_is_gone_is_told_no_more(keyed: Knowledge) -> None:
    """410 disables at once: what waits is given up, what happens later is not written."""
    webhook = add(keyed)
    keyed.crawl(SITE)

    deliver(keyed, Receiver(Reply(410)))
    keyed.crawl(SITE)

    shown = keyed.services.webhooks.show(webhook.id, scope=keyed.org)
    assert shown.status == "disabled"
    assert "410" in (shown.disabled_reason or "")
    assert [delivery.state for delivery in told(keyed, webhook)] == ["failed", "failed"]


def test_a_receiver_that_fails_for_days_is_told_no_more(keyed: Knowledge) -> None:
    """Until somebody enables it again."""
    webhook = add(keyed, "crawl.started")
    receiver = Receiver(*[Reply(500)] * 60)

    for _ in range(6):
        keyed.crawl(SITE)
        for _ in range(4):
            deliver(keyed, receiver)
            keyed.clock.forward(hours=6)
    disabled = keyed.services.webhooks.show(webhook.id, scope=keyed.org)
    enabled = keyed.services.webhooks.change(webhook.id, Changes(status="enabled"), scope=keyed.org)

    assert (disabled.status, enabled.status, enabled.disabled_reason) == ("disabled", "enabled", None)
    assert enabled.failing_since is None


def test_a_replay_is_the_same_message_once_more(keyed: Knowledge) -> None:
    """The receiver knows it by its id."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)
    receiver = Receiver()
    deliver(keyed, receiver)
    (delivery,) = told(keyed, webhook)

    for _ in range(2):
        keyed.services.webhooks.replay(webhook.id, delivery.id, scope=keyed.org)
    deliver(keyed, receiver)

    first, second = receiver.messages
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])


def test_a_rotated_secret_and_the_one_before_are_both_good_for_a_while(keyed: Knowledge) -> None:
    """Two signatures, until the overlap is over."""
    old = add(keyed, "crawl.started")
    new = keyed.services.webhooks.rotate(old.id, scope=keyed.org)
    receiver = Receiver()

    keyed.crawl(SITE)
    deliver(keyed, receiver)
    keyed.clock.forward(hours=25)
    keyed.crawl(SITE)
    deliver(keyed, receiver)

    during, after = [headers["webhook-signature"].split(" ") for headers, _ in receiver.messages]
    assert old.secret != new.secret
    assert (len(during), len(after)) == (2, 1)
    (headers, body), _ = receiver.messages
    at = int(headers["webhook-timestamp"])
    assert at == int(new.updated_at.timestamp())
    signed = [
        Webhook(view.secret or "").sign(headers["webhook-id"], new.updated_at, body.decode()) for view in (new, old)
    ]
    assert during == signed


def test_a_secret_is_shown_once_and_stored_nowhere(keyed: Knowledge) -> None:
    """No row of the database has it, and no later answer."""
    webhook = add(keyed)

    shown = keyed.services.webhooks.show(webhook.id, scope=keyed.org)
    with keyed.services.database.engine.connect() as connection:
        rows = repr(connection.exec_driver_sql("SELECT * FROM webhook_endpoints").all())

    secret = webhook.secret or ""
    assert shown.secret is None
    assert secret.startswith("whsec_")
    assert secret.removeprefix("whsec_") not in rows
    assert read_secret(secret).hex() not in rows
    assert secret not in repr(webhook)


def test_another_key_signs_nothing(keyed: Knowledge) -> None:
    """A receiver is never sent a signature it must refuse: the message waits, and the log says why."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)
    receiver = Receiver()

    sender(keyed, receiver, key="another " * 5).deliver_due()

    assert receiver.messages == []
    assert [delivery.state for delivery in told(keyed, webhook)] == ["pending"]
    with keyed.services.database.read() as session:
        (row,) = by_id(session, [webhook.id])
    with pytest.raises(WebhookKeyChanged):
        Secrets(b"another".strip).of(row, now=keyed.clock.now)


def test_a_message_of_a_dead_sender_is_sent_by_the_next(keyed: Knowledge) -> None:
    """Its lease runs out; while that lasts nobody else sends it."""
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)
    with keyed.services.database.write() as session:
        claim(session, webhook.id, now=keyed.clock.now, lease=timedelta(seconds=30))

    receiver = Receiver()
    deliver(keyed, receiver)
    sent_while_held = len(receiver.messages)
    keyed.clock.forward(minutes=1)
    deliver(keyed, receiver)

    assert (sent_while_held, len(receiver.messages)) == (0, 1)


def test_wrong_webhooks_are_refused(keyed: Knowledge) -> None:
    """Inner addresses, unknown events, too many, and what is another org's."""
    service = keyed.services.webhooks
    webhook = add(keyed)
    other = keyed.services.orgs.ensure("other")

    with pytest.raises(AddressRefused):
        service.add("http://169.254.169.254/latest", scope=keyed.org)
    with pytest.raises(InvalidWebhook, match=r"crawl\.begun"):
        service.add(URL, events=["crawl.begun"], scope=keyed.org)
    with pytest.raises(InvalidWebhook):
        service.change(webhook.id, Changes(status="asleep"), scope=keyed.org)
    with pytest.raises(InvalidWebhook):
        service.change(webhook.id, Changes(description="x" * 201), scope=keyed.org)
    with pytest.raises(WebhookNotFound):
        service.show(webhook.id, scope=other)
    with pytest.raises(DeliveryNotFound):
        service.replay(webhook.id, webhook.id, scope=keyed.org)
    add(keyed)
    with pytest.raises(InvalidWebhook, match="as many"):
        add(keyed)


def test_a_webhook_is_changed_disabled_and_deleted(keyed: Knowledge) -> None:
    """Events stand in their own order; what waits for a disabled one is given up."""
    service = keyed.services.webhooks
    webhook = add(keyed, "crawl.started")
    keyed.crawl(SITE)

    changed = service.change(webhook.id, Changes(events=EVENTS[::-1], description="ours"), scope=keyed.org)
    disabled = service.change(webhook.id, Changes(status="disabled"), scope=keyed.org)
    given_up = [delivery.state for delivery in told(keyed, webhook)]
    service.delete(webhook.id, scope=keyed.org)

    assert (changed.events, changed.description) == (EVENTS, "ours")
    assert disabled.disabled_reason == "by hand"
    assert given_up == ["failed"]
    assert service.list_webhooks(scope=keyed.org).items == ()


def test_the_log_is_forgotten_in_time(keyed: Knowledge) -> None:
    """What waits is kept."""
    webhook = add(keyed, "crawl.started", "crawl.completed")
    keyed.crawl(SITE)
    sender(keyed, Receiver(Reply(), Reply(500))).deliver_due()
    keyed.clock.forward(hours=24 * 31)

    keyed.services.upkeep.tick(schedules=False)

    assert [delivery.state for delivery in told(keyed, webhook)] == ["pending"]


def test_an_embedded_installation_makes_its_key(knowledge: Knowledge) -> None:
    """Once, for nobody else to read; on servers it has to be set, as machines would not agree."""
    if knowledge.settings.database.url is not None:
        with pytest.raises(WebhookKeyMissing, match="SITEWISE_WEBHOOKS__KEY"):
            add(knowledge)
        return
    webhook = add(knowledge)
    knowledge.crawl(SITE)
    file = knowledge.settings.data_dir / FILE_NAME

    again = knowledge.open()
    deliveries = again.webhooks.list_deliveries(webhook.id, scope=knowledge.org)
    again.close()

    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, 32)
    assert len(deliveries.items) == 2
