"""What is around every request: ids, limits of size, one form of failure, one line in the log."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import structlog
from structlog.testing import LogCapture

from pipeline.api import requests
from pipeline.api.app import create_app
from pipeline.api.failures import STATUSES, code_of, status_of
from pipeline.api.serving import Server
from pipeline.errors import SitewiseError
from pipeline.settings import read_settings
from tests.lab.api import ApiLab
from tests.lab.tls import self_signed
from tests.lab.waiting import eventually

ORGS = "/partner/v1/orgs"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[MutableMapping[str, Any]]:
    """What is told of requests from now on. An answer leaves before its line."""
    told = LogCapture()
    monkeypatch.setattr(requests, "log", structlog.wrap_logger(structlog.ReturnLogger(), processors=[told]))
    return told.entries


def test_a_request_id_is_given_back(lab: ApiLab) -> None:
    """The caller's, if it can be one; else a new one."""
    given = lab.anyone.get("/healthz", headers={"X-Request-ID": "abc-123"})
    odd = lab.anyone.get("/healthz", headers={"X-Request-ID": "a b;c" * 40})
    none = lab.anyone.get("/healthz")

    assert given.headers["x-request-id"] == "abc-123"
    assert odd.headers["x-request-id"] not in {"", "a b;c" * 40}
    assert none.headers["x-request-id"] != odd.headers["x-request-id"]


def test_a_body_over_a_mebibyte_is_refused(lab: ApiLab) -> None:
    """Whether its length is told before or not; one of a mebibyte is read."""

    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    told = lab.partner.post(ORGS, content=b"x" * (2**20 + 1))
    untold = lab.partner.post(ORGS, content=parts())
    fits = lab.partner.post(
        ORGS, content=b'"' + b"x" * (2**20 - 2) + b'"', headers={"Content-Type": "application/json"}
    )

    assert (told.status_code, untold.status_code, fits.status_code) == (413, 413, 422)
    assert told.json()["code"] == untold.json()["code"] == "body_too_large"


