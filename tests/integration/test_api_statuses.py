"""Every route gives every failure that its document names, and its success, through a real socket."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from deploy.setup.openapi import DOCUMENT
from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import open_services
from pipeline.model import OrgScope
from pipeline.services.key_text import new_key
from pipeline.settings import read_settings
from tests.fakes.knowledge import SITE
from tests.lab.api import ApiLab, LabOrg, served

DOCUMENTED: dict[str, Any] = json.loads(DOCUMENT.read_text())["paths"]
OPEN = {"/healthz", "/readyz"}
OPERATIONS = [(method.upper(), path) for path, methods in DOCUMENTED.items() for method in methods if path not in OPEN]
SCENARIO = {"title": "Refunds", "content": "Ask for the number of the order."}
BODIES: Mapping[tuple[str, str], object] = {
    (method, path): DOCUMENTED[path][method.lower()]["requestBody"]["content"]["application/json"]["example"]
    for method, path in OPERATIONS
    if "requestBody" in DOCUMENTED[path][method.lower()]
}
"""What each operation takes: the document's own example."""

NAMING: Mapping[tuple[str, str], dict[str, Any]] = {
    ("POST", "/training"): {"json": SCENARIO | {"directory_id": str(uuid4())}},
    ("GET", "/pages/find"): {"params": {"url": f"{SITE}unknown"}},
}
"""Requests that name what is not there, elsewhere than in their path."""

CONFLICTS = {
    ("POST", "/crawl/{datasource_id}/crawls/{job_id}/approve"),
    ("POST", "/crawl/{datasource_id}/crawls/{job_id}/reject"),
    ("POST", "/crawl/{datasource_id}/crawls/{job_id}/rollback"),
    ("PATCH", "/partner/v1/orgs/{org_id}"),
    ("POST", "/org/settings/publish"),
    ("PUT", "/training/{scenario_id}"),
}
"""What may conflict without an Idempotency-Key that is in flight, each with a test of its own."""


def documented(status: int) -> list[tuple[str, str]]:
    """Operations that may answer so."""
    return [one for one in OPERATIONS if str(status) in operation_of(*one)["responses"]]


def operation_of(method: str, path: str) -> dict[str, Any]:
    """What the document says of it."""
    found: dict[str, Any] = DOCUMENTED[path][method.lower()]
    return found


def filled(path: str, value: Callable[[str], str] = lambda _: str(uuid4())) -> str:
    """A path with ids; those of nobody, unless told."""
    return re.sub(r"{(\w+)}", lambda name: value(name[1]), path)


def key_of(lab: ApiLab, org: LabOrg, path: str, *, other: bool = False) -> httpx.Client:
    """A client with the kind of key a path takes, or with the other kind."""
    return lab.partner if path.startswith("/partner") != other else org.http


def ask(client: httpx.Client, method: str, path: str, **rest: Any) -> httpx.Response:  # noqa: ANN401 - httpx' own
    """Ask, with what the operation takes, for ids of nobody."""
    body = BODIES.get((method, path))
    given: dict[str, Any] = {"params": query_of(method, path)} | ({} if body is None else {"json": body}) | rest
    return client.request(method, filled(path), **given)


def query_of(method: str, path: str) -> dict[str, str]:
    """What the query of an operation has to hold."""
    known = {"url": SITE, "on": "2027-01-31T09:00:00Z"}
    parameters = operation_of(method, path).get("parameters", [])
    return {each["name"]: known[each["name"]] for each in parameters if each["in"] == "query" and each["required"]}


def wrong(answers: Mapping[tuple[str, str], httpx.Response], status: int) -> list[str]:
    """The operations whose answer is another."""
    told = {
        operation: answer
        for operation, answer in answers.items()
        if answer.status_code != status or answer.json()["statusCode"] != status
    }
    return [f"{method} {path}: {answer.status_code} {answer.text[:200]}" for (method, path), answer in told.items()]


@pytest.fixture(scope="module")
def org(lab: ApiLab) -> LabOrg:
    """An org that has nothing."""
    return lab.org("Asks")


def test_without_a_key_every_route_is_401(lab: ApiLab) -> None:
    """Before anything else is looked at."""
    answers = {(method, path): ask(lab.anyone, method, path) for method, path in documented(401)}

    assert len(answers) == len(OPERATIONS)
    assert wrong(answers, 401) == []


def test_with_a_key_of_the_other_kind_every_route_is_403(lab: ApiLab, org: LabOrg) -> None:
    """A partner's where an org's is needed, and the other way round."""
    answers = {
        (method, path): ask(key_of(lab, org, path, other=True), method, path) for method, path in documented(403)
    }

    assert len(answers) == len(OPERATIONS)
    assert wrong(answers, 403) == []


