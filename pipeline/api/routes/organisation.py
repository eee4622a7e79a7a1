"""An org's settings and its audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from pipeline.api.acts import AChange
from pipeline.api.caller import AServices, org_caller, org_of
from pipeline.api.models.organisation import AuditBody, ChangeBody, DraftBody, SettingsBody, SettingsChange
from pipeline.api.paging import APiece, Page, page_of
from pipeline.services.audit import AuditView
from pipeline.services.keys import Caller
from pipeline.services.org_settings import ChangeView, SettingsView

router = APIRouter(tags=["organisation"])

Reader = Annotated[Caller, Depends(org_caller("org:read"))]
Writer = Annotated[Caller, Depends(org_caller("org:write"))]
Auditor = Annotated[Caller, Depends(org_caller("audit:read"))]


@router.get("/org/settings", summary="Show the org's settings")
def show_settings(caller: Reader, services: AServices) -> SettingsBody:
    """What is in force, what is inherited from the partner, and the draft."""
    return _settings(services.org_settings.show(scope=org_of(caller)))


@router.patch("/org/settings", summary="Change the org's settings")
def change_settings(body: SettingsChange, caller: Writer, act: AChange, services: AServices) -> SettingsBody:
    """Set what is given; every change is kept in the history."""
    scope, values = org_of(caller), body.model_dump(exclude_unset=True)
    changed = act.change(
        lambda: services.org_settings.change(values, scope=scope, key_id=caller.key_id),
        action="settings.change",
        object_id=scope.org_id,
    )
    return _settings(changed)


@router.put("/org/settings/draft", summary="Draft instructions")
def draft_instructions(body: DraftBody, caller: Writer, act: AChange, services: AServices) -> SettingsBody:
    """Keep instructions that are not in force before they are published."""
    scope = org_of(caller)
    changed = act.change(
        lambda: services.org_settings.draft(body.ai_instructions, scope=scope),
        action="instructions.draft",
        object_id=scope.org_id,
    )
    return _settings(changed)


@router.post("/org/settings/publish", summary="Publish the draft")
def publish_instructions(caller: Writer, act: AChange, services: AServices) -> SettingsBody:
    """Let the drafted instructions apply, from now on."""
    scope = org_of(caller)
    changed = act.change(
        lambda: services.org_settings.publish(scope=scope, key_id=caller.key_id),
        action="instructions.publish",
        object_id=scope.org_id,
    )
    return _settings(changed)


@router.get("/org/settings/history", summary="List changes of settings")
def list_changes(caller: Reader, services: AServices, piece: APiece) -> Page[ChangeBody]:
    """What the settings were before, newest first."""
    found = services.org_settings.history(scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, _change)


@router.get("/audit", summary="List what was done")
def list_audit(caller: Auditor, services: AServices, piece: APiece) -> Page[AuditBody]:
    """Who (which key) did what to which object, with what result and from where, newest first."""
    found = services.audit.of_org(scope=org_of(caller), limit=piece.limit, after=piece.after)
    return page_of(found, _entry)


def _settings(view: SettingsView) -> SettingsBody:
    return SettingsBody.model_validate(view, from_attributes=True)


def _change(view: ChangeView) -> ChangeBody:
    return ChangeBody.model_validate(view, from_attributes=True)


def _entry(view: AuditView) -> AuditBody:
    return AuditBody.model_validate(view, from_attributes=True)
