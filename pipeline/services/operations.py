"""Operations: who works, what waits and for how long, who holds what, and which parts answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import backlog, dead_letters, workers
from pipeline.db.backlog import Due
from pipeline.db.engine import Database, Session
from pipeline.db.workers import Worker
from pipeline.errors import SitewiseError
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.services.orphans import take_from_dead
from pipeline.settings import Settings, WorkSettings

CRAWL, INDEX, UPKEEP = "crawl", "index", "upkeep"
QUEUES = (CRAWL, INDEX, UPKEEP)

BEAT_EVERY = timedelta(seconds=5)
"""How often a worker writes that it lives."""

SILENT_AFTER = timedelta(seconds=20)
"""A worker that missed so many beats counts as gone."""

FORGET_AFTER = timedelta(minutes=10)
"""Its row goes later: clocks of machines differ."""

UNHEARD_AFTER = timedelta(seconds=30)
"""Work that waited so long, with no worker to take it, is reported."""


@dataclass(frozen=True, slots=True)
class Present:
    """What a worker says of itself."""

    id: UUID
    host: str
    pid: int
    queue: str
    sends_ticks: bool
    started_at: datetime
    job: str | None = None
    took_at: datetime | None = None

    def at(self, job: str | None, took_at: datetime | None) -> Present:
        """The same worker, at this work."""
        return replace(self, job=job, took_at=took_at)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as the outside sees it."""

    id: UUID
    host: str
    pid: int
    queue: str
    sends_ticks: bool
    started_at: datetime
    beat_at: datetime
    job: str | None
    took_at: datetime | None
    is_silent: bool


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue: rows that may be taken now, counted up to 10,000, hints that lie at the broker, and who listens.

    `hints` is None where the broker does not answer.
    """

    name: str
    waiting: int
    waiting_since: datetime | None
    waiting_seconds: float
    hints: int | None
    workers: int
    is_unheard: bool


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The leases of one kind of work. `expired` ones are taken up by the next who looks."""

    kind: str
    held: int
    expired: int
    next_end: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything an operator looks at first."""

    queues: tuple[QueueView, ...]
    workers: tuple[WorkerView, ...]
    beats: int
    """Live workers that send ticks; with none, nothing is started by the clock or taken back."""
    last_tick_at: datetime | None
    leases: tuple[LeaseView, ...]
    stores: dict[str, str]
    """Each part, and `ok` or why it does not answer."""
    dead_letters: int


class OperationsService:
    """Reads how the whole installation is, and keeps the rows of its workers."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        *,
        store: Callable[[], VectorStore],
        hints_waiting: Callable[[], Mapping[str, int]],
    ) -> None:
        """Read this database, and ask this store and this broker whether they answer."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._store = store
        self._hints_waiting = hints_waiting

    def enter(self, queue: str, *, sends_ticks: bool) -> Present:
        """Say that this process begins to listen to a queue. What dead ones of this machine held is free again."""
        take_from_dead(self._database, self._settings.work, now=self._clock())
        me = Present(uuid4(), socket.gethostname(), os.getpid(), queue, sends_ticks, started_at=self._clock())
        self.beat(me)
        return me

    def beat(self, me: Present) -> None:
        """Say that a worker lives, and what it does."""
        row = Worker(
            id=me.id,
            host=me.host,
            pid=me.pid,
            queue=me.queue,
            sends_ticks=me.sends_ticks,
            started_at=me.started_at,
            beat_at=self._clock(),
            job=me.job,
            took_at=me.took_at,
        )
        with self._database.write() as session:
            workers.beat(session, row)

    def leave(self, me: Present) -> None:
        """Say that a worker ends."""
        with self._database.write() as session:
            workers.leave(session, me.id)

    def list_workers(self) -> list[WorkerView]:
        """Workers that live, and for ten minutes those that fell silent."""
        with self._database.read() as session:
            return [_worker(row, now=self._clock()) for row in workers.listing(session)]

    def oldest_due(self, queue: str) -> Due | None:
        """What waits longest for a worker of this queue, and is held by none."""
        now = self._clock()
        with self._database.read() as session:
            if queue == CRAWL:
                return backlog.oldest_due_crawl(session, now=now, most_of_org=self._settings.work.org_crawls)
            if queue == INDEX:
                return backlog.oldest_due_page(session, attempts=self._settings.work.attempts, now=now)
            return backlog.oldest_unsent_hint(session)

    def overview(self, *, scope: OrgScope) -> Overview:
        """How it all stands now. A part that is away is named as such, and nothing waits for it."""
        stores = {"database": "ok"}
        hints = self._ask_broker(stores)
        self._ask_store(stores, scope)
        now = self._clock()
        with self._database.read() as session:
            listed = tuple(_worker(row, now=now) for row in workers.listing(session))
            live = [worker for worker in listed if not worker.is_silent]
            queues = tuple(_queues(session, live, hints, self._settings.work, now=now))
            held = {
                CRAWL: backlog.crawl_leases(session, now=now),
                INDEX: backlog.page_leases(session, now=now),
            }
            dead = dead_letters.count(session, org_id=scope.org_id)
        ticks = [worker.took_at for worker in live if worker.queue == UPKEEP and worker.took_at]
        return Overview(
            queues=queues,
            workers=listed,
            beats=sum(worker.sends_ticks for worker in live),
            last_tick_at=max(ticks, default=None),
            leases=tuple(LeaseView(kind, rows.held, rows.expired, rows.next_end) for kind, rows in held.items()),
            stores=stores,
            dead_letters=dead,
        )

    def _ask_broker(self, stores: dict[str, str]) -> Mapping[str, int] | None:
        try:
            hints = self._hints_waiting()
        except SitewiseError as error:
            stores["broker"] = str(error)
            return None
        stores["broker"] = "ok"
        return hints

    def _ask_store(self, stores: dict[str, str], scope: OrgScope) -> None:
        try:
            self._store().count(scope=scope)
        except SitewiseError as error:
            stores["vectors"] = str(error)
        else:
            stores["vectors"] = "ok"


def unheard(session: Session, work: WorkSettings, *, now: datetime) -> list[tuple[str, Due]]:
    """Queues with work that waits for long and no worker to take it, each with what waits longest."""
    heard = workers.queues_heard(session, since=now - SILENT_AFTER)
    oldest = {
        CRAWL: backlog.oldest_due_crawl(session, now=now, most_of_org=work.org_crawls) if CRAWL not in heard else None,
        INDEX: backlog.oldest_due_page(session, attempts=work.attempts, now=now) if INDEX not in heard else None,
    }
    return [(queue, due) for queue, due in oldest.items() if due is not None and now - due.since > UNHEARD_AFTER]


def _queues(
    session: Session, live: list[WorkerView], hints: Mapping[str, int] | None, work: WorkSettings, *, now: datetime
) -> list[QueueView]:
    found = {
        CRAWL: backlog.due_crawls(session, now=now, most_of_org=work.org_crawls),
        INDEX: backlog.due_pages(session, attempts=work.attempts, now=now),
        UPKEEP: backlog.unsent_hints(session),
    }
    listening = {queue: sum(worker.queue == queue for worker in live) for queue in QUEUES}
    return [
        QueueView(
            name=queue,
            waiting=count,
            waiting_since=due.since if due else None,
            waiting_seconds=max((now - due.since).total_seconds(), 0.0) if due else 0.0,
            hints=None if hints is None else hints.get(queue, 0),
            workers=listening[queue],
            is_unheard=bool(count) and not listening[queue],
        )
        for queue, (count, due) in found.items()
    ]


def _worker(row: Worker, *, now: datetime) -> WorkerView:
    return WorkerView(
        id=row.id,
        host=row.host,
        pid=row.pid,
        queue=row.queue,
        sends_ticks=row.sends_ticks,
        started_at=row.started_at,
        beat_at=row.beat_at,
        job=row.job,
        took_at=row.took_at,
        is_silent=now - row.beat_at > SILENT_AFTER,
    )
