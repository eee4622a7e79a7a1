"""Websites, crawls and pages over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from pipeline.model import OrgScope, Reason
from pipeline.preview import Look, PreviewExample, PreviewPage, PreviewRefusal
from tests.fakes.knowledge import SITE, at, walk
from tests.integration.test_datasources import TEXTS
from tests.lab.api import ApiLab, LabOrg

JOB = {
    *("id", "datasource_id", "status", "trigger", "started_at", "completed_at", "total_pages", "completed_pages"),
    *("new_pages", "updated_pages", "removed_pages", "unchanged_pages", "failed_pages", "held_pages"),
    *("limit_reached", "error_message", "created_at", "updated_at"),
    *("fetched_pages", "refused_pages", "waiting_pages", "not_due_pages", "pending_pages", "chunks", "embedded_chunks"),
    *("current_url", "attempts", "refusals", "failures"),
}
DATASOURCE = {
    *("id", "url", "display_name", "status", "page_limit", "exclude_paths", "include_paths", "crawl_interval_hours"),
    *("render_js", "sitemap_urls", "next_crawl_at", "last_crawl_started_at", "last_crawl_completed_at"),
    *("error_message", "created_at", "updated_at", "page_stats", "active_crawl_job"),
    *("documents", "subdomains", "extra_hosts"),
}
PAGE = {
    *("id", "url", "canonical_url", "title", "language", "status", "reason", "http_status", "chunks", "fetched_at"),
    *("changed_at", "next_fetch_at", "version", "datasource_id", "detail", "target"),
}


@pytest.fixture
def org(lab: ApiLab) -> LabOrg:
    """An org of this test's own."""
    return lab.org()


