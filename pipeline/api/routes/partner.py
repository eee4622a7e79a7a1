"""Partners make orgs, and keys for them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from pipeline.api.acts import AChange, ACreation
from pipeline.api.caller import ACallers, AServices, PartnerCaller
from pipeline.api.models.crawls import AcceptedBody
from pipeline.api.models.partner import (
    ErasureBody,
    KeyBody,
    NewKeyBody,
    NewKeyShown,
    NewOrgBody,
    OrgBody,
    OrgChange,
    PartnerBody,
    PartnerChange,
)
from pipeline.api.paging import APiece, Page, page_of
from pipeline.model import OrgScope
from pipeline.services.keys import Caller, KeyView
from pipeline.services.provisioning import NewOrg, OrgView, PartnerView

router = APIRouter(prefix="/partner/v1", tags=["partner"])


@router.get("", summary="Show the partner")
def show_partner(caller: PartnerCaller, services: AServices) -> PartnerBody:
    """The partner whose key this is: its branding, and what its orgs inherit."""
    return _shown(services.provisioning.partner(_partner(caller)))


@router.patch("", summary="Change the partner")
def change_partner(body: PartnerChange, caller: PartnerCaller, act: AChange, services: AServices) -> PartnerBody:
    """Set what is given; orgs inherit it at once."""
    values = body.model_dump(exclude_unset=True)
    changed = act.change(
        lambda: services.org_settings.change_partner(values, partner_id=_partner(caller)),
        action="partner.change",
        object_id=caller.partner_id,
    )
    return _shown(changed)


@router.post("/orgs", status_code=201, response_model=OrgBody, summary="Make an org")
def create_org(body: NewOrgBody, caller: PartnerCaller, act: ACreation, services: AServices) -> Response:
    """Make an org for a customer, with a widget token that is shown this once."""

    def make() -> OrgBody:
        new = NewOrg(**body.model_dump())
        return _org(services.provisioning.add_org(new, partner_id=_partner(caller)))

    return act.create(make, action="org.create")


@router.get("/orgs", summary="List orgs")
def list_orgs(
    caller: PartnerCaller,
    services: AServices,
    piece: APiece,
    external_id: Annotated[str | None, Query(max_length=200, description="Only the org that you call so.")] = None,
) -> Page[OrgBody]:
    """The partner's orgs, oldest first."""
    found = services.provisioning.list_orgs(
        partner_id=_partner(caller), limit=piece.limit, after=piece.after, external_id=external_id
    )
    return page_of(found, _org)


@router.get("/orgs/{org_id}", summary="Show an org")
def show_org(org_id: UUID, caller: PartnerCaller, services: AServices) -> OrgBody:
    """One org of the partner's."""
    return _org(services.provisioning.org(org_id, partner_id=_partner(caller)))


@router.patch("/orgs/{org_id}", summary="Change an org")
def change_org(org_id: UUID, body: OrgChange, caller: PartnerCaller, act: AChange, services: AServices) -> OrgBody:
    """Set what is given; every change is kept in the org's history."""
    values = body.model_dump(exclude_unset=True)
    changed = act.change(
        lambda: services.org_settings.change_for_partner(
            org_id, values, partner_id=_partner(caller), key_id=caller.key_id
        ),
        action="org.change",
        object_id=org_id,
        org_id=org_id,
    )
    return _org(changed)


@router.delete("/orgs/{org_id}", status_code=202, summary="Erase an org")
def erase_org(
    org_id: UUID, caller: PartnerCaller, act: AChange, services: AServices, callers: ACallers
) -> AcceptedBody:
    """Forget an org for good: its keys, crawls and answers end now; its rows, vectors and texts follow.

    There is no way back. That it was erased stays in the audit.
    """

    def erase() -> None:
        services.provisioning.org(org_id, partner_id=_partner(caller))
        services.erasure.request(OrgScope(org_id))

    act.change(erase, action="org.erase", object_id=org_id, org_id=org_id)
    callers.forget()
    return AcceptedBody(id=org_id, status="erasing")


@router.get("/erasures/{org_id}", summary="Tell how far an erasure is")
def show_erasure(org_id: UUID, caller: PartnerCaller, services: AServices) -> ErasureBody:
    """Whether anything is left of an org that this partner had erased."""
    found = services.erasure.standing(org_id, partner_id=_partner(caller))
    return ErasureBody.model_validate(found, from_attributes=True)


@router.post("/orgs/{org_id}/widget-token", status_code=201, response_model=OrgBody, summary="Make a new widget token")
def replace_widget_token(org_id: UUID, caller: PartnerCaller, act: ACreation, services: AServices) -> Response:
    """Make another widget token, shown this once; those before are refused from now on."""
    return act.create(
        lambda: _org(services.provisioning.new_widget_token(org_id, partner_id=_partner(caller))),
        action="widget_token.create",
        org_id=org_id,
    )


@router.post("/orgs/{org_id}/api-keys", status_code=201, response_model=NewKeyShown, summary="Make an org key")
def create_key(org_id: UUID, body: NewKeyBody, caller: PartnerCaller, act: ACreation, services: AServices) -> Response:
    """Make a key for an org. It is shown this once."""

    def make() -> NewKeyShown:
        made = services.keys.for_org(
            org_id, name=body.name, scopes=body.scopes, expires_at=body.expires_at, partner_id=_partner(caller)
        )
        return NewKeyShown(
            id=made.id,
            name=made.name,
            api_key=made.shown or "",
            scopes=list(made.scopes),
            created_at=made.created_at,
            expires_at=made.expires_at,
        )

    return act.create(make, action="api_key.create", org_id=org_id)


@router.get("/orgs/{org_id}/api-keys", summary="List an org's keys")
def list_keys(org_id: UUID, caller: PartnerCaller, services: AServices, piece: APiece) -> Page[KeyBody]:
    """The org's keys, oldest first, without their secrets."""
    found = services.keys.list_of_org(org_id, partner_id=_partner(caller), limit=piece.limit, after=piece.after)
    return page_of(found, _key)


@router.delete("/orgs/{org_id}/api-keys/{key_id}", status_code=204, summary="Revoke an org key")
def revoke_key(
    org_id: UUID, key_id: UUID, caller: PartnerCaller, *, act: AChange, services: AServices, callers: ACallers
) -> None:
    """End a key: within a second it is refused everywhere."""
    act.change(
        lambda: services.keys.revoke_of_org(key_id, org_id=org_id, partner_id=_partner(caller)),
        action="api_key.revoke",
        object_id=key_id,
        org_id=org_id,
    )
    callers.forget()


def _partner(caller: Caller) -> UUID:
    assert caller.partner_id is not None  # noqa: S101 - of every partner key
    return caller.partner_id


def _org(org: OrgView) -> OrgBody:
    return OrgBody.model_validate(org, from_attributes=True)


def _key(key: KeyView) -> KeyBody:
    return KeyBody.model_validate(key, from_attributes=True)


def _shown(partner: PartnerView) -> PartnerBody:
    return PartnerBody.model_validate(partner, from_attributes=True)
