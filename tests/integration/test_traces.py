"""One trace from a request to what becomes searchable, through real processes, as a collector sees it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from pipeline.adapters.sockets import socket_path
from pipeline.owner.broker import broker_program, wait_until_ready
from pipeline.owner.processes import Supervisor
from tests.lab import LabSite
from tests.lab.api_process import api_process
from tests.lab.collector import Collector, SeenSpan
from tests.lab.embedded import Embedded, quick_settings
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.waiting import eventually

ANSWER_SECONDS = 60
CANARY = "xylophonecanary"
TRACE, CALLER = uuid4().hex, uuid4().hex[:16]
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@dataclass(frozen=True, slots=True)
class Traced:
    """A Sitewise whose processes send their traces to a collector: workers, and an API in a process of its own."""

    collector: Collector
    sitewise: Embedded
    site: LabSite
    http: httpx.Client
    log: Path

    def lines(self) -> list[Mapping[str, object]]:
        """What the API has logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def crawl(self, client: httpx.Client, headers: Mapping[str, str]) -> str:
        """Start a crawl over HTTP and wait until its trace is whole. The trace's id."""
        self.site.page(f"/{uuid4().hex}", text=f"{CANARY} kayaks and paddles for people who like cold water.")
        added = client.post("/crawl", json={"url": f"{self.site.url}/?secret={CANARY}{uuid4().hex}"}, headers=headers)
        assert added.status_code == 201, added.text
        job = f"/crawl/{added.json()['id']}/crawls"
        eventually(lambda: client.get(job).json()["items"][0]["status"] == "completed", what="crawl completed")
        self.collector.until_seen("index", "crawl")
        (crawl,) = client.get(job).json()["items"]

        def spans() -> list[SeenSpan]:
            return [one for one in self.collector.named("crawl") if one.facts["sitewise.crawl.id"] == crawl["id"]]

        eventually(spans, what="span of the crawl")
        trace = spans()[0].trace
        eventually(lambda: "request" in parts_of(self.collector, trace), what="span of the request")
        eventually(lambda: "index" in parts_of(self.collector, trace), what="span of the index worker")
        return trace


def parts_of(collector: Collector, trace: str) -> set[str]:
    """What a trace consists of so far; requests by that name."""
    return {"request" if one.kind == "server" else one.name for one in collector.spans if one.trace == trace}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """It runs; spans leave soon after they end."""
    folder = tmp_path_factory.mktemp("traced")
    model = write_tiny_bert(folder / "model", max_tokens=512)
    with pytest.MonkeyPatch.context() as patch, Collector() as collector, LabSite() as site:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
        patch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")  # which tells queries, if it is heard
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        site.page("/", text=f"{CANARY} Birch and Tide sells kayaks to people who like cold water.")
        settings = quick_settings(
            folder,
            retrieve={"patience": "20"},
            embed={"model": str(model), "backend": "openvino", "precision": "fp32"},
            tracing={"endpoint": collector.url, "service_name": "shop"},
        )
        log = folder / "api.log"
        with Embedded(folder, settings) as sitewise, api_process(settings, log) as url:
            key = sitewise.services.keys.for_org(sitewise.scope.org_id, name="lab", partner_id=None).shown
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False) as client:
                yield Traced(collector, sitewise, site, client, log)


def test_a_crawl_is_one_trace_from_its_request_to_its_index(traced: Traced) -> None:
    """Request, hint, crawl, spider and index: one id, which is the caller's, and each under what brought it about."""
    trace = traced.crawl(traced.http, {"traceparent": TRACEPARENT})

    mine = [one for one in traced.collector.spans if one.trace == trace]
    ids = {one.id: one for one in mine}
    (request,) = [one for one in mine if one.kind == "server"]
    hints = [one for one in mine if one.name == "hint" and one.facts["messaging.destination.name"] == "crawl"]
    (crawl,) = [one for one in mine if one.name == "crawl"]
    (spider,) = [one for one in mine if one.name == "spider"]
    indexed = [one for one in mine if one.name == "index"]
    assert trace == TRACE
    assert (request.name, request.parent, request.part) == ("POST /crawl", CALLER, "api")
    assert request.facts["http.response.status_code"] == 201
    assert {hint.parent for hint in hints} == {request.id}, "those that upkeep repeats, too"
    assert (crawl.parent, crawl.part, crawl.kind) == (request.id, "worker crawl", "consumer")
    assert set(crawl.links) <= {hint.id for hint in hints}
    assert len(crawl.links) == 1
    assert crawl.facts["sitewise.spider.end"] == "finished"
    assert (spider.parent, spider.part) == (crawl.id, "spider")
    assert {ids[one.parent].name for one in mine if one.name == "keep"} == {"spider"}
    assert {(one.parent, one.part) for one in indexed} == {(request.id, "worker index")}
    assert {ids[one.parent].name for one in mine if one.name in {"chunk", "embed", "upsert", "publish"}} == {"index"}
    assert {one.resource["service.name"] for one in mine} == {"shop"}
    assert {one.resource["deployment.environment.name"] for one in mine} == {"lab"}
    assert not [one for one in mine if one.is_failed]


