"""Upkeep: what is due is started, what is orphaned is hinted again, what is used up is swept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pipeline import metrics, tracing
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import (
    briefings,
    chunks,
    crawls,
    datasources,
    dead_letters,
    frontier,
    hosts,
    idempotent_answers,
    index_queue,
    org_days,
    outbox,
    rate_buckets,
    robots,
    schedule_runs,
    webhook_deliveries,
    workers,
)
from pipeline.db import leases as row_leases
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database, Session
from pipeline.db.evaluations import Evaluation
from pipeline.db.generations import VersionEmbedding
from pipeline.db.page_versions import PageVersion
from pipeline.errors import BrokerUnavailable, TemporaryError, VectorStoreUnavailable
from pipeline.logs import get_logger
from pipeline.model import CrawlTrigger, OrgScope
from pipeline.services import endings, idempotency, operations
from pipeline.services.clock import Clock
from pipeline.services.dead_letters import note_page
from pipeline.services.erasure import ErasureService
from pipeline.services.hints import Hints, relay
from pipeline.services.keeping import set_aside
from pipeline.services.orphans import take_from_dead
from pipeline.services.removal import Removal
from pipeline.services.retention import forget_texts
from pipeline.settings import Settings

log = get_logger(__name__)

AT_A_TIME = 200
BRIEFINGS_AT_A_TIME = DELIVERIES_AT_A_TIME = 5_000
SWEEPS = 5
"""How often points are looked for that may go, in the time that they are kept."""

LETTERS_KEPT = timedelta(days=30)
"""How long a dead letter that was put back, and did not die again, can be looked up."""

DAYS_KEPT = timedelta(days=7)
"""How long what an org used of a day is kept."""

BUCKETS_KEPT = timedelta(hours=1)
"""A bucket nobody drew from for so long is full: it is as good as none."""

REPORT_EVERY = timedelta(minutes=1)
"""How often a queue without a worker is told of."""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick found to do. Counts are rows."""

    started: int = 0
    orphaned: int = 0
    relayed: int = 0
    hinted: int = 0
    parked: int = 0
    completed: int = 0
    swept: int = 0
    removed: int = 0


