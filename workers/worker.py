"""One Celery worker in this process, for one queue."""

from __future__ import annotations

import logging
import os
import socket
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress

from celery import signals
from celery.beat import ScheduleEntry, Scheduler, SchedulingError, Service
from celery.exceptions import SecurityWarning

from pipeline.adapters.celery import CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE
from pipeline.adapters.scraping import ScrapeServer
from pipeline.errors import SitewiseError
from pipeline.logs import get_logger
from pipeline.metrics import exposition
from pipeline.settings import Settings
from workers import spider_process
from workers.app import app, configure
from workers.presence import Presence
from workers.services import Backlog, due_rows, services
from workers.watchdog import Watchdog

log = get_logger(__name__)


def work(
    queue: str, settings: Settings, *, concurrency: int, beat: bool, scheduled_crawls: bool, place: int = 0
) -> int:
    """Take hints from this queue until told to end (SIGTERM, SIGINT). Returns the exit status.

    Told once, it begins nothing new, ends its spiders without counting an attempt, and finishes the
    batch it embeds. Told twice, it ends at once: leases run out and the work is taken up elsewhere.
    Metrics, where a port is set for them, are served `place` ports after it.
    """
    configure(settings, scheduled_crawls=scheduled_crawls)
    _keep_our_logging()
    _end_spiders_first()
    _warm(queue)
    if beat:
        threading.Thread(target=_beat, name="beat", daemon=True).start()
    worker = app.Worker(
        hostname=f"{queue}-{os.getpid()}@{socket.gethostname()}",
        queues=[queue],
        pool="threads" if queue == CRAWL_QUEUE else "solo",
        concurrency=concurrency if queue == CRAWL_QUEUE else 1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    log.info("worker started", queue=queue)
    presence = Presence(queue, sends_ticks=beat, operations=services().operations)
    rows = due_rows(queue)
    with _scraped(queue, settings, place), presence, Watchdog(queue, worker, rows):
        _hint_what_is_due(rows)
        worker.start()
    services().close()
    log.info("worker ended", queue=queue)
    return int(worker.exitcode or 0)


def _scraped(queue: str, settings: Settings, place: int) -> AbstractContextManager[object]:
    """Metrics of this process; the worker of upkeep also tells how the whole installation stands."""
    if not settings.metrics.port:
        return nullcontext()
    render = services().exposition.render if queue == UPKEEP_QUEUE else exposition
    return ScrapeServer(render, host=settings.metrics.host, port=settings.metrics.port + place)


def _hint_what_is_due(rows: Backlog | None) -> None:
    """A worker that begins asks for work: the hints of the one before may have gone with it."""
    with suppress(SitewiseError):
        if rows is not None and (due := rows.oldest()) is not None:
            rows.hint(due)


def _warm(queue: str) -> None:
    """Open what the first hint will need.

    The model of an index worker is loaded meanwhile where all pages are new. Where some are indexed, the
    next crawl may well bring none: then it is only found, which costs a tenth, and loaded for the first text.

    Raises:
        SetupError: If it cannot be had: without its model a worker must not even claim a page.
    """
    opened = services()
    if queue == INDEX_QUEUE:
        opened.generations.find()
        if opened.index.is_first():
            opened.shared_embedder().open()
            opened.sparse()
    else:
        opened.crawls  # noqa: B018 - a property that connects


class Ticks(Scheduler):  # type: ignore[misc] # Celery has no types
    """Sends the schedule's ticks. Nothing is remembered between runs: what is due is said by rows."""

    def apply_entry(self, entry: ScheduleEntry, producer: object | None = None) -> None:
        """Send one; while the broker is away, the next one comes soon enough."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError:
            log.warning("tick not sent: broker away")


def _beat() -> None:
    Service(app, scheduler_cls=Ticks).start()


def _keep_our_logging() -> None:
    """Lines in our form, and one a unit of work: Celery's own from warnings up, unless asked for.

    Its warnings are about pickled messages and late acknowledgement, neither of which this app uses.
    """
    signals.setup_logging.connect(_nothing, weak=False)
    warnings.filterwarnings("ignore", category=SecurityWarning)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    if logging.getLogger().getEffectiveLevel() > logging.DEBUG:
        logging.getLogger("celery").setLevel(logging.WARNING)


def _end_spiders_first() -> None:
    signals.worker_shutting_down.connect(_begin_shutdown, weak=False)


def _nothing(**_: object) -> None:
    """Celery configures no logging when somebody answers its signal."""


def _begin_shutdown(**_: object) -> None:
    spider_process.shutdown.begin()