def added(org: LabOrg, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the API takes
    """A website of the org's."""
    made = org.http.post("/crawl", json={"url": SITE, **fields})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


def crawled(lab: ApiLab, org: LabOrg, site: dict[str, str] | None = None) -> dict[str, Any]:
    """A website that was crawled and indexed, as the API shows it."""
    scope = OrgScope(org.id)
    source = added(org)
    ledger, _ = lab.knowledge.hold(UUID(source["active_crawl_job"]["id"]), scope=scope)
    walk(ledger, site or TEXTS, lab.knowledge.clock)
    lab.knowledge.index()
    lab.knowledge.clock.forward(seconds=1)
    shown: dict[str, Any] = org.http.get(f"/crawl/{source['id']}").json()
    return shown


def listed(org: LabOrg, path: str, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any filter
    """Every item of a list, fetched two at a time."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        told = org.http.get(path, params={"limit": 2, **params, **({"cursor": cursor} if cursor else {})})
        assert told.status_code == 200, told.text
        items += told.json()["items"]
        cursor = told.json()["next"]
        if cursor is None:
            return items


def told_wrong(response: httpx.Response, field: str) -> dict[str, Any]:
    """What a refusal tells of this field."""
    assert response.status_code == 422, response.text
    assert set(response.json()) == {"statusCode", "error", "message", "code", "details"}
    details: list[dict[str, Any]] = response.json()["details"]
    return next(detail for detail in details if detail["field"].rpartition("body.")[2].split(".")[0] == field)


def test_a_website_is_added_with_the_defaults_of_the_contract(org: LabOrg) -> None:
    """Every field of the contract, its first crawl among them."""
    made = added(org)

    assert set(made) == DATASOURCE
    assert (made["url"], made["display_name"], made["status"]) == (SITE, "shop.example", "active")
    assert (made["page_limit"], made["crawl_interval_hours"], made["render_js"]) == (100, 168, "never")
    assert made["include_paths"] == made["exclude_paths"] == made["sitemap_urls"] == []
    assert made["page_stats"] == {"total": 0, "synced": 0, "pending": 0, "error": 0, "excluded": 0}
    assert set(made["active_crawl_job"]) == JOB
    assert made["active_crawl_job"]["status"] == "pending"
    assert made == org.http.get(f"/crawl/{made['id']}").json()


def test_a_website_is_added_once(org: LabOrg) -> None:
    """Asked again with the same Idempotency-Key it is the same answer; without, a conflict that names the first."""
    key = {"Idempotency-Key": str(uuid4())}
    body = {"url": SITE, "auto_start_crawl": False, "page_limit": None, "crawl_interval_hours": None}

    first, second = (org.http.post("/crawl", json=body, headers=key) for _ in range(2))
    other = org.http.post("/crawl", json=body)

    assert (first.status_code, second.status_code, other.status_code) == (201, 201, 409)
    assert first.json() == second.json()
    assert first.json()["active_crawl_job"] is None
    assert (first.json()["page_limit"], first.json()["next_crawl_at"]) == (None, None)
    assert other.json()["code"] == "datasource_exists"
    assert {"field": "datasource", "given": first.json()["id"]}.items() <= other.json()["details"][-1].items()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "x" * 2_049}, "url"),
        ({"sitemap_urls": ["http://[::1]/sitemap.xml"]}, "sitemap_urls"),
        ({"page_limit": 0}, "page_limit"),
        ({"page_limit": 5_001}, "page_limit"),
        ({"crawl_interval_hours": 23}, "crawl_interval_hours"),
        ({"exclude_paths": ["/a"] * 51}, "exclude_paths"),
        ({"exclude_paths": ["re:["]}, "exclude_paths"),
        ({"include_paths": ["/" + "a" * 500]}, "include_paths"),
        ({"render_js": "sometimes"}, "render_js"),
        ({"display_name": ""}, "display_name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(org: LabOrg, given: dict[str, Any], field: str) -> None:
    """What was given and what is allowed, whether it is added, looked at or changed; nothing is stored."""
    refused = [org.http.post(path, json={"url": SITE, **given}) for path in ("/crawl", "/crawl/preview")]

    for response in refused:
        told = told_wrong(response, field)
        assert told["given"] is not None
        assert told["allowed"]
    assert listed(org, "/crawl") == []


def test_a_change_names_only_what_changes_and_rules_work_at_once(lab: ApiLab, org: LabOrg) -> None:
    """Pages that are left out answer no more, without a crawl, and come back when the rule goes."""
    source = crawled(lab, org)
    path = f"/crawl/{source['id']}"

    out = org.http.patch(path, json={"exclude_paths": ["/docs/*"], "display_name": "Lamps"})
    why = org.http.get(f"{path}/why", params={"url": at("/docs/oil")})
    lab.knowledge.clock.forward(seconds=1)
    back = org.http.patch(path, json={"exclude_paths": [], "status": "paused"})
    wrong = org.http.patch(path, json={"page_limit": 9_999})

    assert (source["page_stats"]["synced"], source["active_crawl_job"]) == (4, None)
    assert out.status_code == 200
    assert out.json()["page_stats"] == {"total": 4, "synced": 2, "pending": 0, "error": 0, "excluded": 2}
    assert (out.json()["display_name"], out.json()["page_limit"]) == ("Lamps", 100)
    assert (why.json()["is_known"], why.json()["reason"]) == (False, "excluded_rule")
    assert (back.json()["status"], back.json()["display_name"]) == ("paused", "Lamps")
    assert back.json()["page_stats"]["synced"] == 4
    assert told_wrong(wrong, "page_limit")["given"] == 9_999


def test_a_website_is_deleted_and_its_rows_follow(lab: ApiLab, org: LabOrg) -> None:
    """It is not found any more, and its address is free."""
    source = crawled(lab, org)

    gone = org.http.delete(f"/crawl/{source['id']}")
    after = org.http.get(f"/crawl/{source['id']}")
    lab.services.upkeep.tick()

    assert (gone.status_code, gone.json()) == (202, {"id": source["id"], "status": "deleting"})
    assert (after.status_code, after.json()["code"]) == (404, "datasource_not_found")
    assert lab.knowledge.store.count(scope=OrgScope(org.id)) == 0
    assert added(org)["id"] != source["id"]


def test_crawls_are_started_shown_and_ended(org: LabOrg) -> None:
    """One at a time: the second start is told which one runs."""
    path = f"/crawl/{added(org, auto_start_crawl=False)['id']}/crawls"

    with ThreadPoolExecutor(2) as both:
        started, refused = sorted(both.map(lambda _: org.http.post(path), range(2)), key=lambda one: one.status_code)
    job = started.json()
    shown = org.http.get(f"{path}/{job['id']}")
    ended = org.http.post(f"{path}/{job['id']}/cancel")
    twice = org.http.post(f"{path}/{job['id']}/cancel")

    assert (started.status_code, refused.status_code) == (202, 409)
    assert set(job) == JOB
    assert (job["status"], job["trigger"]) == ("pending", "api")
    assert refused.json()["code"] == "crawl_already_running"
    assert {"field": "crawl", "given": job["id"]}.items() <= refused.json()["details"][0].items()
    assert shown.json() == job
    assert (ended.status_code, ended.json()["status"]) == (202, "cancelled")
    assert (twice.status_code, twice.json()) == (202, ended.json())
    assert [one["id"] for one in listed(org, path)] == [job["id"]]


@pytest.mark.parametrize(("decision", "left"), [("reject", len(TEXTS) + 6), ("approve", 1)])
def test_what_a_crawl_holds_is_approved_or_rejected(lab: ApiLab, org: LabOrg, decision: str, left: int) -> None:
    """Until then the old text serves; a crawl that holds nothing has nothing to decide."""
    site = TEXTS | {f"/{n}": f"<p>Lamp{n} is blue{n} wide{n} old{n} so{n} and sold{n}.</p>" for n in range(6)}
    source = crawled(lab, org, site)
    path = f"/crawl/{source['id']}/crawls"
    jobs = []
    for _ in range(2):
        lab.knowledge.clock.forward(hours=24)
        job = org.http.post(path).json()
        ledger, _ = lab.knowledge.hold(UUID(job["id"]), scope=OrgScope(org.id))
        walk(ledger, {"/": TEXTS["/"]}, lab.knowledge.clock)
        lab.knowledge.index()
        jobs.append(job["id"])

    held = org.http.get(f"{path}/{jobs[-1]}").json()
    nothing = org.http.post(f"{path}/{jobs[0]}/approve")
    before = org.http.get(f"/crawl/{source['id']}").json()["page_stats"]["synced"]
    decided = org.http.post(f"{path}/{jobs[-1]}/{decision}")
    again = org.http.post(f"{path}/{jobs[-1]}/approve")

    assert held["held_pages"] > 0
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_held")
    assert (decided.status_code, decided.json()["held_pages"]) == (200, 0)
    assert again.status_code == 409
    assert before == len(site)
    assert org.http.get(f"/crawl/{source['id']}").json()["page_stats"]["synced"] == left


def test_pages_are_listed_in_pieces_and_narrowed(lab: ApiLab, org: LabOrg) -> None:
    """In the order of their addresses, each once."""
    path = f"/crawl/{crawled(lab, org)['id']}/pages"

    every = listed(org, path)

    assert [page["url"] for page in every] == sorted(at(one) for one in TEXTS)
    assert all(set(page) == PAGE for page in every)
    assert {page["status"] for page in every} == {"synced"}
    assert [page["url"] for page in listed(org, path, q="oil")] == [at("/docs/oil")]
    assert len(listed(org, path, language="en")) == len(TEXTS)
    assert listed(org, path, language="de") == listed(org, path, status="error") == []
    assert org.http.get(path, params={"status": "lost"}).status_code == 422
    assert org.http.get(path, params={"cursor": "bm9uc2Vuc2U="}).json()["details"][0]["field"] == "cursor"


def test_a_page_shows_its_text_and_its_versions(lab: ApiLab, org: LabOrg) -> None:
    """And what may be done to it works from the answer on."""
    path = f"/crawl/{crawled(lab, org)['id']}/pages"
    (oil,) = listed(org, path, q="/docs/oil")
    one = f"{path}/{oil['id']}"

    shown = org.http.get(one).json()
    out = org.http.post(f"{one}/exclude")
    back = org.http.post(f"{one}/include")
    again = org.http.post(f"{one}/resync")
    gone = org.http.delete(one)

    assert "Whale oil was replaced" in shown["markdown"]
    assert [(version["number"], version["is_live"]) for version in shown["versions"]] == [(1, True)]
    assert shown.items() >= oil.items()
    assert (out.status_code, out.json()["reason"]) == (200, "excluded_manually")
    assert (back.status_code, back.json()["reason"]) == (200, "synced")
    assert (again.status_code, again.json()["next_fetch_at"]) == (202, None)
    assert (gone.status_code, gone.content) == (204, b"")
    assert org.http.get(one).status_code == 404


def test_many_pages_are_acted_on_together(lab: ApiLab, org: LabOrg) -> None:
    """By their ids or as a list is narrowed; never by both, by neither, or all by mistake."""
    path = f"/crawl/{crawled(lab, org)['id']}/pages"
    docs = [page["id"] for page in listed(org, path, q="/docs/")]
    bulk = f"{path}/bulk"

    by_filter = org.http.post(bulk, json={"action": "exclude", "filter": {"q": "/docs/"}})
    by_id = org.http.post(bulk, json={"action": "include", "page_ids": docs})
    foreign = org.http.post(bulk, json={"action": "delete", "page_ids": [*docs, str(uuid4())]})
    choices: list[dict[str, Any]] = [
        {},
        {"filter": {}},
        {"page_ids": docs, "filter": {"q": "a"}},
        {"page_ids": []},
    ]
    wrong = [org.http.post(bulk, json={"action": "exclude", **choice}) for choice in choices]

    assert (by_filter.status_code, by_filter.json()) == (200, {"action": "exclude", "pages": 2})
    assert by_id.json() == {"action": "include", "pages": 2}
    assert (foreign.status_code, foreign.json()["code"]) == (404, "page_not_found")
    assert [response.status_code for response in wrong] == [422] * 4
    assert len(listed(org, path, status="synced")) == len(TEXTS)


def test_nobody_finds_what_is_another_org_s(lab: ApiLab, org: LabOrg) -> None:
    """Every path with another's ids says not found, exactly as for ids of nobody; nothing changes."""
    source = crawled(lab, org)
    site, page = source["id"], listed(org, f"/crawl/{source['id']}/pages")[0]["id"]
    job = listed(org, f"/crawl/{site}/crawls")[0]["id"]
    other = lab.org("Other")
    own = added(other)["id"]
    bulk = {"json": {"action": "exclude", "page_ids": [page]}}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/crawl/{site}", {}),
        ("PATCH", f"/crawl/{site}", {"json": {"page_limit": 1}}),
        ("DELETE", f"/crawl/{site}", {}),
        ("POST", f"/crawl/{site}/crawls", {}),
        ("GET", f"/crawl/{site}/crawls", {}),
        ("GET", f"/crawl/{site}/pages", {}),
        ("GET", f"/crawl/{site}/why", {"params": {"url": SITE}}),
        ("POST", f"/crawl/{site}/pages/bulk", bulk),
        ("POST", f"/crawl/{own}/pages/bulk", bulk),
        *(("POST", f"/crawl/{of}/crawls/{job}/{verb}", {}) for of in (site, own) for verb in ("cancel", "approve")),
        *(("POST", f"/crawl/{of}/crawls/{job}/reject", {}) for of in (site, own)),
        *(("GET", f"/crawl/{of}/crawls/{job}", {}) for of in (site, own)),
        *(
            ("POST", f"/crawl/{of}/pages/{page}/{verb}", {})
            for of in (site, own)
            for verb in ("exclude", "include", "resync")
        ),
        *((verb, f"/crawl/{of}/pages/{page}", {}) for of in (site, own) for verb in ("GET", "DELETE")),
    ]

    answers = [(method, path, other.http.request(method, path, **rest)) for method, path, rest in asked]

    for method, path, answer in answers:
        assert answer.status_code == 404, (method, path, answer.text)
        assert "shop" not in answer.text.lower()
    assert org.http.get(f"/crawl/{site}").json() == source


def test_a_key_needs_the_scope_and_the_kind(lab: ApiLab, org: LabOrg) -> None:
    """Reading allows no writing; a partner key and no key at all are refused."""
    reads = lab.client(lab.org_key(org.id, "crawl:read"))
    source = added(org)["id"]

    may = reads.get(f"/crawl/{source}")
    may_not = [
        reads.post("/crawl", json={"url": SITE}),
        reads.delete(f"/crawl/{source}"),
        reads.post(f"/crawl/{source}/crawls"),
        reads.post("/crawl/preview", json={"url": SITE}),
        reads.post(f"/crawl/{source}/pages/bulk", json={"action": "exclude", "filter": {"q": "a"}}),
        lab.client(lab.org_key(org.id, "crawl:write")).get("/crawl"),
        lab.partner.get("/crawl"),
    ]

    assert may.status_code == 200
    assert [response.status_code for response in may_not] == [403] * 7
    assert lab.anyone.get("/crawl").status_code == 401


def test_an_erased_org_is_refused_and_gone(lab: ApiLab, org: LabOrg) -> None:
    """Its key, its partner's view of it, its name; what it was called by is free again."""
    crawled(lab, org)
    lab.partner.patch(f"/partner/v1/orgs/{org.id}", json={"external_id": "again"})

    erased = lab.partner.delete(f"/partner/v1/orgs/{org.id}")
    twice = lab.partner.delete(f"/partner/v1/orgs/{org.id}")
    fresh = lab.client(org.key)
    lab.services.upkeep.tick()
    refused = fresh.get("/crawl")

    assert (erased.status_code, erased.json()) == (202, {"id": str(org.id), "status": "erasing"})
    assert twice.status_code == 404
    assert refused.status_code == 401
    assert lab.partner.get(f"/partner/v1/orgs/{org.id}").status_code == 404
    assert lab.org("Shop", external_id="again").id != org.id
    assert lab.knowledge.store.count(scope=OrgScope(org.id)) == 0
    assert org.id not in lab.services.erasure.waiting()


class Looked:
    """A look at a website that found two pages and one it may not read."""

    def look(self, plan: Mapping[str, object], **_: object) -> Look:
        """What it found, whatever was asked."""
        refusal = PreviewRefusal(Reason.ROBOTS, 1, (PreviewExample(at("/private"), "robots.txt"),))
        pages = (PreviewPage(str(plan["start_url"]), "Lamps", 90), PreviewPage(at("/oil"), "Oil", 110))
        return Look(pages=pages, refusals=(refusal,), found=3, visited=2, robots_status=200, seconds=0.5)


def test_a_website_is_looked_at_before_it_is_added(lab: ApiLab, org: LabOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first pages, why others are left out, what to expect; and nothing of it is stored."""
    monkeypatch.setitem(vars(lab.services), "_previewer", Looked())

    seen = org.http.post("/crawl/preview", json={"url": SITE, "page_limit": 50, "pages": 5, "seconds": 3})

    assert seen.status_code == 200, seen.text
    told = seen.json()
    assert [page["url"] for page in told["pages"]] == [SITE, at("/oil")]
    assert [(one["reason"], one["count"], one["examples"][0]["detail"]) for one in told["refusals"]] == [
        ("robots", 1, "robots.txt")
    ]
    assert (told["page_limit"], told["pages_expected"], told["is_exact"]) == (50, 2, True)
    assert listed(org, "/crawl") == []


class LooksLong(Looked):
    """A look that lasts until it may end."""

    def __init__(self) -> None:
        self.began, self.may_end = Event(), Event()

    def look(self, plan: Mapping[str, object], **asked: object) -> Look:
        """What it found, late."""
        self.began.set()
        self.may_end.wait(60)
        return super().look(plan, **asked)


def test_previews_keep_nobody_waiting(lab: ApiLab, org: LabOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are open: other requests have threads of their own, and each preview gets its turn."""
    looks = LooksLong()
    monkeypatch.setitem(vars(lab.services), "_previewer", looks)
    many = lab.knowledge.settings.api.threads + 1

    def preview() -> int:
        return lab.client(org.key).post("/crawl/preview", json={"url": SITE, "seconds": 60}).status_code

    with ThreadPoolExecutor(many) as threads:
        previews = [threads.submit(preview) for _ in range(many)]
        assert looks.began.wait(60)
        meanwhile = org.http.post("/retrieve", json={"message": "Do you sell lamps?"}).status_code
        open_still = [one.done() for one in previews]
        looks.may_end.set()

    assert (meanwhile, open_still) == (200, [False] * many)
    assert [one.result() for one in previews] == [200] * many


def test_an_org_has_as_many_websites_as_it_may(lab: ApiLab, org: LabOrg) -> None:
    """One more is refused, and says when to ask again; a deleted one makes room."""
    lab.services.limits.set_own({"datasources": 1}, scope=OrgScope(org.id))
    first = added(org)

    refused = org.http.post("/crawl", json={"url": "https://other.example/"})
    org.http.delete(f"/crawl/{first['id']}")
    second = org.http.post("/crawl", json={"url": "https://other.example/"})

    assert (refused.status_code, refused.json()["code"]) == (429, "quota_reached")
    assert int(refused.headers["Retry-After"]) > 0
    assert second.status_code == 201


def test_a_crawl_is_accepted_while_the_broker_is_away(lab: ApiLab, org: LabOrg) -> None:
    """The next tick tells a worker of it."""
    source = added(org, auto_start_crawl=False)
    lab.knowledge.hints.is_away = True
    started = org.http.post(f"/crawl/{source['id']}/crawls")
    lab.knowledge.hints.is_away = False

    lab.services.upkeep.tick()

    assert started.status_code == 202
    assert ("crawl", UUID(started.json()["id"])) in lab.knowledge.hints.sent
