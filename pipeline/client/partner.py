"""Calls with a partner key: orgs and their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.client.answers import NewKey, Org
from pipeline.client.call import Call, PageOf, get, given, post

ORGS = "/partner/v1/orgs"


def add_org(
    name: str,
    *,
    external_id: str | None = None,
    website: str | None = None,
    language: str = "en",
    ai_instructions: str = "",
    integrations: Mapping[str, Any] | None = None,
) -> Call[Org]:
    """Make an org."""
    body = given(
        name=name,
        external_id=external_id,
        website=website,
        language=language,
        ai_instructions=ai_instructions,
        integrations=dict(integrations or {}),
    )
    return post(ORGS, body)


def orgs(*, external_id: str | None = None, limit: int | None = None) -> Call[PageOf[Org]]:
    """The partner's orgs, or the one it calls so."""
    return get(ORGS, external_id=external_id, limit=limit)


def org(org_id: str) -> Call[Org]:
    """One org."""
    return get(f"{ORGS}/{org_id}")


def erase_org(org_id: str) -> Call[object]:
    """Erase an org and all that is known for it."""
    return Call("DELETE", f"{ORGS}/{org_id}")


def erasure(org_id: str) -> Call[dict[str, Any]]:
    """How far the erasure of an org is."""
    return get(f"/partner/v1/erasures/{org_id}")


def show() -> Call[dict[str, Any]]:
    """The partner whose key this is."""
    return get("/partner/v1")


def add_key(
    org_id: str, name: str, *, scopes: Sequence[str] | None = None, expires_at: str | None = None
) -> Call[NewKey]:
    """Make a key for an org; it is shown this once."""
    body = given(name=name, scopes=None if scopes is None else list(scopes), expires_at=expires_at)
    return post(f"{ORGS}/{org_id}/api-keys", body)


def keys(org_id: str) -> Call[PageOf[dict[str, Any]]]:
    """An org's keys, without their secrets."""
    return get(f"{ORGS}/{org_id}/api-keys")


def revoke_key(org_id: str, key_id: str) -> Call[None]:
    """End a key."""
    return Call("DELETE", f"{ORGS}/{org_id}/api-keys/{key_id}")
