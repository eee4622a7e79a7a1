"""How an org's work stands, what pages said, golden questions and files of scenarios, over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline.model import OrgScope
from pipeline.services.websites import NewDatasource
from tests.fakes.knowledge import Answer, at, walk
from tests.lab.api import ApiLab, LabOrg

NOBODYS = UUID(int=7)
SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody.</p>",
    "/returns": "<p>Send it back within thirty days and get your money.</p>",
}
LATER = SHOP | {"/returns": "<p>Send it back within ninety days and get a voucher.</p>"}
QUESTION = {"question": "Can I send it back?", "texts": ["ninety days"]}


@pytest.fixture(scope="module")
def shop(lab: ApiLab) -> LabOrg:
    """An org whose website was crawled twice, and changed between."""
    org = lab.org("Shop")
    lab.knowledge.crawl(SHOP, scope=OrgScope(org.id))
    lab.knowledge.clock.forward(days=1)
    lab.knowledge.crawl(LATER, scope=OrgScope(org.id))
    return org


@pytest.fixture
def org(lab: ApiLab) -> LabOrg:
    """An org that has nothing."""
    return lab.org(f"Org {uuid4().hex[:8]}")


def found(org: LabOrg, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
    """What a route answers with 200."""
    answer = org.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def page_of(org: LabOrg, path: str = "/returns") -> dict[str, Any]:
    """A page, by its URL."""
    page: dict[str, Any] = found(org, "/pages/find", url=at(path))
    return page


def test_pages_of_all_websites_are_listed_found_and_explained(shop: LabOrg) -> None:
    """In the order of their addresses, a piece at a time; one by any spelling of its URL."""
    first = found(shop, "/pages", limit=1)
    second = found(shop, "/pages", limit=1, cursor=first["next"])
    page = found(shop, "/pages/find", url="HTTPS://SHOP.example/returns#now")
    why = found(shop, "/pages/why", url=at("/nowhere"))

    assert [first["items"][0]["url"], second["items"][0]["url"], second["next"]] == [at("/"), at("/returns"), None]
    assert (page["url"], "ninety" in page["markdown"], page["dropped"]) == (at("/returns"), True, [])
    assert why["is_known"] is False
    assert shop.http.get("/pages/find", params={"url": at("/nowhere")}).status_code == 404
    assert shop.http.get("/pages/find", params={"url": "no address"}).status_code in {404, 422}
    assert shop.http.get("/pages", params={"cursor": "made up"}).status_code == 422


def test_a_page_tells_what_it_said_and_goes_back_to_it(lab: ApiLab) -> None:
    """From the commit on, until its website says something new."""
    org = lab.org("Goes back")
    lab.knowledge.crawl(SHOP, scope=OrgScope(org.id))
    then = lab.knowledge.clock.now
    lab.knowledge.clock.forward(days=1)
    lab.knowledge.crawl(LATER, scope=OrgScope(org.id))
    page = page_of(org)
    path = f"/crawl/{page['datasource_id']}/pages/{page['id']}"

    history = found(org, f"{path}/history")
    said = found(org, f"{path}/said", on=then.isoformat())
    before = found(org, f"{path}/said", on="2020-01-01T00:00:00Z")
    done = org.http.post(f"{path}/rollback", json={"version": 1})

    assert [one["number"] for one in history["versions"]] == [2, 1]
    assert history["versions"][0]["served"][0]["until"] is None
    assert ("thirty" in said["markdown"], said["number"], before["number"]) == (True, 1, None)
    assert (done.status_code, done.json()) == (200, {"changed": 1, "left": 0, "waiting": 0})
    assert "thirty" in page_of(org)["markdown"]
    assert org.http.get(f"{path}/said", params={"on": "2020-01-01"}).status_code == 422
    for verb, last, body in (("GET", "history", None), ("GET", "said?on=2020-01-01T00:00:00Z", None)):
        assert org.http.request(verb, f"{path[:-36]}{NOBODYS}/{last}", json=body).status_code == 404
    assert org.http.post(f"{path}/rollback", json={"version": 9}).status_code == 404
    assert org.http.post(f"{path}/rollback", json={"version": 0}).status_code == 422


def test_a_website_goes_back_to_a_crawl(lab: ApiLab) -> None:
    """Every page with its text of then; a crawl that runs is 409."""
    org = lab.org("Goes back whole")
    scope = OrgScope(org.id)
    first = lab.knowledge.crawl(SHOP, scope=scope)
    lab.knowledge.clock.forward(days=1)
    lab.knowledge.crawl(LATER, scope=scope)
    path = f"/crawl/{first.datasource_id}/crawls"

    listed = found(org, "/jobs")["items"]
    done = org.http.post(f"{path}/{first.id}/rollback")
    running = org.http.post(path).json()

    assert [job["id"] for job in listed][1:] == [str(first.id)]
    assert (done.status_code, done.json()["changed"]) == (200, 1)
    assert found(org, f"/jobs/{first.id}")["new_pages"] == 2
    assert org.http.post(f"{path}/{running['id']}/rollback").status_code == 409
    assert org.http.post(f"{path}/{NOBODYS}/rollback").status_code == 404
    assert org.http.get(f"/jobs/{NOBODYS}").status_code == 404


def test_an_org_sees_how_its_own_work_stands(lab: ApiLab, org: LabOrg, shop: LabOrg) -> None:
    """What waits, what comes next; nothing of another org's, and no machine."""
    scope = OrgScope(org.id)
    lab.services.crawls.add(NewDatasource("https://waits.example/", crawl_interval_hours=24), scope=scope)
    (website,) = found(org, "/crawl")["items"]
    job = org.http.post(f"/crawl/{website['id']}/crawls").json()
    lab.services.operations.enter("crawl", sends_ticks=False)

    status, other = found(org, "/status"), found(shop, "/status")
    (schedule,) = found(org, "/schedules")["items"]

    crawl, index = status["queues"]
    assert (crawl["name"], crawl["waiting"], crawl["is_heard"]) == ("crawl", 1, True)
    assert (index["name"], index["waiting"]) == ("index", 0)
    assert [one["id"] for one in status["running"]] == [job["id"]]
    assert status["schedules"]["active"] == 1
    assert (other["running"], other["queues"][0]["waiting"]) == ([], 0)
    assert (schedule["every_hours"], schedule["running_crawl"]) == (24, job["id"])
    assert found(org, "/schedules/next") == {"items": found(org, "/schedules/next")["items"], "next": None}


