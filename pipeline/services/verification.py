"""Verification: does the vector store hold exactly what SQL says?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import chunks
from pipeline.db.engine import Database
from pipeline.model import OrgScope, PointRecord, Verification
from pipeline.services.clock import Clock
from pipeline.settings import Settings

SCAN = 1_000
LENGTH_FLOOR = 1e-6


class VerificationService:
    """Compares rows with points."""

    def __init__(
        self, database: Database, settings: Settings, clock: Clock, *, store: Callable[[], VectorStore]
    ) -> None:
        """Compare this database with this store."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._store = store

    def verify(self, *, scope: OrgScope) -> Verification:
        """Count every difference between the org's rows and its points. Changes nothing.

        Points of replaced versions that wait for the sweep are not differences: their rows know them.
        Nor are points that an index task writes meanwhile: their rows are there before them.
        """
        with self._database.read() as session:
            live = set(chunks.of_live_versions(session, org_id=scope.org_id))
            pages_of = chunks.page_ids(session, org_id=scope.org_id)
            before = self._clock() - self._settings.work.sweep_after
            retired = set(chunks.retired_ids(session, org_id=scope.org_id, before=before))
            doubled = chunks.doubled(session, org_id=scope.org_id)
        records = list(self._records(scope))
        if any(record.id not in pages_of for record in records):
            with self._database.read() as session:
                pages_of |= chunks.page_ids(session, org_id=scope.org_id)
        ids = Counter(record.id for record in records)
        return Verification(
            missing=len(live - ids.keys()),
            phantom=sum(record.id not in pages_of for record in records),
            duplicate=doubled + sum(count - 1 for count in ids.values()),
            stale=len(retired & ids.keys()),
            zero=sum(record.norm < LENGTH_FLOOR for record in records),
            foreign=sum(
                record.org_id != scope.org_id or pages_of.get(record.id, record.page_id) != record.page_id
                for record in records
            ),
        )

    def _records(self, scope: OrgScope) -> Iterator[PointRecord]:
        after: UUID | None = None
        while batch := self._store().scan(scope=scope, after=after, limit=SCAN):
            yield from batch
            after = batch[-1].id