def test_with_ids_of_nobody_every_route_is_404(lab: ApiLab, org: LabOrg) -> None:
    """In the path, or in the body where that names something."""
    answers = {
        (method, path): ask(key_of(lab, org, path), method, path)
        if "{" in path
        else ask(key_of(lab, org, path), method, path, **NAMING[method, path])
        for method, path in documented(404)
    }

    assert wrong(answers, 404) == []


def test_a_body_that_is_not_json_is_400_on_every_route(lab: ApiLab, org: LabOrg) -> None:
    """Where a body is taken, in the one form; elsewhere for what is no HTTP."""
    headers = {"Content-Type": "application/json"}
    with_body = [operation for operation in documented(400) if operation in BODIES]
    without = [operation for operation in documented(400) if operation not in BODIES]

    answers = {
        (method, path): ask(key_of(lab, org, path), method, path, json=None, content=b"{", headers=headers)
        for method, path in with_body
    }
    raw = {f"{method} {path}": no_http(lab.url, method, filled(path)) for method, path in without}

    assert wrong(answers, 400) == []
    assert set(raw.values()) == {b"HTTP/1.1 400 Bad Request"}


def no_http(url: str, method: str, path: str) -> bytes:
    """The first line of the answer to a request whose header cannot be one."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: lab\r\nno header\x00\r\n\r\n".encode())
        return connection.makefile("rb").readline().strip()


def test_a_body_over_a_mebibyte_is_413_on_every_route(lab: ApiLab, org: LabOrg) -> None:
    """Whether the route takes one or not."""
    large = b'"' + b"x" * 2**20 + b'"'

    answers = {
        (method, path): ask(key_of(lab, org, path), method, path, json=None, content=large)
        for method, path in documented(413)
    }

    assert wrong(answers, 413) == []


def test_what_is_wrong_in_form_is_422_on_every_route(lab: ApiLab, org: LabOrg) -> None:
    """An id that is none, a limit of none, a body of another shape, or an Idempotency-Key that is too long."""
    answers = {}
    for method, path in documented(422):
        client = key_of(lab, org, path)
        names = {each["name"] for each in operation_of(method, path).get("parameters", [])}
        if "{" in path:
            nobody = filled(path, lambda _: "no-id")
            answers[method, path] = client.request(method, nobody, json=BODIES.get((method, path)))
        elif (method, path) in BODIES:
            answers[method, path] = ask(client, method, path, json={"no such field": 1})
        elif query_of(method, path):
            answers[method, path] = ask(client, method, path, params={"url": "no-address"})
        elif {"limit", "format"} & names:
            answers[method, path] = ask(client, method, path, params={"limit": 0, "format": "no such"})
        else:
            answers[method, path] = ask(client, method, path, headers={"Idempotency-Key": "k" * 256})

    assert wrong(answers, 422) == []
    assert all(answer.json()["details"] for answer in answers.values())


def test_every_route_is_429_once_its_key_has_used_up_its_limit(sqlite_template: Path, tmp_path: Path) -> None:
    """With the moment from when on it may be asked again."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    with served(tmp_path, limits={"key_requests_per_minute": 1}) as narrow:
        partner = narrow.services.provisioning.add_partner("Narrow").id
        org_id = narrow.services.orgs.ensure("narrow").org_id
        clients = {
            True: narrow.client(narrow.new_partner_key(partner)),
            False: narrow.client(narrow.services.keys.for_org(org_id, name="lab", partner_id=None).shown),
        }
        for path, client in (("/partner/v1", clients[True]), ("/org/settings", clients[False])):
            assert client.get(path).status_code == 200

        answers = {
            (method, path): ask(clients[path.startswith("/partner")], method, path) for method, path in documented(429)
        }

    assert len(answers) == len(OPERATIONS)
    assert wrong(answers, 429) == []
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers.values())


def test_every_route_is_503_while_the_database_is_away(tmp_path: Path) -> None:
    """Nothing was accepted, and it says when to ask again."""
    nowhere = {"url": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    settings = read_settings(data_dir=tmp_path, database=nowhere, api={"port": 0})

    with open_services(settings) as services, Server(create_app(services), settings) as server:
        answers = {}
        for method, path in documented(503):
            key = new_key("partner" if path.startswith("/partner") else "org").shown
            with httpx.Client(
                base_url=server.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
            ) as client:
                answers[method, path] = ask(client, method, path)
        readiness = httpx.get(f"{server.url}/readyz", trust_env=False, timeout=60)

    assert len(answers) == len(OPERATIONS)
    assert wrong(answers, 503) == []
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers.values())
    assert readiness.status_code == 503