class UpkeepService:
    """What beat does, and nothing else does: cheap, idempotent, harmless when done by two at once."""

    def __init__(
        self, database: Database, settings: Settings, hints: Hints, clock: Clock, *, store: Callable[[], VectorStore]
    ) -> None:
        """Keep this database and this vector store in order."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock
        self._store = store
        self._removal = Removal(database, clock, store=store)
        self._erasure = ErasureService(database, clock, store=store)
        self._sweep_due = self._report_due = datetime.min.replace(tzinfo=UTC)

    def tick(self, *, schedules: bool = True) -> TickReport:
        """One round of everything that is due; without `schedules`, no crawl is begun by the clock."""
        with metrics.TICK_SECONDS.time():
            report = self._round(schedules=schedules)
        metrics.SWEPT.add_many(report.swept)
        if report != TickReport():
            log.info("upkeep", **{name: count for name, count in _counts(report) if count})
        return report

    def _round(self, *, schedules: bool) -> TickReport:
        started = self._start_due() if schedules else 0
        orphaned = take_from_dead(self._database, self._settings.work, now=self._clock())
        parked = self._park()
        with self._database.write() as session:
            completed = len(endings.complete(session, self._settings, now=self._clock()))
        report = TickReport(
            started=started,
            orphaned=orphaned,
            parked=parked,
            completed=completed,
            relayed=relay(self._database, self._hints),
            hinted=self._hint_orphans(),
            swept=self._sweep(),
            removed=self._remove(),
        )
        self._report_unheard()
        return report

    def take_over(self) -> int:
        """End every lease at once. Only for the one owner of an embedded database: its predecessor is dead.

        Returns how many rows of work were held. No attempt is counted: a dead owner is not the work's fault.
        """
        with self._database.write() as session:
            hosts.leave_all(session)
            frontier.put_all_back(session)
            workers.forget(session, before=datetime.max.replace(tzinfo=UTC))
            leased = (Crawl, PageVersion, VersionEmbedding, Evaluation)
            return sum(row_leases.end_all(session, table) for table in leased)

    def _start_due(self) -> int:
        """Begin each due crawl once, however many beats look, and once for all the times that were missed."""
        now = self._clock()
        started = 0
        with self._database.read() as session:
            due = [datasource.id for datasource in datasources.due(session, now=now, limit=AT_A_TIME)]
        for datasource_id in due:
            with self._database.write() as session:
                started += _start(session, datasource_id, now=now)
        return started

    def _park(self) -> int:
        """Set aside versions that ended their worker too often."""
        attempts = self._settings.work.attempts
        with self._database.write() as session:
            now = self._clock()
            seen = index_queue.overworked(session, attempts=attempts, now=now)
            datasources.hold(session, {version.datasource_id for version in seen})
            spent = index_queue.overworked(session, attempts=attempts, now=now) if seen else []
            for version in spent:
                set_aside(session, version)
                note_page(session, version, now=now)
                log.error("page parked", page=str(version.page_id), attempts=version.attempts)
            return len(spent)

    def _hint_orphans(self) -> int:
        """Say again that work waits, to whoever listens: ever later for the same row.

        Nothing is held while the broker is spoken to. A hint that left and was not noted leaves twice.
        """
        now = self._clock()
        delays = self._settings.work.hint_delays
        with self._database.read() as session:
            most = self._settings.work.org_crawls
            alone = crawls.orphans(session, now=now, limit=AT_A_TIME, most_of_org=most)
            idle = {crawl.id: crawl.hints for crawl in alone}
            traces = {crawl.id: crawl.traceparent for crawl in alone}
            waiting = index_queue.orphans(session, now=now, limit=AT_A_TIME)
            waiting_orgs = {org_id: index_queue.waiting_hints(session, org_id) for org_id in waiting}
        told_crawls = self._tell(self._hints.crawl, traces)
        told_orgs = self._tell(self._hints.index, dict.fromkeys(waiting_orgs))
        metrics.REDELIVERIES.add_many(len(told_crawls), work="crawl")
        metrics.REDELIVERIES.add_many(len(told_orgs), work="index")
        if told_crawls or told_orgs:
            with self._database.write() as session:
                for crawl_id in told_crawls:
                    again = row_leases.next_hint(idle[crawl_id], now=now, delays=delays)
                    crawls.hinted(session, crawl_id, again=again)
                for org_id in told_orgs:
                    again = row_leases.next_hint(waiting_orgs[org_id], now=now, delays=delays)
                    index_queue.hinted(session, org_id, now=now, again=again)
        return len(told_crawls) + len(told_orgs)

    def _report_unheard(self) -> None:
        """Say which queue nobody listens to, while work waits in it."""
        now = self._clock()
        if now < self._report_due:
            return
        with self._database.read() as session:
            found = operations.unheard(session, self._settings.work, now=now)
        for queue, due in found:
            log.warning("no worker listens", queue=queue, waiting_seconds=round((now - due.since).total_seconds()))
        if found:
            self._report_due = now + REPORT_EVERY

    def _tell(self, send: Callable[[UUID], None], targets: Mapping[UUID, str | None]) -> list[UUID]:
        """Send hints, each in the trace of its target, until the broker is away. Returns those that left."""
        told: list[UUID] = []
        try:
            for target, traceparent in targets.items():
                with tracing.under(traceparent):
                    send(target)
                told.append(target)
        except BrokerUnavailable:
            log.warning("broker away: hints wait")
        return told

    def _remove(self) -> int:
        """Remove some of what was deleted, for no longer than the time between two ticks: work goes on beside it."""
        lasting = self._settings.work.tick / 4
        removed = 0
        for work, go_on in (("removal", self._removal.go_on), ("erasure", self._erasure.go_on)):
            try:
                removed += go_on(lasting=lasting)
            except TemporaryError as error:
                log.warning("removal waits", work=work, problem=type(error).__name__)
        return removed

    def _sweep(self) -> int:
        """Remove points that no version of a page needs any more, then their rows.

        Looking for them reads every chunk, so it is done less often than ticks come, and holds no lock.
        A sweep that is killed half-way is done again later.
        """
        now = self._clock()
        if now < self._sweep_due:
            return 0
        with self._database.write() as session:
            hosts.forget(session, now=now)
            robots.forget(session, now=now)
            workers.forget(session, before=now - operations.FORGET_AFTER)
            dead_letters.forget(session, before=now - LETTERS_KEPT)
            org_days.forget(session, before=now - DAYS_KEPT)
            idempotent_answers.forget(session, before=now - idempotency.KEPT)
            rate_buckets.forget(session, before=now - BUCKETS_KEPT)
            briefings.forget(session, before=now - self._settings.retrieve.keep_briefings, limit=BRIEFINGS_AT_A_TIME)
            forget_texts(session, before=now - self._settings.work.keep_history)
            webhook_deliveries.forget(
                session, before=now - self._settings.webhooks.keep_log, limit=DELIVERIES_AT_A_TIME
            )
        before = now - self._settings.work.sweep_after
        with self._database.read() as session:
            retired = chunks.retired(session, before=before, limit=AT_A_TIME)
        if len(retired) < AT_A_TIME:
            self._sweep_due = now + self._settings.work.sweep_after / SWEEPS
        if not retired:
            return 0
        with self._database.write() as session:
            by_org = chunks.doom(session, retired, before=before, now=now)
        try:
            for org_id, ids in by_org.items():
                with self._database.read() as session:
                    there = chunks.by_generation(session, ids)
                for number, some in there.items():
                    self._store().at(number).delete(some, scope=OrgScope(org_id))
                with self._database.write() as session:
                    chunks.drop(session, ids)
        except VectorStoreUnavailable:
            log.warning("vector store away: sweep waits")
            return 0
        return sum(map(len, by_org.values()))


def _start(session: Session, datasource_id: UUID, *, now: datetime) -> bool:
    datasource = session.get(Datasource, datasource_id)
    if datasource is None or datasource.next_crawl_at is None or datasource.next_crawl_at > now:
        return False
    due_at = datasource.next_crawl_at
    if not schedule_runs.take(session, datasource_id, due_at=due_at, now=now):
        return False
    datasource.next_crawl_at = endings.next_crawl_at(datasource, now=now)
    with tracing.span("start crawl", trigger="schedule", org=datasource.org_id):
        crawl = crawls.begin(session, datasource, trigger=CrawlTrigger.SCHEDULE, now=now)
        if crawl is None:
            return False
        outbox.put(session, outbox.CRAWL, crawl.id, now=now)
    return True


def _counts(report: TickReport) -> list[tuple[str, int]]:
    return [(name, getattr(report, name)) for name in TickReport.__slots__]
