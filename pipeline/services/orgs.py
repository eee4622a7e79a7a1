"""Orgs: the tenants, found by name on the command line."""

from __future__ import annotations

from uuid import UUID

from pipeline.db import orgs
from pipeline.db.engine import Database
from pipeline.db.orgs import Org
from pipeline.errors import InvalidInput, OrgNotFound
from pipeline.model import OrgScope
from pipeline.services.clock import Clock

DEFAULT_ORG = "default"
NAME_LIMIT = 200


class OrgService:
    """Creates and finds orgs."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Work on this database."""
        self._database = database
        self._clock = clock

    def ensure(self, name: str = DEFAULT_ORG) -> OrgScope:
        """The org of this name, made if there is none.

        Raises:
            InvalidInput: If the name is empty or longer than 200 characters.
        """
        if not name.strip() or len(name) > NAME_LIMIT:
            raise InvalidInput(field="org", allowed=f"a name of 1 to {NAME_LIMIT} characters")
        now = self._clock()
        with self._database.write() as session:
            return OrgScope(orgs.ensure(session, name, now=now).id)

    def find(self, name: str = DEFAULT_ORG) -> OrgScope:
        """The org of this name.

        Raises:
            OrgNotFound: If there is none.
        """
        with self._database.read() as session:
            org = orgs.find(session, name)
        if org is None:
            raise OrgNotFound(org=name)
        return OrgScope(org.id)

    def of_id(self, org_id: UUID) -> OrgScope:
        """The org of this id, whoever's it is.

        Raises:
            OrgNotFound: If there is none.
        """
        with self._database.read() as session:
            return OrgScope(orgs.get(session, org_id).id)

    def list_all(self) -> list[Org]:
        """Every org, by name."""
        with self._database.read() as session:
            return orgs.listing(session)
