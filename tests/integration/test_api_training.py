"""Training and retrieval over HTTP, through a real socket."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from pipeline.api.models.retrieval import BriefingBody, StoredBriefingBody
from pipeline.db.scenario_matchers import ScenarioMatcher
from pipeline.model import OrgScope
from pipeline.services.answers import Part
from pipeline.services.outages import Outage
from tests.fakes.knowledge import Answer, at
from tests.lab.api import ApiLab, LabOrg

SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
}
REFUND = {"title": "Refund", "content": "Offer a voucher.", "triggers": ["I want my money back"]}
TONE = {"title": "Tone", "content": "Be kind.", "type": "BEHAVIORAL"}
QUESTION = "What does shipping a chair cost?"


NOBODYS = UUID(int=7)
"""An id that nothing has."""


@pytest.fixture
def org(lab: ApiLab) -> LabOrg:
    """An org that has nothing."""
    return lab.org(f"Shop {uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def empty(lab: ApiLab) -> LabOrg:
    """An org that has nothing, and keeps nothing: for what is refused."""
    return lab.org("Empty")


@pytest.fixture(scope="module")
def shop(lab: ApiLab) -> LabOrg:
    """An org with a crawled site and two scenarios. Tests leave it as it is."""
    org = lab.org("Crawled")
    lab.knowledge.crawl(SHOP, scope=OrgScope(org.id))
    for body in (REFUND, TONE):
        assert org.http.post("/training", json=body).status_code == 201
    return org


def add(org: LabOrg, **fields: object) -> dict[str, Any]:
    """A scenario of the org's."""
    made = org.http.post("/training", json=REFUND | fields)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def fields_of(answer: httpx.Response) -> set[str]:
    """Which fields are named as wrong."""
    return {str(detail["field"]) for detail in answer.json()["details"]}


def test_a_scenario_is_stored_with_the_contracts_defaults(org: LabOrg) -> None:
    """What is left out of the body comes back as the contract says."""
    made = org.http.post("/training", json={"title": "Refund", "content": "Offer a voucher."})

    body = made.json()
    assert made.status_code == 201
    assert {name: body[name] for name in body if not name.endswith("_at") and name != "id"} == {
        "title": "Refund",
        "content": "Offer a voucher.",
        "type": "SCENARIO_SPECIFIC",
        "triggers": [],
        "is_draft": False,
        "directory_id": None,
        "restricted_to_channels": [],
        "restricted_to_segments": [],
        "start_time": None,
        "end_time": None,
        "priority": 0,
        "metadata": {},
        "draft_title": None,
        "draft_content": None,
        "draft_triggers": None,
        "current_version": 1,
    }
    assert org.http.get(f"/training/{body['id']}").json() == body


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"title": " "}, "title"),
        ({"content": "x" * 20_001}, "content"),
        ({"triggers": ["x"] * 51}, "triggers"),
        ({"triggers": ["x", " "]}, "triggers.1"),
        ({"restricted_to_channels": ["pigeon"]}, "restricted_to_channels.0"),
        ({"start_time": "2027-01-31T09:00:00"}, "start_time"),
        ({"start_time": "0001-01-01T00:00:00+14:00"}, "start_time"),
        ({"priority": 2_000_000}, "priority"),
        ({"type": "SOMETIMES"}, "type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(empty: LabOrg, fields: dict[str, object], named: str) -> None:
    """A body that cannot be stored is 422, and stores nothing."""
    refused = empty.http.post("/training", json=REFUND | fields)

    assert refused.status_code == 422, refused.text
    assert named in fields_of(refused)
    assert empty.http.get("/training").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "BEHAVIORAL"},
        {"start_time": "2027-02-01T00:00:00Z", "end_time": "2027-01-01T00:00:00Z"},
        {"metadata": {"long": "x" * 20_001}},
    ],
    ids=["triggers of what always applies", "an end before its start", "metadata too long"],
)
def test_fields_that_do_not_go_together_are_refused(empty: LabOrg, fields: dict[str, object]) -> None:
    """What no single field tells is told all the same."""
    assert empty.http.post("/training", json=REFUND | fields).status_code == 422


