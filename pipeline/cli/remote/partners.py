"""Orgs and their keys, for the partner whose key it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn
from uuid import UUID

from pipeline.cli.reach import NotOverServer, sentence_for
from pipeline.cli.remote.views import Remote, view_of
from pipeline.client import Client, partner
from pipeline.db.paging import Listed
from pipeline.errors import InvalidInput, KeyNotFound, OrgNotFound
from pipeline.model import OrgScope
from pipeline.services.keys import KeyView

ACTIVE = "active"
"""How the partner stands whose key was taken."""


@dataclass(frozen=True, slots=True)
class RemoteOrg:
    """An org, as lists name it."""

    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RemotePartner:
    """The partner."""

    id: UUID
    name: str
    status: str


class RemoteOrgs(Remote):
    """The partner's orgs."""

    def list_all(self) -> list[RemoteOrg]:
        """All of them, by name."""
        found = [view_of(RemoteOrg, one) for one in self._client.each(partner.orgs())]
        return sorted(found, key=lambda org: org.name)

    def find(self, name: str) -> OrgScope:
        """The org of this name, of the partner's own id for it, or of this id.

        Raises:
            OrgNotFound: If the partner has none.
            InvalidInput: If it has several of this name.
        """
        found = [
            org for org in self._client.each(partner.orgs()) if name in {org["name"], org["external_id"], org["id"]}
        ]
        if not found:
            raise OrgNotFound(org=name)
        if len(found) > 1:
            raise InvalidInput(org=name, problem="several have this name", allowed="an id")
        return OrgScope(UUID(found[0]["id"]))

    def of_id(self, org_id: UUID) -> OrgScope:
        """The org of this id."""
        return self.find(str(org_id))


class RemoteErasure(Remote):
    """Orgs that are to be forgotten."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._asked: list[UUID] = []

    def request(self, scope: OrgScope) -> None:
        """Forget an org."""
        self._client.send(partner.erase_org(str(scope.org_id)))
        self._asked.append(scope.org_id)

    def waiting(self) -> list[UUID]:
        """Those asked for of which something is left."""
        return [one for one in self._asked if self._client.send(partner.erasure(str(one)))["status"] == "erasing"]

    def go_on(self, *, lasting: timedelta) -> int:
        """The deployment's upkeep does it."""
        del lasting
        return 0


class RemoteKeys(Remote):
    """Keys of one of the partner's orgs."""

    def __init__(self, client: Client, org: Callable[[], UUID]) -> None:
        super().__init__(client)
        self._org = org

    def for_org(
        self,
        org_id: UUID,
        *,
        name: str,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        partner_id: UUID | None,
    ) -> KeyView:
        """A new key."""
        del org_id, partner_id
        until = None if expires_at is None else expires_at.isoformat()
        made = self._client.send(partner.add_key(str(self._org()), name, scopes=scopes, expires_at=until))
        shown = made["api_key"]
        never = {"revoked_at": None, "last_used_at": None}
        return view_of(KeyView, made, kind="org", last_four=shown[-4:], shown=shown, **never)

    def list_of_org(self, org_id: UUID, *, partner_id: UUID | None) -> Listed[KeyView]:
        """All of them, oldest first."""
        del org_id, partner_id
        found = self._client.each(partner.keys(str(self._org())))
        return Listed(tuple(view_of(KeyView, one, kind="org") for one in found))

    def revoke(self, key_id: UUID) -> None:
        """End a key.

        Raises:
            KeyNotFound: If the org has none of this id.
        """
        self._sent(partner.revoke_key(str(self._org()), str(key_id)), KeyNotFound(key=key_id))

    def for_partner(self, partner_id: UUID, *, name: str) -> NoReturn:
        """A partner makes no key of its own."""
        del partner_id, name
        raise NotOverServer(why=sentence_for("partner create"))

    def list_of_partner(self, partner_id: UUID) -> NoReturn:
        """Likewise."""
        del partner_id
        raise NotOverServer(why=sentence_for("partner create"))


class RemotePartners(Remote):
    """The partner whose key it is."""

    def list_partners(self) -> list[RemotePartner]:
        """It alone."""
        return [view_of(RemotePartner, self._client.send(partner.show()), status=ACTIVE)]

    def add_partner(self, name: str, **fields: object) -> NoReturn:
        """Only who runs the deployment does."""
        del name, fields
        raise NotOverServer(why=sentence_for("partner create"))

    def set_partner_status(self, partner_id: UUID, status: str) -> NoReturn:
        """Only who runs the deployment does."""
        del partner_id, status
        raise NotOverServer(why=sentence_for("partner deactivate"))


class RemoteLimits(Remote):
    """Limits of an org's own."""

    def set_own(self, limits: object, *, scope: object) -> NoReturn:
        """Only who runs the deployment does."""
        del limits, scope
        raise NotOverServer(why=sentence_for("partner limits"))


class RemoteAudit:
    """The server writes down by itself what was done."""

    def note(self, deed: object) -> None:
        """Nothing is written here."""