def test_every_failure_has_one_form(lab: ApiLab) -> None:
    """Whatever went wrong, and wherever."""
    answers = {
        400: lab.partner.post(ORGS, content=b"{", headers={"Content-Type": "application/json"}),
        401: lab.anyone.get(ORGS),
        403: lab.partner.get("/audit"),
        404: lab.partner.get("/nowhere"),
        405: lab.partner.put("/healthz"),
        422: lab.partner.post(ORGS, json={"nam": "x", "language": 7}),
    }

    for status, answer in answers.items():
        body = answer.json()
        assert answer.status_code == body["statusCode"] == status
        assert body.keys() - {"details"} == {"statusCode", "error", "message", "code"}
        assert body["code"].replace("_", "").isalpha()
    fields = {detail["field"]: detail for detail in answers[422].json()["details"]}
    assert fields.keys() == {"name", "nam", "language"}
    assert fields["language"]["given"] == 7


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b'{"name": "\\ud800"}', b'{"name": "a\\u0000b"}', b"[]", b"null", b'{"name": NaN}']
)
def test_odd_bodies_are_refused(lab: ApiLab, body: bytes) -> None:
    """Bytes that are no text, halves of characters, zero bytes and other values break nothing."""
    answer = lab.partner.post(ORGS, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {201, 400, 422}


def test_each_request_is_one_line(lab: ApiLab, lines: list[MutableMapping[str, Any]]) -> None:
    """Its template, status, time, key and org; never a body, a query or a key's secret."""
    org = lab.org("Logged")

    lab.partner.get(f"{ORGS}/{org.id}", params={"token": "in-the-query"}, headers={"X-Request-ID": "line-1"})
    org.http.put("/org/settings/draft", json={"ai_instructions": "in-the-body"})
    lab.anyone.get("/healthz")

    def of_these() -> list[MutableMapping[str, Any]]:
        return [line for line in lines if line.get("method") in {"GET", "PUT"}]  # how the org was made is told, too

    eventually(lambda: len(of_these()) > 1)
    told = of_these()
    assert [(line["method"], line["route"], line["status"]) for line in told] == [
        ("GET", f"{ORGS}/{{org_id}}", 200),
        ("PUT", "/org/settings/draft", 200),
    ]
    assert told[1]["org"] == str(org.id)
    assert all(line["key"] and line["ms"] >= 0 for line in told)
    assert not any(secret in str(lines) for secret in ("in-the-query", "in-the-body", org.key))


def test_paths_are_served_under_v1_too(lab: ApiLab) -> None:
    """The document names each once, at the root."""
    paths = lab.anyone.get("/openapi.json").json()["paths"]

    assert lab.partner.get(f"/v1{ORGS}").status_code == 200
    assert not [path for path in paths if path.startswith("/v1/")]
    assert ORGS in paths


def test_the_document_is_openapi_3_1_and_shown(lab: ApiLab) -> None:
    """With failures and keys described, and names that no two operations share."""
    document = lab.anyone.get("/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]

    assert document["openapi"].startswith("3.1")
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all("summary" in operation for operation in operations)


def test_whoever_comes_with_a_browser_is_shown_the_page(lab: ApiLab) -> None:
    """The root leads to it, and the browser is told to load nothing for it."""
    came = lab.anyone.get("/", follow_redirects=True)

    assert came.url.path == "/docs"
    assert came.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in came.headers["Content-Security-Policy"]
    assert "<h1>Sitewise API</h1>" in came.text


def test_a_path_that_is_not_there_leads_to_the_page(lab: ApiLab) -> None:
    """Whoever mistyped it is told what was asked, and where to look."""
    told = [lab.partner.get("/nowhere").json()["message"], lab.partner.put("/healthz").json()["message"]]

    assert told == [
        f"Nothing here answers {asked}. /docs shows what does." for asked in ("GET /nowhere", "PUT /healthz")
    ]


def test_a_body_that_is_not_sent_as_json_is_told_how(lab: ApiLab) -> None:
    """As curl sends it with `--data` alone."""
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = lab.partner.post(ORGS, content=b'{"name": "x"}', headers=sent)

    assert answer.status_code == 400
    assert "Content-Type: application/json" in answer.json()["message"]


def test_readiness_names_each_part(lab: ApiLab) -> None:
    """Without a broker and vectors it is degraded, and says so; it answers all the same."""
    answer = lab.anyone.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"].keys() == {"database", "broker", "vectors", "model"}
    assert answer.json()["parts"]["database"] == "ok"
    assert "sock" not in answer.text


def test_it_is_served_over_tls_and_behind_a_proxy(lab: ApiLab, tmp_path: Path) -> None:
    """With a certificate of one's own; whom a trusted proxy names is the source of what is done, nobody else's word."""
    self_signed(tmp_path)
    pem, org = tmp_path / "site.pem", lab.org("Behind")
    api = {"port": 0, "tls_certificate": pem, "tls_key": pem}
    named = {"Authorization": f"Bearer {org.key}", "X-Forwarded-For": "203.0.113.9"}

    for proxies in ("127.0.0.0/8", ""):
        with Server(create_app(lab.services), read_settings(api=api | {"trusted_proxies": proxies})) as server:
            assert server.url.startswith("https://")
            context = ssl.create_default_context(cafile=pem)
            httpx.post(f"{server.url}/org/settings/publish", headers=named, verify=context, trust_env=False, timeout=60)

    sources = [entry["source"] for entry in org.http.get("/audit").json()["items"]]
    assert sorted(sources) == ["127.0.0.1", "203.0.113.9"]


def test_what_breaks_is_told_without_its_inside(lab: ApiLab, lines: list[MutableMapping[str, Any]]) -> None:
    """A defect is a 500 in the one form: the log has the rest."""
    app = create_app(lab.services)

    def broken() -> None:
        raise RuntimeError("the-inside")

    app.add_api_route("/broken", broken)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lab") as client:
            return await client.get("/broken")

    answer = anyio.run(ask)

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "the-inside" not in answer.text
    assert [line["event"] for line in lines] == ["request broke", "request"]


def test_every_failure_has_a_status_and_a_name_of_its_own() -> None:
    """No two classes share a code, and what a caller cannot mend is never called its mistake."""
    kinds = _below(SitewiseError)

    codes = {code_of(kind) for kind in kinds}

    assert len(codes) == len(kinds)
    assert all(400 <= status_of(kind) < 600 for kind in kinds)
    assert {kind for kind, _ in STATUSES} <= {SitewiseError, *kinds}


def _below(kind: type[SitewiseError]) -> list[type[SitewiseError]]:
    return [found for child in kind.__subclasses__() for found in (child, *_below(child))]