def test_half_a_character_is_refused(empty: LabOrg) -> None:
    """A lone surrogate, which JSON can spell and no text can hold, is no title."""
    half = r'{"title": "\ud800", "content": "x"}'
    refused = empty.http.post("/training", content=half, headers={"Content-Type": "application/json"})

    assert refused.status_code == 422
    assert fields_of(refused) <= {"body", "title"}


def test_publishing_waits_for_no_learning(lab: ApiLab) -> None:
    """It is answered while nothing can be learnt aside; the next message finds it all the same, and it is learnt."""
    org = lab.org("Quick")
    lab.knowledge.crawl(SHOP, scope=OrgScope(org.id))
    go_on = threading.Event()
    lab.services.matchers.aside.soon("busy", lambda: go_on.wait(60))

    made = add(org)
    org.http.put(
        f"/training/{made['id']}/draft", json={"title": "Refund", "content": "New.", "triggers": ["cash back"]}
    )
    published = org.http.post(f"/training/{made['id']}/publish").json()
    fired = org.http.post("/retrieve", json={"message": "cash back"}).json()["scenarios"]
    learnt_before = _learnt(lab, org)
    go_on.set()

    assert lab.services.matchers.aside.wait(60)
    assert published["current_version"] == 2
    assert [scenario["content"] for scenario in fired] == ["New."]
    assert (learnt_before, _learnt(lab, org)) == (0, 1)


def _learnt(lab: ApiLab, org: LabOrg) -> int:
    """How many matchers of the org are stored."""
    with lab.services.database.read() as session:
        return session.query(ScenarioMatcher).filter_by(org_id=org.id).count()


def test_the_life_of_a_scenario(lab: ApiLab, org: LabOrg) -> None:
    """Draft, publish, edit, versions, roll-back, delete: each step shows what it should."""
    draft = add(org, is_draft=True)
    path = f"/training/{draft['id']}"

    published = org.http.post(f"{path}/publish").json()
    edited = org.http.put(f"{path}/draft", json={"title": "Refund", "content": "Pay in cash."}).json()
    discarded = org.http.delete(f"{path}/draft").json()
    lab.knowledge.clock.forward(seconds=1)
    replaced = org.http.put(path, json=REFUND | {"content": "Pay by card.", "priority": 3}).json()
    versions = org.http.get(f"{path}/versions").json()["items"]
    back = org.http.post(f"{path}/rollback", json={"version": 1}).json()
    gone = org.http.delete(path)

    assert (draft["current_version"], draft["draft_content"], draft["is_draft"]) == (None, "Offer a voucher.", True)
    assert (published["current_version"], published["draft_title"], published["is_draft"]) == (1, None, False)
    assert (edited["content"], edited["draft_content"], edited["draft_triggers"]) == (
        "Offer a voucher.",
        "Pay in cash.",
        [],
    )
    assert discarded["draft_content"] is None
    assert (replaced["current_version"], replaced["content"], replaced["priority"]) == (2, "Pay by card.", 3)
    assert [(row["version"], row["content"]) for row in versions] == [(2, "Pay by card."), (1, "Offer a voucher.")]
    assert versions[0]["published_by"].startswith("key ")
    assert (back["content"], back["draft_content"]) == ("Pay by card.", "Offer a voucher.")
    assert gone.status_code == 204
    assert org.http.get(path).status_code == 404