def test_the_log_names_the_trace(traced: Traced) -> None:
    """A request's one line has its id and the trace's, the caller's where it names one."""
    trace, asked = uuid4().hex, uuid4().hex
    headers = {"traceparent": f"00-{trace}-{CALLER}-01", "X-Request-ID": asked}

    traced.http.get("/crawl", headers=headers)

    eventually(lambda: any(line.get("request_id") == asked for line in traced.lines()), what="line")
    (line,) = [line for line in traced.lines() if line.get("request_id") == asked]
    assert (line["event"], line["trace_id"]) == ("request", trace)


def test_a_briefing_shows_where_its_time_goes(traced: Traced) -> None:
    """Embedding, searching, reading, scenarios, choosing and the prompt are spans of the request's trace."""
    trace = uuid4().hex

    answer = traced.http.post(
        "/retrieve", json={"message": f"{CANARY}?"}, headers={"traceparent": f"00-{trace}-{CALLER}-01"}
    )

    assert answer.status_code == 200
    eventually(lambda: "request" in parts_of(traced.collector, trace), what="span of the request")
    mine = {one.name: one for one in traced.collector.spans if one.trace == trace}
    stages = {"embed", "read", "search", "scenarios", "choose", "prompt"}
    assert mine["retrieve"].parent == mine["POST /retrieve"].id
    assert {f"retrieve.{stage}" for stage in stages} <= mine.keys()
    assert {mine[f"retrieve.{stage}"].parent for stage in stages} == {mine["retrieve"].id}


def test_a_hint_that_is_lost_takes_no_trace_along(traced: Traced, tmp_path: Path) -> None:
    """The API's hints go to a broker that nobody listens to; upkeep finds the row, and its crawl is in the trace."""
    lost = traced.sitewise.settings.model_copy(update={"data_dir": tmp_path})
    nobody = broker_program(lost, owner=os.getpid(), log_file=tmp_path / "broker.log")
    path = socket_path(tmp_path, "broker")
    settings = traced.sitewise.settings
    broker = settings.broker.model_validate({"url": f"redis+socket://{path}"})
    key = traced.sitewise.services.keys.for_org(traced.sitewise.scope.org_id, name="other", partner_id=None).shown
    headers = {"Authorization": f"Bearer {key}"}
    trace = uuid4().hex

    with Supervisor([nobody]):
        wait_until_ready(path)
        with (
            api_process(settings.model_copy(update={"broker": broker}), tmp_path / "api.log") as url,
            httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False) as client,
        ):
            found = traced.crawl(client, {"traceparent": f"00-{trace}-{CALLER}-01"})

    mine = [one for one in traced.collector.spans if one.trace == trace]
    (request,) = [one for one in mine if one.kind == "server"]
    (crawl,) = [one for one in mine if one.name == "crawl"]
    hints = {one.id: one for one in mine if one.name == "hint" and one.facts["messaging.destination.name"] == "crawl"}
    assert found == trace
    assert crawl.parent == request.id
    assert {one.part for one in hints.values()} == {"api", "worker upkeep"}
    assert [hints[link].part for link in crawl.links] == ["worker upkeep"]


def test_nothing_told_holds_what_is_anybodys(traced: Traced) -> None:
    """No span, no log line and no audit entry: neither texts, queries of addresses, questions, names nor keys.

    Not in what broke either, nor by what FastAPI would send.
    """
    http, folder = traced.http, traced.log.parent
    traced.crawl(http, {"traceparent": f"00-{uuid4().hex}-{CALLER}-01", "X-Canary": CANARY})
    trace = uuid4().hex
    headers = {"traceparent": f"00-{trace}-{CALLER}-01"}
    bad = {"Authorization": f"Bearer sw_org_{CANARY}"} | headers

    http.post("/training", json={"title": CANARY, "content": CANARY, "type": "BEHAVIORAL"}, headers=headers)
    http.post("/training", json={"title": CANARY, "content": CANARY, "triggers": CANARY}, headers=headers)
    http.post("/retrieve", json={"message": CANARY, "history": [{"role": "user", "content": CANARY}]}, headers=headers)
    http.post("/webhooks", json={"url": f"https://{CANARY}.example/{CANARY}", "description": CANARY}, headers=headers)
    http.get(f"/crawl/{CANARY}", params={"q": CANARY}, headers=headers)
    http.get(f"/{CANARY}", headers=headers)
    http.get("/crawl", headers=bad)

    def requests() -> list[SeenSpan]:
        return [one for one in traced.collector.spans if one.trace == trace and one.kind == "server"]

    eventually(lambda: len(requests()) == 7, what="spans of seven requests")
    secret = http.headers["authorization"].rpartition("_")[2].encode()
    spans = b"".join(traced.collector.bodies)
    logs = b"".join(file.read_bytes() for file in [traced.log, *(folder / "logs").iterdir()])
    audit = http.get("/audit", params={"limit": 100}).content
    assert b"spider ended" in logs
    assert b"scenario.create" in audit
    for told in (spans, logs, audit):
        assert CANARY.encode() not in told
        assert secret not in told
    assert b"127.0.0.1" not in spans
