"""Erasing an org: refused from one commit on, then forgotten, rows first, then bytes.

An org with `erased_at` is one that has not gone yet. Each step looks at what is left, so that a crash anywhere is
made good by the next call, by whoever makes it. Its own row goes last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import (
    audit_entries,
    crawls,
    datasources,
    erasing,
    generations,
    hosts,
    index_queue,
    orgs,
    outbox,
    page_versions,
    robots,
)
from pipeline.db.audit_entries import AuditEntry
from pipeline.db.engine import Database, Session
from pipeline.db.orgs import Org
from pipeline.errors import OrgNotFound
from pipeline.logs import get_logger
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.urls import split

ROWS_AT_A_TIME = 2_000
ERASED = "org.erased"
"""What the audit says once nothing is left."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Erasing:
    """How far an erasure is: `erasing`, then `erased`, with the moment its last byte went."""

    id: UUID
    status: str
    erased_at: datetime | None


class ErasureService:
    """Erases orgs."""

    def __init__(self, database: Database, clock: Clock, *, store: Callable[[], VectorStore]) -> None:
        """Erase from this database and this vector store."""
        self._database = database
        self._clock = clock
        self._store = store
        self._overwritten: set[UUID] = set()

    def request(self, scope: OrgScope) -> None:
        """Refuse an org from this commit on: its keys, its crawls, every answer. The rest follows by itself.

        What names it is gone at once, so that another org may have its name. Whoever writes for it just now is waited
        for, and its own row is changed last: what they write refers to it.

        Raises:
            OrgNotFound: If there is none, or its erasure was asked for before.
        """
        now = self._clock()
        with self._database.write() as session:
            orgs.hold(session, scope.org_id)
            org = orgs.get(session, scope.org_id)
            session.refresh(org)
            sources = datasources.listing(session, org_id=org.id)
            datasources.hold(session, [source.id for source in sources])
            crawls.cancel_all(session, org_id=org.id, now=now)
            page_versions.supersede_all(session, org_id=org.id)
            for source in sources:
                source.deleted_at, source.next_crawl_at, source.updated_at = now, None, now
            session.flush()
            org.erased_at = org.updated_at = now
            org.name, org.external_id, org.website = f"erased {org.id}", None, None
            org.ai_instructions, org.draft_instructions, org.integrations = "", None, {}
        log.info("org refused, to be erased", org=str(scope.org_id))

    def waiting(self) -> list[UUID]:
        """Orgs whose erasure was asked for and is not finished."""
        with self._database.read() as session:
            return orgs.erased(session)

    def standing(self, org_id: UUID, *, partner_id: UUID) -> Erasing:
        """How far the erasure of a partner's org is.

        Raises:
            OrgNotFound: If the partner asked for none of an org of this id.
        """
        with self._database.read() as session:
            if org_id in orgs.erased(session, partner_id=partner_id):
                return Erasing(org_id, "erasing", erased_at=None)
            at = audit_entries.when(session, action=ERASED, object_id=str(org_id), partner_id=partner_id)
        if at is None:
            raise OrgNotFound(org=org_id)
        return Erasing(org_id, "erased", erased_at=at)

    def go_on(self, *, lasting: timedelta) -> int:
        """Erase for about so long. Returns how many orgs are gone for good.

        Raises:
            TemporaryError: If the database or the vector store is away, or busy; the next call goes on.
        """
        waiting = self.waiting()
        end = time.monotonic() + lasting.total_seconds()
        bare = [org_id for org_id in waiting if self._is_bare(org_id, end=end)]
        if not set(bare) <= self._overwritten:
            erasing.overwrite(self._database)
            self._overwritten.update(bare)
        for org_id in bare:
            with self._database.read() as session:
                numbers = generations.stored(session)
            for number in numbers:
                self._store().at(number).erase(scope=OrgScope(org_id))
            self._finish(org_id)
        return len(bare)

    def _is_bare(self, org_id: UUID, *, end: float) -> bool:
        """Delete rows of an org until `end`; whether none is left. One that somebody indexes just now waits."""
        with self._database.read() as session:
            now = self._clock()
            if index_queue.is_held(session, org_id=org_id, now=now) or generations.is_held(
                session, org_id=org_id, now=now
            ):
                return False
        with self._database.write() as session:
            _forget_shared(session, org_id, now=self._clock())
        for table in erasing.tables():
            while self._delete_some(table, org_id) == ROWS_AT_A_TIME:
                if time.monotonic() > end:
                    return False
        return True

    def _delete_some(self, table: erasing.OrgTable, org_id: UUID) -> int:
        with self._database.write() as session:
            orgs.hold(session, org_id)
            return erasing.delete_some(session, table, org_id, limit=ROWS_AT_A_TIME)

    def _finish(self, org_id: UUID) -> None:
        """Delete the org's own row. That it was erased, and when, stays in the audit, under its partner."""
        with self._database.write() as session:
            org = session.get(Org, org_id)
            if org is None:
                return
            session.add(
                AuditEntry(
                    id=uuid4(),
                    at=self._clock(),
                    partner_id=org.partner_id,
                    action=ERASED,
                    object_kind="org",
                    object_id=str(org_id),
                    result="done",
                )
            )
            session.flush()
            orgs.drop(session, org_id)
        self._overwritten.discard(org_id)
        log.info("org erased", org=str(org_id))


def _forget_shared(session: Session, org_id: UUID, *, now: datetime) -> None:
    """What all orgs share and may name this one: robots.txt answers, and hosts that no other org reads.

    The answers are copies, asked for again when they are needed; all of them go, as none says whose it was.
    """
    own = {split(url).site for url in datasources.urls(session, org_id=org_id)}
    if not own:
        return
    robots.forget_all(session)
    outbox.forget(session, org_id)
    others = {split(url).site for url in datasources.urls_elsewhere(session, org_id=org_id)}
    hosts.forget_sites(session, own - others, now=now)
