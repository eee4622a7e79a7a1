"""What a person sees of a running crawl: a few live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from pipeline.cli import interrupts
from pipeline.cli.output import err, say
from pipeline.cli.pace import Pace
from pipeline.cli.session import prepare_directory
from pipeline.errors import DatabaseUnavailable
from pipeline.model import OrgScope
from pipeline.services.crawls import CrawlJob, CrawlService
from pipeline.settings import Settings

LOOK_SECONDS = 0.2
PLAIN_SECONDS = 2.0
STALLED_SECONDS = 20.0
PROBE_SECONDS = 2.0
AWAY_SECONDS = 60.0

Show = Callable[[CrawlJob, Pace], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """How a crawl ended, the seconds that took, and its pace while it fetched."""

    job: CrawlJob
    seconds: float
    pages_per_second: float | None


def watch(crawls: CrawlService, crawl_id: UUID, *, scope: OrgScope, page_limit: int, settings: Settings) -> Watched:
    """Show a crawl until it ends.

    Raises:
        DiskFull: If the data directory is about to be.
        DatabaseUnavailable: If the database stays away for a minute.
    """
    began = time.monotonic()
    pace = Pace(page_limit)
    watcher = _Watcher(crawls, scope, settings, pace)
    with live() if err.is_terminal else plain() as show:
        job = watcher.follow(crawl_id, show)
    return Watched(job, time.monotonic() - began, pace.fetching.per_second)


def phase(job: CrawlJob) -> str:
    """What a crawl does now, in a word."""
    if job.has_ended:
        return job.status
    if job.is_paused:
        return "paused"
    if job.started_at is None:
        return "starting"
    if not job.fetched_pages:
        return "opening"
    return "indexing" if job.pending_pages and not job.waiting_pages else "fetching"


def counts(job: CrawlJob) -> str:
    """The pages of a crawl so far."""
    kept = job.new_pages + job.updated_pages + job.unchanged_pages + job.not_due_pages
    failed = f" · {job.failed_pages} failed" if job.failed_pages else ""
    return (
        f"{job.total_pages} found · {job.fetched_pages} fetched · {kept} kept"
        f" · {job.unchanged_pages} unchanged · {job.refused_pages} refused{failed}"
    )


def speed(job: CrawlJob, pace: Pace) -> str:
    """Its pace, what was embedded, what waits, and the time left where that can be said."""
    rate, left = pace.fetching.per_second, pace.seconds_left(job)
    parts = [
        f"{rate:.1f} pages/s" if rate else "",
        f"{job.embedded_chunks} chunks embedded",
        f"{job.pending_pages} pages to index" if job.pending_pages else "",
        f"about {left:.0f} s left" if left and left >= 1 and not job.has_ended else "",
    ]
    return " · ".join(part for part in parts if part)


class _Watcher:
    """Looks at a crawl's row again and again, and notices when nothing moves."""

    def __init__(self, crawls: CrawlService, scope: OrgScope, settings: Settings, pace: Pace) -> None:
        self._crawls = crawls
        self._scope = scope
        self._settings = settings
        self._pace = pace
        self._pause = threading.Event()

    def follow(self, crawl_id: UUID, show: Show) -> CrawlJob:
        """The crawl, ended."""
        moved = probed = time.monotonic()
        state: object = None
        is_told = False
        pause_told = None
        while True:
            job = self._look(crawl_id)
            now = time.monotonic()
            self._pace.look(job, now)
            show(job, self._pace)
            if job.has_ended:
                return job
            if job.is_paused and job.error_message != pause_told:
                say(f"The crawl is {job.error_message}. It goes on by itself then.")
                pause_told = job.error_message
            if (seen := _movable(job)) != state:
                state, moved, is_told = seen, now, False
            if now - probed > PROBE_SECONDS:
                prepare_directory(self._settings, grows=True)
                probed = now
            if now - moved > STALLED_SECONDS and not is_told and not job.is_paused:
                for line in stalled(job, self._settings.data_dir / "logs"):
                    say(line)
                is_told = True
            self._pause.wait(LOOK_SECONDS)
            interrupts.check()

    def _look(self, crawl_id: UUID) -> CrawlJob:
        """The crawl as it stands; a database that is away for a moment is waited for."""
        since = time.monotonic()
        while True:
            try:
                return self._crawls.job(crawl_id, scope=self._scope)
            except DatabaseUnavailable:
                if time.monotonic() - since > AWAY_SECONDS:
                    raise
            self._pause.wait(LOOK_SECONDS)
            interrupts.check()


def stalled(job: CrawlJob, logs: Path) -> list[str]:
    """What to say of a crawl that has not moved for a while.

    Args:
        job: The crawl.
        logs: Where workers write that this data directory started; there if it started any.
    """
    if job.started_at is None and not logs.is_dir():
        return ["No worker has taken this crawl yet; `sitewise up` starts one, and the crawl is done then."]
    if job.started_at is None:
        said = "No worker has taken this crawl yet; those that were started may need a moment more."
    else:
        said = (
            f"Nothing has moved for {STALLED_SECONDS:.0f} s: a slow site, a wait it asked for, or workers in trouble."
        )
    return [said, f"The workers' own lines are in {logs}."] if logs.is_dir() else [said]


@contextmanager
def live() -> Iterator[Show]:
    """Three lines on a terminal, changing in place and gone at the end."""
    began = time.monotonic()
    screen = Console(stderr=True, highlight=False)
    with Live(console=screen, refresh_per_second=8, transient=True) as lines_shown:

        def show(job: CrawlJob, pace: Pace) -> None:
            took = f"{time.monotonic() - began:.0f} s"
            lines = [f"{phase(job):<9} {counts(job)}", f"{took:<9} {speed(job, pace)}"]
            lines += [f"{'':<9} {job.current_url}"] if job.current_url else []
            lines_shown.update(Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines)))

        yield show


@contextmanager
def plain() -> Iterator[Show]:
    """For a pipe: a line when something changed, at most one in two seconds."""
    shown_at, shown = -PLAIN_SECONDS, ""

    def show(job: CrawlJob, pace: Pace) -> None:
        nonlocal shown_at, shown
        now = time.monotonic()
        state = f"{phase(job)}: {counts(job)}" if job.fetched_pages or job.has_ended else f"{phase(job)} …"
        changing = f"{state} {job.embedded_chunks} {job.pending_pages}"
        if changing == shown or (now - shown_at < PLAIN_SECONDS and not job.has_ended):
            return
        shown_at, shown = now, changing
        parts = [state, speed(job, pace) if job.fetched_pages else "", "" if job.has_ended else job.current_url]
        say(" · ".join(part for part in parts if part))

    yield show


def _movable(job: CrawlJob) -> tuple[object, ...]:
    """What changes while a crawl moves."""
    pages = (job.total_pages, job.fetched_pages, job.refused_pages, job.pending_pages)
    return (job.started_at, *pages, job.chunks)
