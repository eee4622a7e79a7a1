"""The change from one generation to another, and the end of what is used up. Needs no model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import chunks, generations, nearness_scales, scenario_matchers, scenarios
from pipeline.db.engine import Database
from pipeline.db.generations import DROPPING, FILLING, GONE, KEPT, SERVING, Standing
from pipeline.logs import get_logger
from pipeline.services.clock import Clock
from pipeline.settings import Settings

ROWS_AT_A_TIME = 2_000

log = get_logger(__name__)


class GenerationChange:
    """Changes over when nothing is missing, and drops what nobody goes back to. Harmless when done by two at once."""

    def __init__(
        self, database: Database, settings: Settings, clock: Clock, *, store: Callable[[], VectorStore]
    ) -> None:
        """Work on this database and this vector store."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._store = store

    def settle(self, *, lasting: timedelta) -> None:
        """Change over if nothing is missing; drop, for about so long, what is used up.

        Raises:
            TemporaryError: If the database or the store is away; the next call goes on.
        """
        self.carry_out()
        now = self._clock()
        with self._database.write() as session:
            if any(self._is_over(one, now=now) for one in generations.standing(session)):
                for one in generations.hold(session, to_change=True):
                    if self._is_over(one, now=now):
                        generations.set_state(session, one.number, DROPPING, now=now)
            dropping = [one for one in generations.every(session) if one.state == DROPPING]
        end = time.monotonic() + lasting.total_seconds()
        for row in dropping:
            self._drop(row, end=end)

    def _is_over(self, one: Standing, *, now: datetime) -> bool:
        """Whether the time is over in which somebody may go back to it."""
        return one.state == KEPT and now - one.changed_at >= self._settings.work.keep_generation

    def carry_out(self) -> bool:
        """Let the filled generation answer, in every process at once, if nothing of anybody is missing in it."""
        with self._database.read() as session:
            filling = in_state(generations.standing(session), FILLING)
            if filling is None or filling.is_paused or not generations.is_whole(session, filling.number):
                return False
        now = self._clock()
        with self._database.write() as session:
            standing = generations.hold(session, to_change=True)
            filling, serving = in_state(standing, FILLING), in_state(standing, SERVING)
            if filling is None or serving is None or filling.is_paused:
                return False
            if not generations.is_whole(session, filling.number):
                return False
            generations.set_state(session, serving.number, KEPT, now=now)
            generations.set_state(session, filling.number, SERVING, now=now)
            generations.note_all_whole(session, serving.number)
        log.info("another model answers", generation=filling.number, before=serving.number)
        return True

    def _drop(self, row: generations.Generation, *, end: float) -> None:
        """Remove a generation bit by bit, when nobody can be reading or writing it any more: points, then rows."""
        now = self._clock()
        with self._database.read() as session:
            if generations.is_held(session, now=now, number=row.number):
                return
        if now - row.changed_at < self._settings.work.sweep_after:
            return
        self._store().at(row.number).drop()
        for step in (self._drop_chunks, self._drop_learnt, self._drop_notes):
            while step(row):
                if time.monotonic() > end:
                    return
        with self._database.write() as session:
            generations.set_state(session, row.number, GONE, now=now)
        log.info("vectors of a model are gone", generation=row.number, model=row.name)

    def _drop_chunks(self, row: generations.Generation) -> int:
        with self._database.write() as session:
            return chunks.drop_some_of_model(session, row.model, limit=ROWS_AT_A_TIME)

    def _drop_learnt(self, row: generations.Generation) -> int:
        with self._database.write() as session:
            scenario_matchers.forget(session, model=row.model)
            nearness_scales.forget(session, model=row.model)
            return scenarios.forget_trigger_vectors(session, model=row.model, limit=ROWS_AT_A_TIME)

    def _drop_notes(self, row: generations.Generation) -> int:
        with self._database.write() as session:
            gone = generations.forget_some(session, row.number, limit=ROWS_AT_A_TIME)
            return gone if gone == ROWS_AT_A_TIME else 0


def in_state(standing: Sequence[Standing], state: str) -> Standing | None:
    """The one generation in this state, if there is one."""
    return next((one for one in standing if one.state == state), None)