def test_dead_letters_are_listed_shown_and_put_back(lab: ApiLab, org: LabOrg) -> None:
    """One, or those of a cause; twice is the same as once."""
    scope = OrgScope(org.id)
    for name in ("one", "two"):
        source = lab.services.crawls.add(NewDatasource(f"https://{name}.example/"), scope=scope)
        ledger, _ = lab.knowledge.hold(lab.services.crawls.start(source.id, scope=scope).id, scope=scope)
        walk(ledger, {}, lab.knowledge.clock)
    lab.knowledge.clock.forward(minutes=1)

    first, second = found(org, "/dead-letters", cause="unreadable")["items"]
    once = org.http.post(f"/dead-letters/{first['id']}/redrive").json()
    twice = org.http.post(f"/dead-letters/{first['id']}/redrive").json()
    rest = org.http.post("/dead-letters/redrive", json={"cause": "unreadable"}).json()

    assert found(org, f"/dead-letters/{second['id']}")["stands"] is False
    assert (once, twice) == (
        {"pages": 0, "crawls": 1, "passed_over": 0},
        {"pages": 0, "crawls": 0, "passed_over": 1},
    )
    assert rest == once
    assert found(org, "/dead-letters") == {"items": [], "next": None}
    assert org.http.get(f"/dead-letters/{NOBODYS}").status_code == 404
    assert org.http.post(f"/dead-letters/{NOBODYS}/redrive").status_code == 404
    assert org.http.post("/dead-letters/redrive", json={"cause": ""}).status_code == 422


def test_stored_pages_are_read_again_on_demand(shop: LabOrg) -> None:
    """Begun, told of, and stopped."""
    begun = shop.http.post("/rederive")
    status = found(shop, "/rederive")
    ended = shop.http.delete("/rederive")

    assert (begun.status_code, begun.json()["live"]) == (202, 2)
    assert status["since"] is not None
    assert (ended.status_code, ended.json()["since"]) == (200, None)


def test_golden_questions_are_kept_asked_and_compared(lab: ApiLab) -> None:
    """Stored ones are compared with the last time; those of a request are not kept."""
    org = lab.org("Golden")
    lab.knowledge.crawl(LATER, scope=OrgScope(org.id))

    made = org.http.post("/evaluation/questions", json=QUESTION)
    reports = [org.http.post("/evaluation", json={}).json() for _ in range(2)]
    own = org.http.post("/evaluation", json={"questions": [QUESTION, QUESTION | {"texts": ["a thousand"]}]}).json()
    imported = org.http.post("/evaluation/questions/import", json={"questions": [QUESTION], "replace": True}).json()

    assert made.status_code == 201
    assert (reports[0]["score"], reports[0]["then"], reports[1]["then"]) == (1.0, None, 1.0)
    assert [one["scored"]["score"] for one in own["questions"]] == [1.0, 0.0]
    assert len(found(org, "/evaluation/history")["items"]) == 2
    assert imported == {"added": 0, "changed": 1, "removed": 0}
    assert [one["question"] for one in found(org, "/evaluation/questions")["items"]] == [QUESTION["question"]]
    assert org.http.delete(f"/evaluation/questions/{made.json()['id']}").status_code == 204
    assert org.http.delete(f"/evaluation/questions/{made.json()['id']}").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/evaluation/questions", {"question": "Why?"}),
        ("/evaluation/questions", {"question": " ", "no_answer": True}),
        ("/evaluation/questions", {"question": "Why?", "no_answer": True, "texts": ["so"]}),
        ("/evaluation/questions/import", {"questions": [{"question": "Why?", "urls": ["no address at all"]}]}),
        ("/evaluation", {"questions": [{"question": "Why?"}]}),
        ("/training/import", {"text": "- title: x", "format": "yaml"}),
        ("/training/import", {"text": "- &a {title: x}\n- *a"}),
        ("/training/import", {"text": "x", "format": "xml"}),
    ],
)
def test_what_cannot_be_asked_or_stored_is_refused(org: LabOrg, path: str, body: dict[str, Any]) -> None:
    """With 422, and nothing is kept."""
    refused = org.http.post(path, json=body)

    assert refused.status_code == 422, refused.text
    assert found(org, "/evaluation/questions")["items"] == found(org, "/training")["items"] == []


