"""The audit: what was done, by which key, to what, with what result, and from where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from pipeline.db import audit_entries
from pipeline.db.audit_entries import AuditEntry
from pipeline.db.engine import Database
from pipeline.db.paging import Listed, Place
from pipeline.model import OrgScope
from pipeline.services.clock import Clock

DONE = "done"


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done, or refused. Ids and fixed words only: never a text somebody wrote."""

    action: str
    """Such as `org.create`: the kind of object, and the verb."""
    object_kind: str
    object_id: str | None = None
    org_id: UUID | None = None
    partner_id: UUID | None = None
    key_id: UUID | None = None
    result: str = DONE
    """`done`, or the code of the failure."""
    source: str | None = None
    """The address it came from."""
    request_id: str | None = None

    def refused(self, code: str) -> Deed:
        """The same, not done, for the failure of this code."""
        return replace(self, result=code)


@dataclass(frozen=True, slots=True)
class AuditView:
    """One entry, as it is read."""

    id: UUID
    at: datetime
    key_id: UUID | None
    action: str
    object_kind: str
    object_id: str | None
    result: str
    source: str | None
    request_id: str | None


class AuditService:
    """Adds entries and reads them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Write into this database."""
        self._database = database
        self._clock = clock

    def note(self, deed: Deed) -> None:
        """Write it down: inside `Database.together`, in the transaction of the deed itself."""
        with self._database.write() as session:
            session.add(
                AuditEntry(
                    id=uuid4(),
                    at=self._clock(),
                    org_id=deed.org_id,
                    partner_id=deed.partner_id,
                    key_id=deed.key_id,
                    action=deed.action,
                    object_kind=deed.object_kind,
                    object_id=deed.object_id,
                    result=deed.result,
                    source=deed.source,
                    request_id=deed.request_id,
                )
            )

    def of_org(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[AuditView]:
        """What was done in the org, newest first."""
        with self._database.read() as session:
            return audit_entries.of_org(session, scope.org_id, limit=limit, after=after).each(_view)


def _view(entry: AuditEntry) -> AuditView:
    return AuditView(
        id=entry.id,
        at=entry.at,
        key_id=entry.key_id,
        action=entry.action,
        object_kind=entry.object_kind,
        object_id=entry.object_id,
        result=entry.result,
        source=entry.source,
        request_id=entry.request_id,
    )
