"""What a person sees of a running crawl: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import UUID

from rich.live import Live
from rich.text import Text

from pipeline.cli.output import err, say
from pipeline.errors import DatabaseUnavailable
from pipeline.model import OrgScope
from pipeline.services.crawls import CrawlJob, CrawlService

LOOK_SECONDS = 0.2
PLAIN_SECONDS = 2.0
UNTAKEN_SECONDS = 15.0


def watch(crawls: CrawlService, crawl_id: UUID, *, scope: OrgScope) -> tuple[CrawlJob, float]:
    """Show a crawl until it ends. Returns how it ended, and the seconds this took."""
    began = time.monotonic()
    job = crawls.job(crawl_id, scope=scope)
    if err.is_terminal:
        with Live(console=err, refresh_per_second=8, transient=True) as live:
            job = _follow(crawls, job, scope, lambda seen, took: live.update(Text(line(seen, took))))
    else:
        job = _follow(crawls, job, scope, _every_so_often())
    return job, time.monotonic() - began


def line(job: CrawlJob, seconds: float) -> str:
    """The state of a crawl in one line."""
    kept = job.new_pages + job.updated_pages + job.unchanged_pages
    parts = [
        f"{job.total_pages} found",
        f"{job.fetched_pages} fetched",
        f"{kept} kept",
        f"{job.unchanged_pages} unchanged",
        f"{job.refused_pages} refused",
        f"{job.failed_pages} failed" if job.failed_pages else "",
        f"{job.fetched_pages / max(seconds, 0.1):.1f} pages/s",
        f"{job.embedded_chunks} chunks embedded",
        f"{job.pending_pages} pages to index" if job.pending_pages else "",
        _time_left(job, seconds),
        job.current_url or "",
    ]
    return " · ".join(part for part in parts if part)


def _follow(crawls: CrawlService, job: CrawlJob, scope: OrgScope, show: Callable[[CrawlJob, float], None]) -> CrawlJob:
    began = time.monotonic()
    pause = threading.Event()
    told = False
    while not job.has_ended:
        show(job, time.monotonic() - began)
        if job.started_at is None and not told and time.monotonic() - began > UNTAKEN_SECONDS:
            say("No worker has taken this crawl yet. Start one with `sitewise up`; it will be done then.")
            told = True
        pause.wait(LOOK_SECONDS)
        try:
            job = crawls.job(job.id, scope=scope)
        except DatabaseUnavailable:
            continue
    show(job, time.monotonic() - began)
    return job


def _every_so_often() -> Callable[[CrawlJob, float], None]:
    shown_at = 0.0

    def show(job: CrawlJob, seconds: float) -> None:
        nonlocal shown_at
        if job.has_ended or time.monotonic() - shown_at >= PLAIN_SECONDS:
            shown_at = time.monotonic()
            say(line(job, seconds))

    return show


def _time_left(job: CrawlJob, seconds: float) -> str:
    """An honest guess from the pace so far, once there is one; the frontier may still grow."""
    if job.fetched_pages < 5 or not job.waiting_pages:  # noqa: PLR2004 - fewer say nothing about the pace
        return ""
    return f"about {seconds / job.fetched_pages * job.waiting_pages:.0f} s left"