def test_a_list_is_paged_and_narrowed(org: LabOrg) -> None:
    """Every scenario once, whatever the size of a page; by type, directory and words."""
    folder = org.http.post("/training/directories", json={"name": "Money"}).json()
    titles = [add(org, title=f"Title {number}", is_draft=True)["title"] for number in range(5)]
    add(org, title="Tone", content="Be kind.", type="BEHAVIORAL", triggers=[], directory_id=folder["id"])

    seen, cursor = [], None
    while True:
        page = org.http.get("/training", params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
        seen += [row["title"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert sorted(seen) == [*titles, "Tone"]
    for query in ({"type": "BEHAVIORAL"}, {"directory_id": folder["id"]}, {"q": "kind"}):
        assert [row["title"] for row in org.http.get("/training", params=query).json()["items"]] == ["Tone"]
    for query in ({"type": "SOMETIMES"}, {"directory_id": "x"}, {"limit": "0"}, {"cursor": "!"}):
        assert org.http.get("/training", params=query).status_code == 422


def test_directories_are_made_renamed_and_removed(org: LabOrg) -> None:
    """Their scenarios stay, in none."""
    made = org.http.post("/training/directories", json={"name": "Money"})
    again = org.http.post("/training/directories", json={"name": "Money"})
    path = f"/training/directories/{made.json()['id']}"
    inside = add(org, directory_id=made.json()["id"])

    renamed = org.http.patch(path, json={"name": "Refunds"})
    listed = org.http.get("/training/directories").json()
    gone = org.http.delete(path)

    assert made.status_code == again.status_code == 201
    assert made.json()["id"] == again.json()["id"]
    assert renamed.json()["name"] == "Refunds"
    assert [row["name"] for row in listed["items"]] == ["Refunds"]
    assert gone.status_code == 204
    assert org.http.get(f"/training/{inside['id']}").json()["directory_id"] is None
    assert org.http.delete(path).status_code == 404


def test_the_same_key_makes_one_scenario(org: LabOrg) -> None:
    """Many at once get one answer; another body with the key is refused."""
    headers = {"Idempotency-Key": uuid4().hex}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: org.http.post("/training", json=REFUND, headers=headers), range(8)))
    other = org.http.post("/training", json=REFUND | {"title": "Other"}, headers=headers)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert other.status_code == 422
    assert len(org.http.get("/training").json()["items"]) == 1


def test_a_quota_of_scenarios_is_kept(lab: ApiLab, org: LabOrg) -> None:
    """One more than an org may have is refused with 429."""
    lab.services.limits.set_own({"scenarios": 1}, scope=OrgScope(org.id))
    add(org)

    refused = org.http.post("/training", json=REFUND)

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0


def test_lint_tells_what_is_in_its_own_way(org: LabOrg) -> None:
    """Two scenarios with the same words are found, with both ids."""
    first, second = add(org), add(org)

    report = org.http.post("/training/lint").json()

    assert report["scenarios"] == 2
    assert report["pages_checked"]
    assert {"duplicate"} <= {finding["kind"] for finding in report["findings"]}
    assert set(report["findings"][0]["scenario_ids"]) <= {first["id"], second["id"]}


def test_search_covers_training_and_knowledge(shop: LabOrg) -> None:
    """Scenarios and passages in one list, nearest first."""
    found = shop.http.post("/training/search", json={"query": "Shipping a chair costs nine euros", "limit": 3}).json()

    assert found["items"][0]["url"] == at("/shipping")
    assert {row["kind"] for row in found["items"]} <= {"scenario", "passage"}
    assert (found["next"], found["degraded"]) == (None, [])
    assert shop.http.post("/training/search", json={"query": " "}).status_code == 422


def test_a_briefing_holds_what_applies_and_what_is_known(shop: LabOrg) -> None:
    """Every field of the contract, and nothing else."""
    answer = shop.http.post("/retrieve", json={"message": QUESTION, "channel": "web"})

    briefing = BriefingBody.model_validate_json(answer.content)
    assert answer.status_code == 200
    assert briefing.answerable
    assert briefing.passages[0].url == at("/shipping")
    assert [row.title for row in briefing.behaviors] == ["Tone"]
    assert (briefing.trace, briefing.degraded) == (None, [])
    assert "nine euros" in briefing.prompt


def test_a_scenario_fires_by_meaning(shop: LabOrg) -> None:
    """With its score and what that had to reach."""
    briefing = shop.http.post("/retrieve", json={"message": "I want my money back"}).json()

    assert [row["title"] for row in briefing["scenarios"]] == ["Refund"]
    assert briefing["scenarios"][0]["score"] >= briefing["scenarios"][0]["threshold"]


def test_a_briefing_is_read_again_with_its_reasons(shop: LabOrg) -> None:
    """As it was given, with what was asked and until when it is kept."""
    given = shop.http.post("/retrieve", json={"message": QUESTION, "trace": True}).json()

    stored = shop.http.get(f"/retrieve/{given['id']}")

    again = StoredBriefingBody.model_validate_json(stored.content)
    assert stored.json().items() >= given.items()
    assert again.message == QUESTION
    assert again.kept_until > again.asked_at
    assert again.trace is not None


def test_a_follow_up_is_resolved_by_its_history(shop: LabOrg) -> None:
    """What was asked before is part of the question."""
    history = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Nine euros."}]

    briefing = shop.http.post("/retrieve", json={"message": "And how many days?", "history": history}).json()

    assert briefing["passages"][0]["url"] == at("/shipping")


def test_a_long_conversation_can_go_on(shop: LabOrg) -> None:
    """Neither its hundred-and-first turn nor a long one of the agent ends it."""
    turns = [{"role": "user", "content": "Hi"}] * 120 + [{"role": "assistant", "content": "y" * 9_000}]

    answer = shop.http.post("/retrieve", json={"message": QUESTION, "history": turns})

    assert answer.status_code == 200, answer.text


def test_filters_leave_only_what_they_allow(shop: LabOrg) -> None:
    """By beginning of the address, language and date."""
    whole = {"message": QUESTION}

    def urls(**filters: object) -> set[str]:
        found = shop.http.post("/retrieve", json=whole | {"filters": filters}).json()
        return {row["url"] for row in found["passages"]}

    assert urls(url_prefix=at("/shipping")) == {at("/shipping")}
    assert urls(url_prefix=at("/shipping").replace("shop", "SHOP")) == {at("/shipping")}
    assert urls(languages=["en-US"]) == urls(languages=["EN"]) == urls()
    assert urls(languages=["de"]) == set()
    assert urls(fetched_after="2099-01-01T00:00:00Z") == set()
    assert urls(languages=["en"], fetched_after="2020-01-01T00:00:00+02:00") == {at("/"), at("/shipping")}


@pytest.mark.parametrize(
    "fields",
    [
        {"message": ""},
        {"message": "x" * 8_001},
        {"top_k": 0},
        {"top_k": 51},
        {"max_tokens": 99},
        {"channel": "pigeon"},
        {"segments": [""]},
        {"language": "e"},
        {"history": [{"role": "king", "content": "x"}]},
        {"filters": {"url_prefix": "ftp://x"}},
        {"filters": {"datasource_ids": ["x"]}},
        {"filters": {"fetched_after": "2027-01-31"}},
        {"filters": {"colour": "red"}},
        {"message": float("nan")},
    ],
    ids=str,
)
def test_a_question_that_cannot_be_answered_is_refused(shop: LabOrg, fields: dict[str, object]) -> None:
    """With the field that is wrong; never with a 500."""
    import json  # noqa: PLC0415 - httpx would refuse to write NaN

    refused = shop.http.post("/retrieve", content=json.dumps({"message": QUESTION} | fields))

    assert refused.status_code in {400, 422}, refused.text


def test_another_orgs_website_is_no_filter(lab: ApiLab, shop: LabOrg, empty: LabOrg) -> None:
    """It is refused in the same words as one that never was."""
    theirs = lab.knowledge.services.crawls.list_datasources(scope=OrgScope(shop.id))[0].id
    nobodys = uuid4()

    def refused(datasource_id: object) -> dict[str, Any]:
        body = {"message": QUESTION, "filters": {"datasource_ids": [str(datasource_id)]}}
        answer = empty.http.post("/retrieve", json=body)
        assert answer.status_code == 422
        found: dict[str, Any] = answer.json()
        return found

    assert str(refused(theirs)).replace(str(theirs), str(nobodys)) == str(refused(nobodys))


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/retrieve", "search:read"),
        ("GET", f"/retrieve/{NOBODYS}", "search:read"),
        ("GET", "/training", "training:read"),
        ("POST", "/training/search", "training:read"),
        ("POST", "/training/lint", "training:read"),
        ("POST", "/training", "training:write"),
        ("DELETE", f"/training/{NOBODYS}", "training:write"),
        ("POST", f"/training/{NOBODYS}/publish", "training:write"),
    ],
)
def test_a_key_without_the_scope_is_refused(lab: ApiLab, empty: LabOrg, method: str, path: str, needed: str) -> None:
    """Each route needs its own; a partner's key works in no org."""
    every = {"training:read", "training:write", "search:read", "crawl:read"}
    without = lab.client(lab.org_key(empty.id, *sorted(every - {needed})))
    body = REFUND if path == "/training" else {"query": "x"} if "search" in path else {"message": "x"}

    refused = without.request(method, path, json=body)
    foreign = lab.partner.request(method, path, json=body)

    assert refused.status_code == foreign.status_code == 403
    assert needed in refused.text


