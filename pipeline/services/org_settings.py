"""What orgs and their partners set: every change is kept, with who made it and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pipeline.db import org_setting_changes, orgs, partners
from pipeline.db.engine import Database, Session
from pipeline.db.org_setting_changes import OrgSettingChange
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place
from pipeline.errors import InvalidInput, NothingToPublish
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.services.partner_orgs import org_of
from pipeline.services.provisioning import NAME_LIMIT, OrgView, PartnerView, check_integrations, org_view, partner_view
from pipeline.services.training_budget import RoomCheck

INSTRUCTIONS_LIMIT = 20_000
ORG_SETTINGS = frozenset({"name", "website", "language", "integrations"})
PARTNER_SETTINGS = frozenset({"logo", "app_name", "default_instructions"})


@dataclass(frozen=True, slots=True)
class SettingsView:
    """An org's settings as they are in force, and the draft."""

    id: UUID
    name: str
    website: str | None
    language: str
    integrations: dict[str, Any]
    ai_instructions: str
    """In force: the org's own, else its partner's."""
    is_inherited: bool
    draft_instructions: str | None
    logo: str | None
    app_name: str | None
    limits: dict[str, int]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change of a setting."""

    id: UUID
    at: datetime
    key_id: UUID | None
    name: str
    before: Any
    after: Any


class OrgSettingService:
    """Reads and changes settings of orgs and partners."""

    def __init__(self, database: Database, clock: Clock, *, check: RoomCheck) -> None:
        """Work on this database; `check` refuses instructions that no briefing could hold."""
        self._database = database
        self._clock = clock
        self._check = check

    def show(self, *, scope: OrgScope) -> SettingsView:
        """The org's settings.

        Raises:
            OrgNotFound: If there is no such org.
        """
        with self._database.read() as session:
            return _view(session, orgs.get(session, scope.org_id))

    def change(self, values: Mapping[str, Any], *, scope: OrgScope, key_id: UUID | None) -> SettingsView:
        """Set what is named, among `name`, `website`, `language` and `integrations`; the rest stays.

        Raises:
            InvalidInput: If there is no such setting, a name is empty or too long, or `integrations` cannot be kept.
            OrgNotFound: If there is no such org.
        """
        with self._database.write() as session:
            org = orgs.get(session, scope.org_id)
            self._set(session, org, values, key_id=key_id)
            return _view(session, org)

    def change_for_partner(
        self, org_id: UUID, values: Mapping[str, Any], *, partner_id: UUID, key_id: UUID | None
    ) -> OrgView:
        """Likewise, by the org's partner, who may set `external_id` and `ai_instructions` too, the latter at once.

        Raises:
            OrgNotFound: If the partner has no such org.
            OrgExists: If another of its orgs has this external_id.
        """
        with self._database.write() as session:
            org = org_of(session, org_id, partner_id=partner_id)
            values = dict(values)
            if "external_id" in values:
                orgs.check_external(session, values["external_id"], partner_id=partner_id, org_id=org_id)
            for name in ("external_id", "ai_instructions"):
                if name in values:
                    self._replace(session, org, name, values.pop(name), key_id=key_id)
            self._set(session, org, values, key_id=key_id)
            return org_view(org)

    def draft(self, instructions: str | None, *, scope: OrgScope) -> SettingsView:
        """Keep instructions that do not apply yet; None throws the draft away.

        Raises:
            InvalidInput: If they are longer than 20,000 characters.
        """
        if instructions is not None and len(instructions) > INSTRUCTIONS_LIMIT:
            raise InvalidInput(field="ai_instructions", allowed=f"up to {INSTRUCTIONS_LIMIT} characters")
        with self._database.write() as session:
            org = orgs.get(session, scope.org_id)
            org.draft_instructions, org.updated_at = instructions, self._clock()
            return _view(session, org)

    def publish(self, *, scope: OrgScope, key_id: UUID | None) -> SettingsView:
        """Let the drafted instructions apply, from this commit on.

        Raises:
            NothingToPublish: If there is no draft.
            InstructionsTooLong: If they do not fit into a briefing, beside what else always applies.
        """
        with self._database.write() as session:
            org = orgs.get(session, scope.org_id)
            if org.draft_instructions is None:
                raise NothingToPublish
            self._replace(session, org, "ai_instructions", org.draft_instructions, key_id=key_id)
            org.draft_instructions = None
            return _view(session, org)

    def history(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[ChangeView]:
        """What the org's settings were before, newest first."""
        with self._database.read() as session:
            return org_setting_changes.of_org(session, scope.org_id, limit=limit, after=after).each(_change)

    def change_partner(self, values: Mapping[str, Any], *, partner_id: UUID) -> PartnerView:
        """Set a partner's `logo`, `app_name` or `default_instructions`; its orgs inherit them at once.

        Raises:
            InvalidInput: If there is no such setting.
            InstructionsTooLong: If `default_instructions` do not fit into a briefing, beside what always applies in an
                org that would answer by them; it is named.
            PartnerNotFound: If there is none.
        """
        _check_known(values, PARTNER_SETTINGS)
        with self._database.write() as session:
            partner = partners.get(session, partner_id)
            for name, value in values.items():
                setattr(partner, name, value)
            partner.updated_at = self._clock()
            if "default_instructions" in values:
                self._check.of_heirs(session, partner)
            return partner_view(partner)

    def _set(self, session: Session, org: Org, values: Mapping[str, Any], *, key_id: UUID | None) -> None:
        _check_known(values, ORG_SETTINGS)
        name = values.get("name", org.name)
        if not name or not name.strip() or len(name) > NAME_LIMIT:
            raise InvalidInput(field="name", allowed=f"1 to {NAME_LIMIT} characters")
        check_integrations(values.get("integrations", {}))
        for setting, value in values.items():
            self._replace(session, org, setting, value, key_id=key_id)

    def _replace(self, session: Session, org: Org, name: str, value: object, *, key_id: UUID | None) -> None:
        before = getattr(org, name)
        if before == value:
            return
        now = self._clock()
        org_setting_changes.note(session, org.id, name, before=before, after=value, key_id=key_id, now=now)
        setattr(org, name, value)
        org.updated_at = now
        if name == "ai_instructions":
            self._check.of_org(session, org.id)


def _check_known(values: Mapping[str, Any], known: frozenset[str]) -> None:
    if unknown := sorted(values.keys() - known):
        raise InvalidInput(field=", ".join(unknown), allowed=", ".join(sorted(known)))


def _view(session: Session, org: Org) -> SettingsView:
    partner = None if org.partner_id is None else partners.get(session, org.partner_id)
    return SettingsView(
        id=org.id,
        name=org.name,
        website=org.website,
        language=org.language,
        integrations=org.integrations,
        ai_instructions=partners.instructions(session, org),
        is_inherited=not org.ai_instructions and bool(partner and partner.default_instructions),
        draft_instructions=org.draft_instructions,
        logo=partner.logo if partner else None,
        app_name=partner.app_name if partner else None,
        limits=dict(org.limits),
        updated_at=org.updated_at,
    )


def _change(row: OrgSettingChange) -> ChangeView:
    return ChangeView(row.id, row.at, row.key_id, row.name, row.change["before"], row.change["after"])
