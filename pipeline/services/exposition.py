"""What Prometheus reads: how the whole installation stands, and what this process counted."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from time import perf_counter

from pipeline import metrics
from pipeline.db import backlog, generations, standing, workers
from pipeline.db.backlog import Due, Leases
from pipeline.db.engine import Database, Session
from pipeline.errors import DatabaseUnavailable
from pipeline.metrics import Sample
from pipeline.services.clock import Clock
from pipeline.services.operations import SILENT_AFTER, UPKEEP
from pipeline.settings import Settings

READ_EVERY = timedelta(seconds=5)
"""Two scrapes within this time see the same rows: how often the database is asked does not depend on who scrapes."""

A_DAY = timedelta(days=1)


class ExpositionService:
    """Renders the page that is scraped."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        """Read this database."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: datetime | None = None
        self._state: list[Sample] = []

    def render(self) -> bytes:
        """The whole page, in Prometheus' text format. A database that is away is said, and the rest is there."""
        return metrics.exposition(self.state())

    def state(self) -> Sequence[Sample]:
        """How the installation stands, read some seconds ago at most."""
        with self._lock:
            now = self._clock()
            if self._read_at is None or not timedelta(0) <= now - self._read_at < READ_EVERY:
                self._state, self._read_at = self._look(now), now
            return self._state

    def _look(self, now: datetime) -> list[Sample]:
        began = perf_counter()
        try:
            with self._database.read() as session:
                found = [
                    *self._queues(session, now),
                    *_work(session, now),
                    *_workers(session, now),
                    *_pages(session, now),
                ]
        except DatabaseUnavailable:
            return [metrics.STATE_READ.at(0)]
        return [*found, metrics.STATE_READ.at(1), metrics.STATE_READ_SECONDS.at(perf_counter() - began)]

    def _queues(self, session: Session, now: datetime) -> Iterator[Sample]:
        work = self._settings.work
        due: dict[metrics.Queue, tuple[int, Due | None]] = {
            "crawl": backlog.due_crawls(session, now=now, most_of_org=work.org_crawls),
            "index": backlog.due_pages(session, attempts=work.attempts, now=now),
            "upkeep": backlog.unsent_hints(session),
        }
        for queue in metrics.QUEUES:
            count, oldest = due[queue]
            yield metrics.QUEUE_WAITING.at(count, queue=queue)
            yield metrics.QUEUE_OLDEST_SECONDS.at(_age(oldest.since if oldest else None, now), queue=queue)
        for kind, org_id, since in backlog.longest_waiting_orgs(
            session, attempts=work.attempts, most_of_org=work.org_crawls, now=now
        ):
            yield metrics.ORG_OLDEST_SECONDS.at(_age(since, now), org=str(org_id), work=kind)
        yield metrics.SCHEDULE_OVERDUE_SECONDS.at(_age(standing.most_overdue(session, now=now), now))


def _work(session: Session, now: datetime) -> Iterator[Sample]:
    if (left := generations.orgs_left(session)) is not None:
        yield metrics.REEMBEDDING_ORGS_LEFT.at(left)
    statuses = standing.crawls_by_status(session)
    letters = standing.dead_letters_by_kind(session)
    for status in metrics.CRAWL_STATES:
        yield metrics.CRAWLS.at(statuses.get(status, 0), status=status)
    for kind in metrics.LETTERS:
        yield metrics.DEAD_LETTERS.at(letters.get(kind, 0), kind=kind)
    held: dict[metrics.Work, Leases] = {
        "crawl": backlog.crawl_leases(session, now=now),
        "index": backlog.page_leases(session, now=now),
    }
    for work, leases in held.items():
        yield metrics.LEASES.at(leases.held, work=work, state="held")
        yield metrics.LEASES.at(leases.expired, work=work, state="expired")


def _workers(session: Session, now: datetime) -> Iterator[Sample]:
    live = [worker for worker in workers.listing(session) if now - worker.beat_at <= SILENT_AFTER]
    for queue in metrics.QUEUES:
        yield metrics.WORKERS.at(sum(worker.queue == queue for worker in live), queue=queue)
    yield metrics.BEATS.at(sum(worker.sends_ticks for worker in live))
    ticks = [worker.took_at for worker in live if worker.queue == UPKEEP and worker.took_at]
    if ticks:
        yield metrics.TICK_AGE_SECONDS.at(_age(max(ticks), now))


def _pages(session: Session, now: datetime) -> Iterator[Sample]:
    for outcome, count in standing.looked_at(session, since=now - A_DAY)._asdict().items():
        yield metrics.PAGES_LOOKED_AT.at(count, outcome=outcome)
    looks = standing.looks_at_pages(session)
    for quantile in metrics.QUANTILES if looks else ():
        place = max(math.ceil(float(quantile) * len(looks)) - 1, 0)
        yield metrics.STALENESS_SECONDS.at(_age(looks[place], now), quantile=quantile)


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0