def test_neither_a_model_nor_a_lock_holds_up_the_loop(
    lab: ApiLab, org: LabOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a model hangs and somebody else writes, whoever needs neither is answered."""
    held, model = threading.Event(), lab.knowledge.embedder
    computed = model.encode_query

    def slow(text: str) -> Any:  # noqa: ANN401 - a vector
        assert held.wait(60)
        return computed(text)

    monkeypatch.setattr(model, "encode_query", slow)
    with ThreadPoolExecutor(4) as pool:
        with lab.services.database.write() as session:
            session.connection()
            waiting = [
                pool.submit(org.http.post, "/training", json=REFUND),
                pool.submit(org.http.post, "/training/directories", json={"name": "Later"}),
            ]
            answers = [lab.anyone.get("/healthz") for _ in range(20)]
            were_waiting = [not one.done() for one in waiting]
        held.set()
        statuses = [one.result(60).status_code for one in waiting]

    assert {answer.status_code for answer in answers} == {200}
    assert were_waiting == [True, True]
    assert statuses == [201, 201]


def test_a_model_that_hangs_costs_a_briefing_its_patience(
    lab: ApiLab, shop: LabOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer names what it lacks, and the next ones do not wait again."""
    held, model = threading.Event(), lab.knowledge.embedder
    computed = model.encode_query

    def slow(text: str) -> Any:  # noqa: ANN401 - a vector
        assert held.wait(60)
        return computed(text)

    settings = lab.services.settings
    hasty = settings.retrieve.model_copy(update={"patience": timedelta(milliseconds=50)})
    monkeypatch.setattr(lab.services.answers, "_settings", settings.model_copy(update={"retrieve": hasty}))
    monkeypatch.setattr(lab.services.answers, "_outages", {part: Outage() for part in Part})
    monkeypatch.setattr(model, "encode_query", slow)
    first = shop.http.post("/retrieve", json={"message": QUESTION}).json()
    others = [shop.http.post("/retrieve", json={"message": QUESTION}).json() for _ in range(3)]
    held.set()

    assert [row["degraded"] for row in (first, *others)] == [["model"]] * 4
    assert first["passages"][0]["url"] == at("/shipping")
    assert [row["title"] for row in first["behaviors"]] == ["Tone"]
