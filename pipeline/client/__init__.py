"""A client for the HTTP API, blocking and asyncio, light to import, and a verifier for its webhooks.

A request is a value: `client.send(crawls.add("https://www.example.com/"))`, `client.each(crawls.pages(id))`. The same
values go through `Client` and `AsyncClient`.
"""

from __future__ import annotations

from pipeline.client.failures import ServerRefused, ServerUnavailable
from pipeline.client.sending import AsyncClient, Client
from pipeline.client.verifying import DoubledDelivery, ForgedDelivery, Message, WebhookVerifier

__all__ = [
    "AsyncClient",
    "Client",
    "DoubledDelivery",
    "ForgedDelivery",
    "Message",
    "ServerRefused",
    "ServerUnavailable",
    "WebhookVerifier",
]