def test_scenarios_leave_and_come_as_a_file(lab: ApiLab, org: LabOrg) -> None:
    """All or none, within the quota; a file that was imported changes nothing the second time."""
    text = "- title: Refund\n  content: Offer a voucher.\n  triggers: [I want my money back]\n  directory: Money\n"
    rehearsed = org.http.post("/training/import", json={"text": text, "dry_run": True}).json()
    nothing = found(org, "/training")["items"]
    done = org.http.post("/training/import", json={"text": text}).json()
    again = org.http.post("/training/import", json={"text": text}).json()
    exported = found(org, "/training/export", format="csv")
    lab.services.limits.set_own({"scenarios": 2}, scope=OrgScope(org.id))
    two = "".join(f"- title: New {number}\n  content: Say so.\n" for number in range(2))
    refused = LabOrg(org.id, "", lab.client(lab.org_key(org.id))).http.post("/training/import", json={"text": two})

    assert rehearsed == done == {"created": ["Refund"], "updated": [], "unchanged": []}
    assert (nothing, again["unchanged"]) == ([], ["Refund"])
    assert (exported["format"], "I want my money back" in exported["text"]) == ("csv", True)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_reached")
    assert [one["title"] for one in found(org, "/training")["items"]] == ["Refund"]


def test_a_published_file_applies_to_the_next_message(lab: ApiLab, org: LabOrg) -> None:
    """From the commit on."""
    lab.knowledge.crawl(SHOP, scope=OrgScope(org.id))
    text = "- title: Refund\n  content: Offer a voucher.\n  triggers: [I want my money back]\n"

    org.http.post("/training/import", json={"text": text}).raise_for_status()
    briefing = org.http.post("/retrieve", json={"message": "I want my money back"}).json()

    assert [fired["title"] for fired in briefing["scenarios"]] == ["Refund"]


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/status"),
        ("GET", "/schedules"),
        ("GET", "/schedules/next"),
        ("GET", "/dead-letters"),
        ("POST", "/dead-letters/redrive"),
        ("GET", "/rederive"),
        ("POST", "/rederive"),
        ("DELETE", "/rederive"),
        ("GET", "/jobs"),
        ("GET", "/pages"),
        ("GET", "/pages/why?url=x"),
        ("GET", "/evaluation/questions"),
        ("GET", "/evaluation/history"),
        ("POST", "/evaluation"),
        ("GET", "/training/export"),
        ("POST", "/training/import"),
    ],
)
def test_keys_that_reach_less_are_refused(lab: ApiLab, org: LabOrg, verb: str, path: str) -> None:
    """No key is 401; a partner's, and an org's without the scope, 403."""
    narrow = lab.client(lab.org_key(org.id, "search:read"))

    assert lab.anyone.request(verb, path).status_code == 401
    assert lab.partner.request(verb, path, json={}).status_code == 403
    assert narrow.request(verb, path, json={}).status_code == 403


def test_what_was_done_is_in_the_audit(org: LabOrg) -> None:
    """By its name, with what it was refused for."""
    org.http.post("/rederive")
    org.http.post("/evaluation/questions", json=QUESTION)
    org.http.post(f"/dead-letters/{NOBODYS}/redrive")

    entries = {entry["action"]: entry["result"] for entry in found(org, "/audit")["items"]}

    assert entries["rereading.start"] == entries["question.create"] == "done"
    assert entries["dead_letter.redrive"] == "dead_letter_not_found"


def test_a_website_takes_in_other_hosts_and_documents(org: LabOrg) -> None:
    """Said when it is added, shown, and changed."""
    body = {
        "url": "https://wide.example/",
        "subdomains": True,
        "extra_hosts": ["help.example.org"],
        "documents": True,
        "auto_start_crawl": False,
    }
    made = org.http.post("/crawl", json=body)
    changed = org.http.patch(f"/crawl/{made.json()['id']}", json={"extra_hosts": [], "documents": False})

    assert made.status_code == 201, made.text
    assert {name: made.json()[name] for name in ("subdomains", "extra_hosts", "documents")} == {
        "subdomains": True,
        "extra_hosts": ["help.example.org"],
        "documents": True,
    }
    assert (changed.json()["extra_hosts"], changed.json()["documents"]) == ([], False)
    assert org.http.post("/crawl", json=body | {"url": "https://x.example/", "extra_hosts": ["*"]}).status_code == 422
