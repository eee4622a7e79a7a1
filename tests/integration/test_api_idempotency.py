"""The same answer to the same request, however often and by however many it is sent."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from pipeline.errors import InvalidInput, RequestInFlight
from pipeline.services.idempotency import Answered, Asked, IdempotencyService
from tests.fakes.knowledge import Knowledge
from tests.lab.api import ANSWER_SECONDS, ApiLab

ORGS = "/partner/v1/orgs"


def test_a_repeated_request_gets_the_first_answer(lab: ApiLab) -> None:
    """Secrets that are shown once included; the answer says that it is a repetition."""
    headers = {"Idempotency-Key": "repeat"}

    first = lab.partner.post(ORGS, json={"name": "Once", "external_id": "cus_once"}, headers=headers)
    second = lab.partner.post(ORGS, json={"name": "Once", "external_id": "cus_once"}, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert first.json()["widget_token"] is not None
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")


async def many(lab: ApiLab, client: httpx.Client, path: str, **rest: Any) -> list[httpx.Response]:  # noqa: ANN401 - httpx' own
    """Answers to the same `POST`, sent 200 times before the first is read, on as many connections."""
    every = httpx.Limits(max_connections=200)
    known = client.headers
    async with httpx.AsyncClient(base_url=lab.url, headers=known, limits=every, timeout=120, trust_env=False) as asking:
        return await asyncio.gather(*(asking.post(path, **rest) for _ in range(200)))


def test_of_two_hundred_starts_of_a_crawl_one_starts(lab: ApiLab) -> None:
    """The others are 409, each with the id of the one that runs."""
    org = lab.org("Starts")
    site = org.http.post("/crawl", json={"url": "https://shop.example/", "auto_start_crawl": False}).json()["id"]

    answers = asyncio.run(many(lab, org.http, f"/crawl/{site}/crawls"))

    (job,) = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert len(refused) == 199
    assert {body["code"] for body in refused} == {"crawl_already_running"}
    assert all({"field": "crawl", "given": job} in body["details"] for body in refused)


def test_two_hundred_at_once_make_one_object(lab: ApiLab) -> None:
    """200 parallel requests with one key: one org, and 200 equal answers."""
    body, headers = {"name": "Storm", "external_id": "cus_storm"}, {"Idempotency-Key": "storm"}

    answers = asyncio.run(many(lab, lab.partner, ORGS, json=body, headers=headers))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(lab.partner.get(ORGS, params={"external_id": "cus_storm"}).json()["items"]) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


def test_the_same_key_with_another_request_is_refused(lab: ApiLab) -> None:
    """Another body, or another path: 422, and nothing is made."""
    org, headers = lab.org("Reuse"), {"Idempotency-Key": "reuse"}
    lab.partner.post(ORGS, json={"name": "First"}, headers=headers)

    other_body = lab.partner.post(ORGS, json={"name": "Second"}, headers=headers)
    other_path = lab.partner.post(f"{ORGS}/{org.id}/api-keys", json={"name": "First"}, headers=headers)

    assert (other_body.status_code, other_path.status_code) == (422, 422)
    assert other_body.json()["code"] == "idempotency_key_reused"


def test_keys_of_two_callers_are_two_keys(lab: ApiLab) -> None:
    """What one caller chose says nothing about another's."""
    headers = {"Idempotency-Key": "shared"}
    mine = lab.partner.post(ORGS, json={"name": "Mine"}, headers=headers)

    theirs = lab.other_partner().post(ORGS, json={"name": "Theirs"}, headers=headers)

    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine.json()["id"]


def test_a_failure_is_not_kept(lab: ApiLab) -> None:
    """A request that made nothing may be sent again with the same key, once what was wrong is mended."""
    lab.org("In the way", external_id="cus_way")
    headers, body = {"Idempotency-Key": "mended"}, {"name": "Late", "external_id": "cus_way"}
    refused = lab.partner.post(ORGS, json=body, headers=headers)
    lab.partner.patch(f"{ORGS}/{refused.json()['details'][0]['given']}", json={"external_id": "cus_gone"})

    made = lab.partner.post(ORGS, json=body, headers=headers)

    assert (refused.status_code, made.status_code) == (409, 201)


