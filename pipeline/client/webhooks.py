"""Calls about webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.client.answers import Delivery, NewWebhook, Webhook
from pipeline.client.call import Call, PageOf, get, post


def add(url: str, *, events: Sequence[str] = (), description: str = "") -> Call[NewWebhook]:
    """Tell a URL of events; its secret is shown this once."""
    return post("/webhooks", {"url": url, "events": list(events), "description": description})


def webhooks() -> Call[PageOf[Webhook]]:
    """The org's webhooks, oldest first."""
    return get("/webhooks")


def change(webhook_id: str, fields: Mapping[str, Any]) -> Call[Webhook]:
    """Set what is given of a webhook."""
    return Call("PATCH", f"/webhooks/{webhook_id}", json=fields)


def delete(webhook_id: str) -> Call[None]:
    """Remove a webhook and its log."""
    return Call("DELETE", f"/webhooks/{webhook_id}")


def rotate(webhook_id: str) -> Call[NewWebhook]:
    """Make a new secret; for a day both are good."""
    return post(f"/webhooks/{webhook_id}/rotate")


def deliveries(webhook_id: str, *, state: str | None = None) -> Call[PageOf[Delivery]]:
    """What a webhook was told, newest first."""
    return get(f"/webhooks/{webhook_id}/deliveries", state=state)


def replay(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """Send a message once more."""
    return post(f"/webhooks/{webhook_id}/deliveries/{delivery_id}/replay")
