"""The Python client: against the API as it is served, and against a server that has bad days."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from pipeline.client import AsyncClient, Client, ServerRefused, ServerUnavailable, crawls, partner, training, webhooks
from pipeline.client.sending import Patience
from tests.fakes.knowledge import SITE
from tests.lab import LabSite, Reply
from tests.lab.api import ApiLab

BUSY = json.dumps({"statusCode": 503, "code": "database_unavailable", "message": "away"}).encode()
ORG = json.dumps({"id": "1", "name": "Shop"}).encode()
PATH = "/partner/v1/orgs"


@pytest.fixture
def site() -> Iterator[LabSite]:
    """A server in a bad mood."""
    with LabSite() as opened:
        yield opened


class Pauses:
    """Waits no time, and remembers how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        """Wait."""
        self.seconds.append(seconds)

    async def later(self, seconds: float) -> None:
        """Wait in an event loop."""
        self.seconds.append(seconds)


def test_a_customer_is_provisioned_in_a_few_calls(lab: ApiLab) -> None:
    """Org, key, website, scenario, webhook, as values sent by one client."""
    with Client(lab.url, lab.partner_key) as partners:
        org = partners.send(partner.add_org("Shop", external_id=uuid4().hex))
        key = partners.send(partner.add_key(org["id"], "first"))
    with Client(lab.url, key["api_key"]) as client:
        website = client.send(crawls.add(SITE, page_limit=5, auto_start_crawl=False))
        job = client.send(crawls.start(website["id"]))
        scenario = client.send(training.add("Refunds", "Ask for the order number.", triggers=["I want my money"]))
        hook = client.send(webhooks.add("https://platform.example/", events=["crawl.completed"]))
        ended = client.send(crawls.decide(website["id"], job["id"], "cancel"))

        assert (website["page_limit"], scenario["current_version"], hook["events"]) == (5, 1, ["crawl.completed"])
        assert ended["status"] == "cancelled"
        assert [found["id"] for found in client.each(crawls.jobs(website["id"]))] == [job["id"]]


def test_a_list_is_read_page_by_page(lab: ApiLab) -> None:
    """Every item once, however small the pages; blocking and not."""
    org = lab.org()
    with Client(lab.url, org.key) as client:
        names = [
            client.send(training.add(f"Number {number}", "Say so.", is_draft=True))["title"] for number in range(5)
        ]
        small = replace(training.scenarios(), params={"limit": 2})
        read = [found["title"] for found in client.each(small)]

    async def read_all() -> list[str]:
        async with AsyncClient(lab.url, org.key) as waiting:
            return [found["title"] async for found in waiting.each(small)]

    assert read == asyncio.run(read_all())
    assert sorted(read) == sorted(names)


def test_a_keyed_call_happens_once(lab: ApiLab) -> None:
    """Sent again by another process, it gets the first answer."""
    call = partner.add_org("Once").keyed(uuid4().hex)
    with Client(lab.url, lab.partner_key) as client:
        assert client.send(call) == client.send(call)


def test_a_refusal_has_the_servers_words(lab: ApiLab) -> None:
    """Its stable code, its details and its request id, and it is not asked twice."""
    pauses = Pauses()
    with Client(lab.url, lab.org().key, pause=pauses) as client, pytest.raises(ServerRefused) as refused:
        client.send(crawls.add("http://10.0.0.1/"))

    assert (refused.value.status, refused.value.code, pauses.seconds) == (422, "address_refused", [])
    assert refused.value.request_id
    assert str(refused.value) == refused.value.message


def test_a_busy_server_is_asked_again_with_the_same_key(site: LabSite) -> None:
    """As soon as it says, else ever later; one POST, one Idempotency-Key."""
    pauses = Pauses()
    site.answers(PATH, Reply(429, BUSY, headers=(("Retry-After", "7"),)), Reply(503, BUSY), Reply(201, ORG))

    with Client(site.url, "key", pause=pauses) as client:
        org = client.send(partner.add_org("Shop"))

    keys = {request.headers["idempotency-key"] for request in site.requests}
    assert (org["name"], len(site.requests), len(keys)) == ("Shop", 3, 1)
    assert pauses.seconds[0] == 7
    assert 0.5 <= pauses.seconds[1] <= 1


def test_a_busy_server_is_asked_again_in_a_loop_too(site: LabSite) -> None:
    """As soon as it says, with the same key; whoever wants to is told why and for how long."""
    pauses, heard = Pauses(), list[tuple[str, float]]()
    site.answers(PATH, Reply(429, BUSY, headers=(("Retry-After", "7"),)), Reply(503, BUSY), Reply(201, ORG))

    async def ask() -> object:
        told = lambda failure, seconds: heard.append((failure.facts["problem"], seconds))  # noqa: E731 - one line
        async with AsyncClient(site.url, "key", pause=pauses.later, told=told) as client:
            return await client.send(partner.add_org("Shop"))

    org = asyncio.run(ask())

    keys = {request.headers["idempotency-key"] for request in site.requests}
    assert (org, len(site.requests), len(keys)) == (json.loads(ORG), 3, 1)
    assert pauses.seconds[0] == 7
    assert 0.5 <= pauses.seconds[1] <= 1
    assert heard == [("away", seconds) for seconds in pauses.seconds]


def test_patience_ends_in_a_loop_too(site: LabSite) -> None:
    """And a refusal is not asked twice."""
    pauses = Pauses()
    site.respond(PATH, status=503, body=BUSY, headers=[("Retry-After", "20")])
    site.respond("/crawl", status=422, body=json.dumps({"code": "address_refused", "message": "no"}).encode())

    async def ask() -> None:
        patience = Patience(total=50)
        async with AsyncClient(site.url, "key", pause=pauses.later, patience=patience) as client:
            with pytest.raises(ServerRefused, match="no"):
                await client.send(crawls.add("http://10.0.0.1/"))
            with pytest.raises(ServerUnavailable, match="away"):
                await client.send(partner.orgs())

    asyncio.run(ask())

    assert pauses.seconds == [20, 20]


def test_patience_ends(site: LabSite) -> None:
    """A server that stays away is told of, in the time that was allowed."""
    pauses = Pauses()
    site.respond(PATH, status=503, body=BUSY, headers=[("Retry-After", "20")])

    with (
        Client(site.url, "key", pause=pauses, patience=Patience(total=50)) as client,
        pytest.raises(ServerUnavailable, match="away"),
    ):
        client.send(partner.orgs())

    assert pauses.seconds == [20, 20]


def test_a_connection_that_breaks_is_tried_again_in_a_loop_too(site: LabSite) -> None:
    """No answer is no answer: the same request, once more."""
    pauses = Pauses()
    site.answers(PATH, Reply(reset=True), Reply(502, b"<html>"), Reply(200, b'{"items": [], "next": null}'))

    async def ask() -> object:
        async with AsyncClient(site.url, "key", pause=pauses.later) as client:
            return await client.send(partner.orgs())

    assert asyncio.run(ask()) == {"items": [], "next": None}
    assert len(pauses.seconds) == 2


def test_an_answer_of_something_else_is_told_as_such(site: LabSite) -> None:
    """A proxy's page is no failure of ours to be read."""
    site.respond(PATH, status=404, body=b"<html>not here")

    with Client(site.url, "key") as client, pytest.raises(ServerRefused, match="404"):
        client.send(partner.orgs())