@pytest.mark.parametrize("key", ["x" * 256, "with\ttab", ""])
def test_a_key_that_cannot_be_one_is_refused(lab: ApiLab, key: str) -> None:
    """Up to 255 visible characters."""
    answer = lab.partner.post(ORGS, json={"name": "Bad key"}, headers={"Idempotency-Key": key})

    assert answer.status_code == 422


def test_after_a_day_a_key_is_free_again(knowledge: Knowledge) -> None:
    """The answer is forgotten, whether or not it was swept by then."""
    asked = asked_by(knowledge)
    service = knowledge.services.idempotency
    service.once(asked, lambda: Answered(201, b"first"))

    knowledge.clock.forward(hours=23)
    within = service.earlier(asked)
    knowledge.clock.forward(hours=2)
    after = service.once(asked, lambda: Answered(201, b"second"))

    assert within is not None
    assert within.body == b"first"
    assert (after.body, after.is_repeated) == (b"second", False)


def test_what_fails_undoes_all_it_wrote(knowledge: Knowledge) -> None:
    """The thing, its answer and its key are one transaction."""
    asked = asked_by(knowledge)

    def act() -> Answered:
        knowledge.services.orgs.ensure("half done")
        raise InvalidInput(problem="on purpose")

    with pytest.raises(InvalidInput):
        knowledge.services.idempotency.once(asked, act)

    assert [org.name for org in knowledge.services.orgs.list_all()] == ["asks"]
    assert knowledge.services.idempotency.earlier(asked) is None


def test_who_asks_meanwhile_waits_for_the_answer(knowledge: Knowledge) -> None:
    """Of two at once the second gets what the first made; it makes nothing."""
    asked = asked_by(knowledge)
    begun, may_end = Event(), Event()

    def slow() -> Answered:
        knowledge.services.orgs.ensure("made once")
        begun.set()
        may_end.wait(ANSWER_SECONDS)
        return Answered(201, b"made")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(knowledge.services.idempotency.once, asked, slow)
        begun.wait(ANSWER_SECONDS)
        second = pool.submit(knowledge.services.idempotency.once, asked, lambda: Answered(201, b"again"))
        may_end.set()

        assert (first.result().body, second.result().body) == (b"made", b"made")
        assert (first.result().is_repeated, second.result().is_repeated) == (False, True)


@pytest.mark.needs("postgres")
def test_who_waited_too_long_is_told_to_come_again(migrated_postgres_url: str, tmp_path: Path) -> None:
    """The first goes on undisturbed; the second learns that its request is under way."""
    knowledge = Knowledge(tmp_path, database_url=migrated_postgres_url)
    asked = asked_by(knowledge)
    impatient = IdempotencyService(knowledge.services.database, knowledge.clock, patience=timedelta(milliseconds=50))
    begun, may_end = Event(), Event()

    def slow() -> Answered:
        begun.set()
        may_end.wait(ANSWER_SECONDS)
        return Answered(201, b"made")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(impatient.once, asked, slow)
        begun.wait(ANSWER_SECONDS)
        with pytest.raises(RequestInFlight):
            impatient.once(asked, lambda: Answered(201, b"again"))
        may_end.set()

        assert first.result().body == b"made"
    knowledge.services.close()


def asked_by(knowledge: Knowledge) -> Asked:
    """A request with a key, by an org called `asks`."""
    org = knowledge.services.orgs.ensure("asks")
    made = knowledge.services.keys.for_org(org.org_id, name="k", partner_id=None)
    return Asked(made.id, b"s" * 32, "some-key", b"r" * 32)
