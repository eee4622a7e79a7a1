"""Who is told of what happens in an org, and what they were told."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from pipeline.api.acts import AChange, ACreation
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.webhooks import (
    DeliveryBody,
    NewWebhookBody,
    NewWebhookShown,
    State,
    WebhookBody,
    WebhookChangeBody,
)
from pipeline.api.paging import APiece, Page, page_of
from pipeline.services.keys import Caller
from pipeline.services.webhooks import Changes, DeliveryView, WebhookView

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

Reader = Annotated[Caller, Depends(org_caller("webhooks:read"))]
Writer = Annotated[Caller, Depends(org_caller("webhooks:write"))]


@router.post("", status_code=201, response_model=NewWebhookShown, summary="Add a webhook")
def create_webhook(body: NewWebhookBody, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Tell a receiver of events from now on, signed by the Standard Webhooks specification.

    A message is sent again for more than three days until the receiver answers 2xx; 410 ends it.
    """
    scope = org_of(caller)

    def make() -> NewWebhookShown:
        made = services.webhooks.add(body.url, scope=scope, events=body.events, description=body.description)
        return _shown(made)

    return act.create(make, action="webhook.create")


@router.get("", summary="List webhooks")
def list_webhooks(caller: Reader, services: AServices, piece: APiece) -> Page[WebhookBody]:
    """The org's webhooks, oldest first."""
    found = services.webhooks.list_webhooks(scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, _webhook)


@router.get("/{webhook_id}", summary="Show a webhook")
def show_webhook(webhook_id: UUID, caller: Reader, services: AServices) -> WebhookBody:
    """A webhook, and whether it works."""
    return _webhook(services.webhooks.show(webhook_id, scope=org_of(caller)))


@router.patch("/{webhook_id}", summary="Change a webhook")
def change_webhook(
    webhook_id: UUID, body: WebhookChangeBody, caller: Writer, act: AChange, services: AServices
) -> WebhookBody:
    """Set what is given."""
    changes = Changes(url=body.url, events=body.events, description=body.description, status=body.status)
    changed = act.change(
        lambda: services.webhooks.change(webhook_id, changes, scope=org_of(caller)),
        action="webhook.change",
        object_id=webhook_id,
    )
    return _webhook(changed)


@router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook")
def delete_webhook(webhook_id: UUID, caller: Writer, act: AChange, services: AServices) -> None:
    """Remove a webhook and its log."""
    act.change(
        lambda: services.webhooks.delete(webhook_id, scope=org_of(caller)),
        action="webhook.delete",
        object_id=webhook_id,
    )


@router.post("/{webhook_id}/rotate", status_code=201, response_model=NewWebhookShown, summary="Make a new secret")
def rotate_webhook_secret(webhook_id: UUID, caller: Writer, act: ACreation, services: AServices) -> Response:
    """Show a new secret, this once. For a day messages carry two signatures, of the new one and the one before."""
    scope = org_of(caller)
    return act.create(lambda: _shown(services.webhooks.rotate(webhook_id, scope=scope)), action="webhook.rotate")


@router.get("/{webhook_id}/deliveries", summary="List deliveries")
def list_deliveries(
    webhook_id: UUID,
    caller: Reader,
    services: AServices,
    piece: APiece,
    state: Annotated[State | None, Query(description="Only in this state.")] = None,
) -> Page[DeliveryBody]:
    """What a webhook was told and is to be told, newest first."""
    found = services.webhooks.list_deliveries(
        webhook_id, scope=org_of(caller), limit=piece.limit, after=piece.after, states=[state] if state else ()
    )
    return page_of(found, _delivery)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryBody,
    summary="Send a message again",
)
def replay_delivery(
    webhook_id: UUID, delivery_id: UUID, caller: Writer, act: ACreation, services: AServices
) -> Response:
    """Send a message once more, with the same id. The webhook must be enabled."""
    scope = org_of(caller)
    return act.create(
        lambda: _delivery(services.webhooks.replay(webhook_id, delivery_id, scope=scope)),
        action="webhook.replay",
        status=202,
    )


def _webhook(found: WebhookView) -> WebhookBody:
    return WebhookBody.model_validate(found, from_attributes=True)


def _shown(made: WebhookView) -> NewWebhookShown:
    return NewWebhookShown.model_validate(made, from_attributes=True)


def _delivery(found: DeliveryView) -> DeliveryBody:
    return DeliveryBody.model_validate(found, from_attributes=True)
