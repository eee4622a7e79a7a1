"""What was deleted is removed bit by bit: points first, then the rows that know them.

Everything is found by what is left, so whoever is killed on the way, or does it beside another, does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import bodies, chunks, crawls, datasources, frontier, index_queue, page_versions, pages
from pipeline.db.engine import Database
from pipeline.model import OrgScope
from pipeline.services.clock import Clock

PAGES_AT_A_TIME = 50
CHUNKS_AT_A_TIME = 2_000
URLS_AT_A_TIME = 5_000
DATASOURCES_AT_A_TIME = 20


class Removal:
    """Removes websites that were deleted, and pages that were."""

    def __init__(self, database: Database, clock: Clock, *, store: Callable[[], VectorStore]) -> None:
        """Remove from this database and this vector store."""
        self._database = database
        self._clock = clock
        self._store = store

    def go_on(self, *, lasting: timedelta) -> int:
        """Remove for about so long, or until nothing is left. Returns how many rows and points went.

        A website that somebody indexes pages of just now waits: points that are being written would stay.

        Raises:
            TemporaryError: If the database or the vector store is away; the next call goes on.
        """
        end = time.monotonic() + lasting.total_seconds()
        removed = 0
        with self._database.read() as session:
            found = datasources.deleted(session, limit=DATASOURCES_AT_A_TIME)
            waiting = [(source.id, OrgScope(source.org_id)) for source in found]
        for datasource_id, scope in waiting:
            while time.monotonic() < end and (count := self._step(datasource_id, scope)):
                removed += count
        return removed

    def _step(self, datasource_id: UUID, scope: OrgScope) -> int:
        """One bounded step. Returns how much went; 0 when all is gone, or has to wait."""
        org_id = scope.org_id
        with self._database.read() as session:
            if index_queue.is_held(session, org_id=org_id, now=self._clock(), datasource_id=datasource_id):
                return 0
            page_ids = pages.some(session, datasource_id, limit=PAGES_AT_A_TIME)
            chunk_ids = chunks.of_pages(session, page_ids, limit=CHUNKS_AT_A_TIME)
            crawl_id = crawls.some(session, datasource_id)
        if chunk_ids:
            return self._remove_points(chunk_ids, scope)
        if page_ids:
            return self._remove_pages(page_ids, scope)
        if crawl_id is not None:
            return self._remove_crawl(crawl_id)
        with self._database.write() as session:
            datasources.drop(session, datasource_id)
        return 0

    def _remove_points(self, chunk_ids: list[UUID], scope: OrgScope) -> int:
        with self._database.write() as session:
            chunks.doom_all(session, chunk_ids, now=self._clock())
            there = chunks.by_generation(session, chunk_ids)
        for number, ids in there.items():
            self._store().at(number).delete(ids, scope=scope)
        with self._database.write() as session:
            chunks.drop(session, chunk_ids)
        return len(chunk_ids)

    def _remove_pages(self, page_ids: list[UUID], scope: OrgScope) -> int:
        with self._database.write() as session:
            read = page_versions.bodies_of(session, page_ids)
            pages.drop(session, page_ids)
            bodies.forget(session, read, org_id=scope.org_id)
        return len(page_ids)

    def _remove_crawl(self, crawl_id: UUID) -> int:
        with self._database.write() as session:
            gone = frontier.forget_some(session, crawl_id, limit=URLS_AT_A_TIME)
            if gone < URLS_AT_A_TIME:
                crawls.drop(session, crawl_id)
        return gone + 1
