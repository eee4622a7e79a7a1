"""Rates and quotas, across several processes of the API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.errors import InvalidInput, QuotaReached
from pipeline.model import OrgScope
from pipeline.services.limits import Draw
from tests.fakes.knowledge import Knowledge
from tests.lab.api import ApiLab, served

ORGS, SETTINGS = "/partner/v1/orgs", "/org/settings"
PER_MINUTE = 60


@pytest.fixture(scope="module")
def narrow(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    """An API that allows a key 60 requests a minute, an org 90, a partner 5 orgs. Its clock stands still."""
    data_dir = tmp_path_factory.mktemp("narrow")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    limits = {"key_requests_per_minute": PER_MINUTE, "org_requests_per_minute": 90, "orgs": 5}
    with served(data_dir, limits=limits) as lab:
        yield lab


def test_a_key_is_stopped_at_its_limit_whichever_process_it_asks(narrow: ApiLab) -> None:
    """Two processes let exactly as many through as one would; the rest learn when to come again."""
    org = narrow.org("Busy")
    second = narrow.knowledge.open()
    with Server(create_app(second), narrow.knowledge.settings) as server:
        urls = [narrow.url + SETTINGS, server.url + SETTINGS] * 50
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(org.http.get, urls))
    second.close()

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (PER_MINUTE, 100 - PER_MINUTE)
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "rate_exceeded"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["ratelimit-policy"] == '"key_requests_per_minute";q=60;w=60'
    assert ";r=0;" in refused.headers["ratelimit"]


def test_the_keys_of_an_org_share_its_limit(narrow: ApiLab) -> None:
    """Two keys do not get twice as much; another org gets its own."""
    org, other = narrow.org("Shares"), narrow.org("Apart")
    clients = [org.http, narrow.client(narrow.org_key(org.id))]

    statuses = [client.get(SETTINGS).status_code for _ in range(50) for client in clients]

    assert statuses.count(200) == 90
    assert other.http.get(SETTINGS).status_code == 200


def test_answers_tell_what_is_left(narrow: ApiLab) -> None:
    """Before anything is refused."""
    org = narrow.org("Told").http

    left = [int(org.get(SETTINGS).headers["ratelimit"].split(";")[1].removeprefix("r=")) for _ in range(3)]

    assert left == sorted(left, reverse=True)
    assert left[0] - left[2] == 2


def test_each_golden_question_is_a_retrieval(sqlite_template: Path, tmp_path: Path) -> None:
    """All of a request's, or none of them; where a minute allows fewer, a whole minute's."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    limits = {"key_requests_per_minute": 0, "org_requests_per_minute": 0, "retrievals_per_minute": 10}

    def questions(count: int) -> dict[str, object]:
        return {"questions": [{"question": f"Number {number}?", "no_answer": True} for number in range(count)]}

    with served(tmp_path, limits=limits) as lab:
        org, many = lab.org("Evaluates").http, lab.org("Evaluates many").http
        asked, refused = (org.post("/evaluation", json=questions(8)) for _ in range(2))
        briefings = [org.post("/retrieve", json={"message": "Hello?"}).status_code for _ in range(3)]
        for _ in range(2):
            many.post("/evaluation/questions/import", json=questions(11))
        stored = [many.post("/evaluation", json={}) for _ in range(2)]
        lab.knowledge.clock.forward(minutes=1)
        later = many.post("/evaluation", json={})

    assert (asked.status_code, len(asked.json()["questions"])) == (200, 8)
    assert ";r=2;" in asked.headers["ratelimit"]
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_exceeded")
    assert refused.headers["retry-after"] == "36"
    assert refused.headers["ratelimit-policy"] == '"retrievals_per_minute";q=10;w=60'
    assert briefings == [200, 200, 429]
    assert [answer.status_code for answer in [*stored, later]] == [200, 429, 200]
    assert stored[1].headers["retry-after"] == "60"


def test_a_partner_has_so_many_orgs(narrow: ApiLab) -> None:
    """The one after that is refused with 429, and nothing of it is kept."""
    partner = narrow.other_partner()
    made = [partner.post(ORGS, json={"name": f"Org {number}"}).status_code for number in range(5)]

    refused = partner.post(ORGS, json={"name": "One more"})

    assert made == [201] * 5
    assert refused.status_code == 429
    assert refused.json()["code"] == "quota_reached"
    assert refused.headers["retry-after"] == "3600"
    assert len(partner.get(ORGS).json()["items"]) == 5


def test_a_bucket_fills_by_the_clock(knowledge: Knowledge) -> None:
    """Never beyond its size, and a clock that goes back takes nothing and gives nothing."""
    draw = Draw("key:x", 120)
    limits = knowledge.services.limits
    emptied = sum(limits.draw(draw).had for _ in range(200))

    knowledge.clock.forward(seconds=10)
    refilled = sum(limits.draw(draw).had for _ in range(200))
    knowledge.clock.forward(seconds=-5)
    behind = limits.draw(draw)
    knowledge.clock.forward(hours=1)
    full = sum(limits.draw(draw).had for _ in range(200))

    assert (emptied, refilled, behind.had, full) == (120, 20, 0, 120)
    assert 0 < behind.next_in_seconds <= 0.5


def test_a_busy_key_draws_a_quarter_of_a_second_at_a_time() -> None:
    """So it costs few transactions; a slow one draws single tokens, and none is lost."""
    assert Draw("s", 12_000).portion == 50
    assert Draw("s", 60).portion == 1


def test_an_org_may_have_limits_of_its_own(knowledge: Knowledge) -> None:
    """Above or below those set; taken away, the setting applies again."""
    limits, scope = knowledge.services.limits, knowledge.org

    own = limits.set_own({"datasources": 2}, scope=scope)
    with pytest.raises(QuotaReached):
        limits.check_room("datasources", lambda: 2, scope=scope)
    limits.set_own({"datasources": None}, scope=scope)
    limits.check_room("datasources", lambda: 2, scope=scope)

    assert own == {"datasources": 2}


@pytest.mark.parametrize("wrong", [{"nothing": 1}, {"datasources": -1}])
def test_a_limit_that_is_none_is_refused(knowledge: Knowledge, wrong: dict[str, int]) -> None:
    """A typo must not pass for a limit."""
    with pytest.raises(InvalidInput):
        knowledge.services.limits.set_own(wrong, scope=OrgScope(knowledge.org.org_id))
