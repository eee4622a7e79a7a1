"""Nearness scales: one for each org and model, measured aside when what the org knows has changed enough."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from pipeline.db import chunks, nearness_scales, pages
from pipeline.db.engine import Database, Session
from pipeline.db.nearness_scales import NearnessScale
from pipeline.errors import SitewiseError
from pipeline.logs import get_logger
from pipeline.model import OrgScope
from pipeline.retrieval import nearness
from pipeline.retrieval.nearness import SHIPPED, Scale
from pipeline.services.aside import Aside
from pipeline.services.clock import Clock
from pipeline.services.generations import Knowledge

LEAST_PAGES = 10
"""Live pages below which an org is not measured: a page more would change everything."""

CHANGED = 0.2
"""Share of its pages that an org may have gained or lost since it was measured."""

LOOK_AGAIN = timedelta(minutes=10)
"""How often it is looked whether that is so, of an org that is asked something."""

HITS = 5
"""Asked of the store for each question: the first may have died."""

HELD = 10_000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    scale: Scale
    looked_at: datetime | None
    """When its pages were counted; never, as far as this process knows, for one that was read."""


class NearnessScales:
    """Hands out scales at once: the one measured last, else the shipped one. Safe to use from many threads."""

    def __init__(self, database: Database, clock: Clock, *, knowledge: Callable[[], Knowledge]) -> None:
        """Work on this database, and measure with what answers."""
        self._database = database
        self._clock = clock
        self._knowledge = knowledge
        self._held: OrderedDict[tuple[UUID, str], _Held] = OrderedDict()
        self._lock = Lock()
        self.aside = Aside()

    def current(self, session: Session, *, scope: OrgScope, model: str) -> Scale:
        """The scale of an org under a model, as it is held here or stored. Nobody waits for a measurement.

        Args:
            session: A transaction that reads.
            scope: The org.
            model: The fingerprint of the model that answers.
        """
        key = (scope.org_id, model)
        with self._lock:
            held = self._held.get(key)
        if held is None:
            row = nearness_scales.get(session, org_id=scope.org_id, model=model, version=nearness.VERSION)
            held = _Held(_scale(row), None)
            self._hold(key, held)
        if held.looked_at is None or self._clock() - held.looked_at >= LOOK_AGAIN:
            self._hold(key, _Held(held.scale, self._clock()))
            self.aside.soon(key, lambda: self._look_aside(scope, model))
        return held.scale

    def refresh(self, *, scope: OrgScope, model: str) -> Scale:
        """Measure an org if its knowledge has changed enough, or nobody did yet; what holds from here on.

        Raises:
            TemporaryError: If the database, the model or the store is away.
        """
        with self._database.read() as session:
            count = pages.count_answering(session, org_id=scope.org_id)
            row = nearness_scales.get(session, org_id=scope.org_id, model=model, version=nearness.VERSION)
        if count < LEAST_PAGES:
            scale = SHIPPED
        elif row is not None and abs(row.pages - count) <= CHANGED * row.pages:
            scale = _scale(row)
        else:
            scale = self._measure(scope, model, count)
        self._hold((scope.org_id, model), _Held(scale, self._clock()))
        return scale

    def close(self) -> None:
        """Measure no more; what is being measured is finished."""
        self.aside.close()

    def _look_aside(self, scope: OrgScope, model: str) -> None:
        try:
            self.refresh(scope=scope, model=model)
        except SitewiseError as error:  # the scale before holds; the next look tries again
            log.warning("nearness not measured", org=str(scope.org_id), problem=str(error))

    def _measure(self, scope: OrgScope, model: str, count: int) -> Scale:
        knowledge = self._knowledge()
        if knowledge.embedder.identity.fingerprint != model:  # it answers no more
            return SHIPPED
        store = knowledge.store()
        store.prepare(knowledge.embedder.identity)
        vectors = knowledge.embedder.encode_queries(nearness.QUESTIONS)
        found = [store.search(vector, None, limit=HITS, scope=scope).dense for vector in vectors]
        with self._database.read() as session:
            live = chunks.live(session, {hit.id for hits in found for hit in hits}, org_id=scope.org_id)
        firsts = (next((hit.score for hit in hits if hit.id in live), None) for hits in found)
        scale = nearness.measure(vectors, [score for score in firsts if score is not None])
        with self._database.write() as session:
            nearness_scales.keep(
                session,
                org_id=scope.org_id,
                model=model,
                version=nearness.VERSION,
                usual=scale.usual,
                apart=scale.apart,
                alike=scale.alike,
                pages=count,
                now=self._clock(),
            )
        log.info("nearness measured", org=str(scope.org_id), usual=round(scale.usual, 3), pages=count)
        return scale

    def _hold(self, key: tuple[UUID, str], held: _Held) -> None:
        with self._lock:
            self._held[key] = held
            self._held.move_to_end(key)
            while len(self._held) > HELD:
                self._held.popitem(last=False)


def _scale(row: NearnessScale | None) -> Scale:
    return SHIPPED if row is None else Scale(usual=row.usual, apart=row.apart, alike=row.alike)
