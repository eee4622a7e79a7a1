"""Webhooks, and what they were told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from pipeline.api.models.partner import Given

Event = Literal["crawl.started", "crawl.completed", "crawl.failed", "crawl.held", "page.removed"]
State = Literal["pending", "delivered", "failed"]
Url = Annotated[str, Field(min_length=1, max_length=2_048, description="A public http or https address.")]
Events = Annotated[list[Event], Field(max_length=20, description="What it is told of; empty: everything.")]
Description = Annotated[str, Field(max_length=200, description="For people.")]


class NewWebhookBody(Given):
    """A receiver."""

    url: Url = Field(examples=["https://platform.example/hooks/sitewise"])
    events: Events = Field(default_factory=list, examples=[["crawl.completed", "crawl.held"]])
    description: Description = Field("", examples=["staging"])


class WebhookChangeBody(Given):
    """What to change; a field that is not given, or null, stays."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    status: Literal["enabled", "disabled"] | None = Field(
        None, description="`enabled` also forgets failures; what waits for a disabled one is given up."
    )


class WebhookBody(BaseModel):
    """A webhook, without its secret."""

    id: UUID
    url: str
    description: str
    events: list[Event]
    status: Literal["enabled", "disabled"]
    disabled_reason: str | None = Field(description="Why it is told nothing any more.", examples=[None])
    failing_since: datetime | None = Field(description="When it began to take nothing.", examples=[None])
    old_secret_until: datetime | None = Field(
        description="Until then messages are signed with the secret before, too.", examples=[None]
    )
    created_at: datetime
    updated_at: datetime


class NewWebhookShown(WebhookBody):
    """A webhook with a new secret. This is the only time it is shown."""

    secret: str = Field(description="Verifies signatures by the Standard Webhooks specification.", examples=["whsec_…"])


class AttemptBody(BaseModel):
    """One call of the receiver."""

    at: datetime
    http_status: int | None = Field(description="What it answered; null: nothing.", examples=[204])
    problem: str | None = Field(examples=[None])
    seconds: float = Field(description="How long it took.", examples=[0.08])


class DeliveryBody(BaseModel):
    """One message to a webhook."""

    id: UUID
    message_id: str = Field(description="The `webhook-id`, the same at every attempt and replay.", examples=["msg_1f…"])
    event: Event
    state: State
    body: str = Field(description="What is sent, byte for byte: JSON with ids and counts, no page text.")
    tries: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_problem: str | None
    delivered_at: datetime | None
    created_at: datetime
    attempts: list[AttemptBody] = Field(description="The last calls, oldest first.")
