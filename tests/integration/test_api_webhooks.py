"""Webhooks over HTTP: each route, each status, and what is shown once."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.fakes.knowledge import SITE, paragraphs
from tests.lab.api import ApiLab, LabOrg

URL = "https://platform.example/hooks"


@pytest.fixture
def org(lab: ApiLab) -> LabOrg:
    """A new org."""
    return lab.org()


def add(org: LabOrg, **fields: object) -> dict[str, Any]:
    """A webhook of the org's."""
    made = org.http.post("/webhooks", json={"url": URL, **fields})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


def test_a_webhook_is_made_shown_changed_and_deleted(org: LabOrg) -> None:
    """Its secret is in the first answer alone."""
    made = add(org, events=["crawl.failed", "crawl.started"], description="ours")
    path = f"/webhooks/{made['id']}"

    shown = org.http.get(path)
    listed = org.http.get("/webhooks").json()
    changed = org.http.patch(path, json={"status": "disabled", "events": []})
    deleted = org.http.delete(path)

    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["crawl.started", "crawl.failed"]
    assert "secret" not in shown.json()
    assert listed == {"items": [shown.json()], "next": None}
    assert (changed.status_code, changed.json()["status"], changed.json()["events"]) == (200, "disabled", [])
    assert (deleted.status_code, org.http.get(path).status_code) == (204, 404)


def test_the_same_request_makes_one_webhook(org: LabOrg) -> None:
    """With one Idempotency-Key the secret, too, is the same."""
    headers = {"Idempotency-Key": uuid4().hex}

    first, second = (org.http.post("/webhooks", json={"url": URL}, headers=headers) for _ in range(2))

    assert first.json() == second.json()
    assert len(org.http.get("/webhooks").json()["items"]) == 1


def test_a_secret_is_rotated(org: LabOrg) -> None:
    """The new one is shown once; the old one has an end."""
    made = add(org)

    rotated = org.http.post(f"/webhooks/{made['id']}/rotate")

    assert rotated.status_code == 201
    assert rotated.json()["secret"] not in {None, made["secret"]}
    assert org.http.get(f"/webhooks/{made['id']}").json()["old_secret_until"] is not None


def test_deliveries_are_listed_and_replayed(lab: ApiLab, org: LabOrg) -> None:
    """Page by page, by state, and told once more when asked."""
    made = add(org, events=["crawl.started"])
    path = f"/webhooks/{made['id']}/deliveries"
    datasource = org.http.post("/crawl", json={"url": SITE, "auto_start_crawl": False}).json()
    for _ in range(2):
        job = org.http.post(f"/crawl/{datasource['id']}/crawls").json()
        lab.services.crawls.claim(UUID(job["id"]), owner="spider")
        org.http.post(f"/crawl/{datasource['id']}/crawls/{job['id']}/cancel")

    first = org.http.get(path, params={"limit": 1}).json()
    rest = org.http.get(path, params={"limit": 5, "cursor": first["next"]}).json()
    none = org.http.get(path, params={"state": "delivered"}).json()
    replayed = org.http.post(f"{path}/{first['items'][0]['id']}/replay")

    assert [len(found["items"]) for found in (first, rest, none)] == [1, 1, 0]
    assert (replayed.status_code, replayed.json()["state"]) == (202, "pending")
    assert '"type":"crawl.started"' in first["items"][0]["body"]
    assert paragraphs(1)[:10] not in first["items"][0]["body"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "http://127.0.0.1/"}, "address_refused"),
        ({"url": "ftp://platform.example/"}, "invalid_url"),
        ({"url": URL, "events": ["crawl.begun"]}, "invalid_request"),
        ({"url": URL, "secret": "mine"}, "invalid_request"),
        ({}, "invalid_request"),
    ],
)
def test_a_wrong_webhook_is_refused(org: LabOrg, fields: dict[str, object], code: str) -> None:
    """With 422 and why."""
    refused = org.http.post("/webhooks", json=fields)

    assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_another_orgs_webhook_is_not_there(lab: ApiLab, org: LabOrg) -> None:
    """Whatever is asked of it."""
    made = add(org)
    other = lab.org("Other").http
    path = f"/webhooks/{made['id']}"

    answers = [
        other.get(path),
        other.patch(path, json={}),
        other.delete(path),
        other.post(f"{path}/rotate"),
        other.get(f"{path}/deliveries"),
        other.post(f"{path}/deliveries/{uuid4()}/replay"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert org.http.get(path).status_code == 200


def test_a_key_needs_the_scope(lab: ApiLab, org: LabOrg) -> None:
    """Reading is not writing, and a partner's key is neither."""
    reader = lab.client(lab.org_key(org.id, "webhooks:read"))

    assert reader.get("/webhooks").status_code == 200
    assert reader.post("/webhooks", json={"url": URL}).status_code == 403
    assert lab.partner.get("/webhooks").status_code == 403
    assert lab.anyone.get("/webhooks").status_code == 401
