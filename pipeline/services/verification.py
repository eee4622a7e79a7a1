"""Verification: does the vector store hold exactly what SQL says?"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import chunks, generations
from pipeline.db.engine import Database, Session
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

    def verify(self, *, scope: OrgScope, generation: int | None = None) -> Verification:
        """Count every difference between the org's rows and its points. Changes nothing.

        Args:
            scope: The org.
            generation: Whose points. Where it is not said, those that answer and those that are kept as the way back,
                their differences added up; what is only being filled lacks points by its nature.

        Points of replaced versions that wait for the sweep are not differences: their rows know them.
        Nor are points that an index task writes meanwhile: their rows are there before them.
        """
        if generation is not None:
            return self._verify(scope, generation)
        with self._database.read() as session:
            numbers = [one.number for one in generations.standing(session) if one.state != generations.FILLING]
        found = [dataclasses.astuple(self._verify(scope, number)) for number in numbers or [generations.FIRST]]
        return Verification(*(sum(counts) for counts in zip(*found, strict=True)))

    def _verify(self, scope: OrgScope, generation: int) -> Verification:
        with self._database.read() as session:
            model = _model(session, generation)
            live = set(chunks.of_live_versions(session, org_id=scope.org_id, model=model))
            pages_of = chunks.page_ids(session, org_id=scope.org_id, model=model)
            before = self._clock() - self._settings.work.sweep_after
            retired = set(chunks.retired_ids(session, org_id=scope.org_id, before=before))
            doubled = chunks.doubled(session, org_id=scope.org_id)
        records = list(self._records(scope, generation))
        if any(record.id not in pages_of for record in records):
            with self._database.read() as session:
                pages_of |= chunks.page_ids(session, org_id=scope.org_id, model=model)
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

    def missing(self, *, scope: OrgScope, generation: int) -> list[UUID]:
        """The org's live chunks that have no point, or one without length, in a generation."""
        with self._database.read() as session:
            model = _model(session, generation)
            live = set(chunks.of_live_versions(session, org_id=scope.org_id, model=model))
        there = {record.id for record in self._records(scope, generation) if record.norm >= LENGTH_FLOOR}
        return sorted(live - there)

    def _records(self, scope: OrgScope, number: int) -> Iterator[PointRecord]:
        after: UUID | None = None
        store = self._store().at(number)
        while batch := store.scan(scope=scope, after=after, limit=SCAN):
            yield from batch
            after = batch[-1].id


def _model(session: Session, number: int) -> str | None:
    """The model of a generation; of one that nobody noted, every row is meant."""
    return next((one.model for one in generations.standing(session) if one.number == number), None)