def test_a_conflict_is_documented_where_one_can_be() -> None:
    """Where a request can be repeated, or meets what is there already, and nowhere else."""
    repeatable = {
        (method, path)
        for method, path in OPERATIONS
        if any(each["name"] == "idempotency-key" for each in operation_of(method, path).get("parameters", []))
    }

    assert set(documented(409)) == repeatable | CONFLICTS


def test_every_route_succeeds_as_documented(lab: ApiLab) -> None:
    """Once, as a customer that comes and goes; previews, and what operators do, are other tests' matter."""
    elsewhere = {operation for operation in OPERATIONS if re.search(OPERATORS, operation[1])}
    promised = {
        (method, path, int(status))
        for method, path in OPERATIONS
        for status in operation_of(method, path)["responses"]
        if status < "300" and (method, path) not in elsewhere
    }

    assert walked(lab) == promised


OPERATORS = (
    r"/preview|/approve|/reject|{job_id}/rollback$|{page_id}/(history|rollback|said)|^/dead-letters|^/evaluation|^/jobs|^/pages|^/rederive"
    r"|^/schedules|^/status|^/training/(ex|im)port|/erasures/"
)
"""What is asked of a deployment by those who run it; what has crawls before it that the walk does not make."""


def walked(lab: ApiLab) -> set[tuple[str, str, int]]:
    """What was asked in a customer's life, with the status of each answer."""
    org = lab.org("Walks")
    ids = {"org_id": str(org.id)}
    seen = set()
    for step in STEPS:
        method, path, *name = step.split()
        if method == "CRAWL":
            lab.knowledge.crawl({"/": "<p>Send an order back within thirty days.</p>"}, scope=OrgScope(org.id))
            lab.services.briefings.flush()
            websites = org.http.get("/crawl").json()["items"]
            ids["datasource_id"] = next(website["id"] for website in websites if website["url"] == SITE)
            continue
        answer = key_of(lab, org, path).request(
            method,
            filled(path, ids.__getitem__),
            json=BODIES.get((method, path)),
            params=query_of(method, path),
        )
        seen.add((method, path, answer.status_code))
        if name:
            told = answer.json()
            ids[name[0]] = (told["items"][0] if "items" in told else told)["id"]
    return seen


STEPS = """\
GET /partner/v1
PATCH /partner/v1
POST /partner/v1/orgs
GET /partner/v1/orgs
GET /partner/v1/orgs/{org_id}
PATCH /partner/v1/orgs/{org_id}
POST /partner/v1/orgs/{org_id}/api-keys key_id
GET /partner/v1/orgs/{org_id}/api-keys
DELETE /partner/v1/orgs/{org_id}/api-keys/{key_id}
POST /partner/v1/orgs/{org_id}/widget-token
GET /org/settings
PATCH /org/settings
PUT /org/settings/draft
POST /org/settings/publish
GET /org/settings/history
POST /webhooks webhook_id
GET /webhooks
GET /webhooks/{webhook_id}
PATCH /webhooks/{webhook_id}
POST /webhooks/{webhook_id}/rotate
POST /training/directories directory_id
GET /training/directories
PATCH /training/directories/{directory_id}
POST /training scenario_id
GET /training
GET /training/{scenario_id}
PUT /training/{scenario_id}
PUT /training/{scenario_id}/draft
POST /training/{scenario_id}/publish
GET /training/{scenario_id}/versions
POST /training/{scenario_id}/rollback
DELETE /training/{scenario_id}/draft
POST /training/lint
POST /training/search
POST /retrieve briefing_id
POST /crawl
CRAWL it
GET /retrieve/{briefing_id}
GET /crawl
GET /crawl/{datasource_id}
PATCH /crawl/{datasource_id}
GET /crawl/{datasource_id}/pages page_id
GET /crawl/{datasource_id}/pages/{page_id}
GET /crawl/{datasource_id}/why
POST /crawl/{datasource_id}/pages/bulk
POST /crawl/{datasource_id}/pages/{page_id}/exclude
POST /crawl/{datasource_id}/pages/{page_id}/include
POST /crawl/{datasource_id}/crawls job_id
GET /crawl/{datasource_id}/crawls
GET /crawl/{datasource_id}/crawls/{job_id}
POST /crawl/{datasource_id}/crawls/{job_id}/cancel
POST /crawl/{datasource_id}/pages/{page_id}/resync
DELETE /crawl/{datasource_id}/pages/{page_id}
GET /webhooks/{webhook_id}/deliveries delivery_id
POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay
GET /audit
DELETE /webhooks/{webhook_id}
DELETE /training/{scenario_id}
DELETE /training/directories/{directory_id}
DELETE /crawl/{datasource_id}
DELETE /partner/v1/orgs/{org_id}
""".splitlines()
"""In an order in which each finds what it needs; a name at the end keeps the answer's id under it."""
