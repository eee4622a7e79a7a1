"""Briefings kept: written after the answer is given, read again as they were, forgotten when their time is over."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from pipeline.db import briefings
from pipeline.db.briefings import Kept
from pipeline.db.engine import Database
from pipeline.errors import BriefingNotFound, SitewiseError
from pipeline.logs import get_logger
from pipeline.model import Behavior, Briefing, FiredScenario, OrgScope, Passage
from pipeline.services.clock import Clock

log = get_logger(__name__)

WAITING = 256
"""Briefings that may wait to be written. More are not kept: answers go before their records."""

TOGETHER = 32
"""Briefings written in one transaction."""

LONGEST_WAIT = timedelta(milliseconds=100)
"""A briefing is written at the next good moment, and after so long at any."""

Compose = Callable[[], Briefing]
"""Makes the briefing with its trace: work that nobody who asked waits for."""


@dataclass(frozen=True, slots=True)
class StoredBriefing:
    """A briefing as it was given, the message it answered, and when."""

    message: str
    asked_at: datetime
    kept_until: datetime
    briefing: Briefing


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: UUID
    scope: OrgScope
    asked_at: datetime
    message: str
    compose: Compose


class BriefingArchive:
    """Stores each briefing in a thread of its own, begun at the first. Close it to have the last ones written."""

    def __init__(self, database: Database, clock: Clock, *, keep: timedelta) -> None:
        """Keep briefings in this database for that long; for no time at all, keep none."""
        self._database = database
        self._clock = clock
        self._keep = keep
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(maxsize=WAITING)
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()
        self._turn = threading.Event()
        self._awaited = 0
        self._counting = threading.Lock()

    def go_ahead(self) -> None:
        """Write now what waits: whoever asks waits for something else, so that nobody is kept from computing."""
        self._turn.set()

    def keep(self, briefing_id: UUID, message: str, compose: Compose, *, scope: OrgScope, asked_at: datetime) -> None:
        """Have a briefing stored soon. It returns at once, and never fails an answer."""
        if not self._keep:
            return
        self._start()
        try:
            self._waiting.put_nowait(_Waiting(briefing_id, scope, asked_at, message, compose))
        except queue.Full:
            log.warning("briefing not stored", briefing=str(briefing_id), problem="too many wait to be written")

    def get(self, briefing_id: UUID, *, scope: OrgScope) -> StoredBriefing:
        """The briefing as it was given, whatever became of its pages and scenarios.

        Raises:
            BriefingNotFound: If the org has none of this id, or its time is over.
            TemporaryError: If the database is away.
        """
        self.flush()
        with self._database.read() as session:
            row = briefings.get(session, briefing_id, org_id=scope.org_id)
        if row.asked_at + self._keep < self._clock():
            raise BriefingNotFound(briefing=briefing_id)
        body = json.loads(row.body)
        return StoredBriefing(body["message"], row.asked_at, row.asked_at + self._keep, _thawed(body["briefing"]))

    def flush(self) -> None:
        """Wait until what was handed over so far is written, or could not be."""
        if self._writer is not None:
            with self._hurried():
                self._waiting.join()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        with self._lock:
            if self._writer is not None:
                self._waiting.put(None)
                with self._hurried():
                    self._writer.join()
                self._writer = None

    @contextmanager
    def _hurried(self) -> Iterator[None]:
        """Every moment is a good one meanwhile."""
        with self._counting:
            self._awaited += 1
        self._turn.set()
        try:
            yield
        finally:
            with self._counting:
                self._awaited -= 1

    def _start(self) -> None:
        if self._writer is None:
            with self._lock:
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write_all, name="briefings", daemon=True)
                    self._writer.start()

    def _write_all(self) -> None:
        while True:
            batch = [self._waiting.get()]
            self._turn.clear()
            if not self._awaited:
                self._turn.wait(LONGEST_WAIT.total_seconds())
            while len(batch) < TOGETHER and not self._waiting.empty():
                batch.append(self._waiting.get())
            self._write([one for one in batch if one is not None])
            for _ in batch:
                self._waiting.task_done()
            if None in batch:
                return

    def _write(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            rows = [Kept(one.id, one.scope.org_id, one.asked_at, _frozen(one)) for one in batch]
            with self._database.write() as session:
                briefings.add(session, rows)
        except SitewiseError as error:
            log.warning("briefings not stored", count=len(batch), problem=str(error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one record, the next answers are recorded
            log.error("briefings not stored", count=len(batch), error=type(error).__name__)  # noqa: TRY400 - a trace shows customer text


def _frozen(waiting: _Waiting) -> str:
    """The record as JSON, written from the values themselves: a copy as dictionaries would cost three times as much."""
    return _RECORDS.dump_json(_Record(waiting.message, waiting.compose())).decode()


@dataclass(frozen=True, slots=True)
class _Record:
    message: str
    briefing: Briefing


_RECORDS = TypeAdapter(_Record)


def _thawed(row: Mapping[str, Any]) -> Briefing:
    return Briefing(
        id=UUID(row["id"]),
        answerable=row["answerable"],
        profile=row["profile"],
        behaviors=tuple(Behavior(**one | {"id": UUID(one["id"])}) for one in row["behaviors"]),
        scenarios=tuple(FiredScenario(**one | {"id": UUID(one["id"])}) for one in row["scenarios"]),
        passages=tuple(_passage(one) for one in row["passages"]),
        prompt=row["prompt"],
        trace=row["trace"],
        degraded=tuple(row.get("degraded", ())),
    )


def _passage(row: Mapping[str, Any]) -> Passage:
    changed = row["changed_at"]
    return Passage(
        **{
            **row,
            "id": UUID(row["id"]),
            "heading_path": tuple(row["heading_path"]),
            "fetched_at": datetime.fromisoformat(row["fetched_at"]),
            "changed_at": None if changed is None else datetime.fromisoformat(changed),
        }
    )
