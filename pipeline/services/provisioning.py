"""Partners and the orgs they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pipeline.db import api_keys, orgs, partners
from pipeline.db.engine import Database
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place
from pipeline.db.partners import Partner
from pipeline.errors import InvalidInput, OrgExists
from pipeline.services.clock import Clock
from pipeline.services.free_json import as_kept
from pipeline.services.keys import add_key
from pipeline.services.limits import LimitService
from pipeline.services.partner_orgs import org_of
from pipeline.services.training_budget import RoomCheck

NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class NewOrg:
    """What a partner says of a customer."""

    name: str
    external_id: str | None = None
    website: str | None = None
    language: str = "en"
    ai_instructions: str = ""
    integrations: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrgView:
    """An org as its partner sees it."""

    id: UUID
    name: str
    external_id: str | None
    website: str | None
    language: str
    ai_instructions: str
    integrations: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    widget_token: str | None = field(default=None, repr=False)
    """A widget key, where it was just made."""


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A partner, its branding and what its orgs inherit."""

    id: UUID
    name: str
    status: str
    logo: str | None
    app_name: str | None
    default_instructions: str
    created_at: datetime
    updated_at: datetime


class ProvisioningService:
    """Makes partners, and orgs for them."""

    def __init__(self, database: Database, limits: LimitService, clock: Clock, *, check: RoomCheck) -> None:
        """Work on this database; `check` refuses instructions that no briefing could hold."""
        self._database = database
        self._limits = limits
        self._clock = clock
        self._check = check

    def add_partner(
        self, name: str, *, logo: str | None = None, app_name: str | None = None, default_instructions: str = ""
    ) -> PartnerView:
        """A new partner.

        Raises:
            InvalidInput: If the name is empty, too long, or another partner's.
            InstructionsTooLong: If `default_instructions` do not fit into a briefing.
        """
        _check_name(name)
        self._check.of_default(default_instructions)
        now = self._clock()
        with self._database.write() as session:
            if partners.find(session, name) is not None:
                raise InvalidInput(field="name", given=name, problem="another partner has this name")
            partner = Partner(
                id=uuid4(),
                name=name,
                status=partners.ACTIVE,
                logo=logo,
                app_name=app_name,
                default_instructions=default_instructions,
                created_at=now,
                updated_at=now,
            )
            session.add(partner)
            return partner_view(partner)

    def list_partners(self) -> list[PartnerView]:
        """Every partner, by name."""
        with self._database.read() as session:
            return [partner_view(partner) for partner in partners.listing(session)]

    def partner(self, partner_id: UUID) -> PartnerView:
        """The partner.

        Raises:
            PartnerNotFound: If there is none.
        """
        with self._database.read() as session:
            return partner_view(partners.get(session, partner_id))

    def set_partner_status(self, partner_id: UUID, status: str) -> PartnerView:
        """Refuse every key of a partner and of its orgs, or take them again.

        Raises:
            PartnerNotFound: If there is none.
            InvalidInput: If there is no such status.
        """
        if status not in {partners.ACTIVE, partners.INACTIVE}:
            raise InvalidInput(field="status", given=status, allowed=f"{partners.ACTIVE}, {partners.INACTIVE}")
        with self._database.write() as session:
            partner = partners.get(session, partner_id)
            partner.status, partner.updated_at = status, self._clock()
            return partner_view(partner)

    def add_org(self, new: NewOrg, *, partner_id: UUID) -> OrgView:
        """A new org of the partner's, with a widget token that is shown this once.

        Raises:
            OrgExists: If the partner has one of this external_id; its id is among the facts.
            InstructionsTooLong: If its instructions do not fit into a briefing.
            QuotaReached: If the partner has as many as it may have.
            InvalidInput: If the name is empty or too long, or `integrations` cannot be kept.
        """
        _check_name(new.name)
        check_integrations(new.integrations)
        now = self._clock()
        with self._database.write() as session:
            self._limits.check_count("orgs", orgs.count_of_partner(session, partner_id), own={})
            org = orgs.add(
                session,
                name=new.name,
                external_id=new.external_id,
                website=new.website,
                language=new.language,
                ai_instructions=new.ai_instructions,
                integrations=new.integrations,
                partner_id=partner_id,
                now=now,
            )
            if org is None:
                there = orgs.find_external(session, new.external_id or "", partner_id=partner_id)
                raise OrgExists(org=there.id if there else None, external_id=new.external_id)
            self._check.of_org(session, org.id)
            token = add_key(session, api_keys.WIDGET, "widget", now=now, org_id=org.id)
            return org_view(org, widget_token=token.shown)

    def list_orgs(
        self, *, partner_id: UUID, limit: int = 20, after: Place | None = None, external_id: str | None = None
    ) -> Listed[OrgView]:
        """The partner's orgs, oldest first; with `external_id`, the one that is called so."""
        with self._database.read() as session:
            found = orgs.of_partner(session, partner_id, limit=limit, after=after, external_id=external_id)
            return found.each(org_view)

    def org(self, org_id: UUID, *, partner_id: UUID) -> OrgView:
        """The partner's org.

        Raises:
            OrgNotFound: If it has none of this id.
        """
        with self._database.read() as session:
            return org_view(org_of(session, org_id, partner_id=partner_id))

    def new_widget_token(self, org_id: UUID, *, partner_id: UUID) -> OrgView:
        """Another widget token; those before are refused from now on.

        Raises:
            OrgNotFound: If the partner has no such org.
        """
        now = self._clock()
        with self._database.write() as session:
            org = org_of(session, org_id, partner_id=partner_id)
            api_keys.revoke_all(session, org.id, api_keys.WIDGET, now=now)
            token = add_key(session, api_keys.WIDGET, "widget", now=now, org_id=org.id)
            return org_view(org, widget_token=token.shown)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_LIMIT:
        raise InvalidInput(field="name", allowed=f"1 to {NAME_LIMIT} characters")


def check_integrations(value: object) -> None:
    """Refuse what could not be given back as it was.

    Raises:
        InvalidInput: Saying why.
    """
    try:
        as_kept(value)
    except ValueError as error:
        raise InvalidInput(field="integrations", problem=str(error)) from error


def org_view(org: Org, *, widget_token: str | None = None) -> OrgView:
    """An org's row as its partner sees it."""
    return OrgView(
        id=org.id,
        name=org.name,
        external_id=org.external_id,
        website=org.website,
        language=org.language,
        ai_instructions=org.ai_instructions,
        integrations=org.integrations,
        created_at=org.created_at,
        updated_at=org.updated_at,
        widget_token=widget_token,
    )


def partner_view(partner: Partner) -> PartnerView:
    """A partner's row as it is shown."""
    return PartnerView(
        id=partner.id,
        name=partner.name,
        status=partner.status,
        logo=partner.logo,
        app_name=partner.app_name,
        default_instructions=partner.default_instructions,
        created_at=partner.created_at,
        updated_at=partner.updated_at,
    )
