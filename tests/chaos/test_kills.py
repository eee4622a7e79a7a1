"""Processes are killed at the worst moments: the knowledge is that of an undisturbed crawl."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
from sqlalchemy import select

from deploy.sample.serve import SampleSite
from pipeline.db.chunks import ChunkRow, VersionChunk
from pipeline.db.frontier import DONE, FrontierEntry
from pipeline.db.pages import Page
from pipeline.model import CrawlStatus
from pipeline.services.crawls import CrawlJob
from tests.lab.embedded import Embedded, quick_settings
from tests.lab.waiting import eventually

SMALL_STEPS = {"allowed_addresses": "127.0.0.0/8", "lease": "PT2S", "frontier_batch": 4, "commit_batch": 4}
SECTIONS = ("/", "/docs/*", "/help/*")
"""About half of the site: long enough to kill everything once on the way."""


class Knowledge(NamedTuple):
    """What every page stands at, and every chunk of the live versions: its page, its place, its text."""

    pages: dict[str, tuple[str, str]]
    chunks: Counter[tuple[str, int, str]]


def test_kills_change_nothing(tmp_path: Path) -> None:
    """Spider, crawl worker, index worker and broker are killed once each, all mid-work."""
    with SampleSite() as site:
        expected = _undisturbed(site, tmp_path / "undisturbed")
        fetched = Counter(request.path for request in site.requests)

        with _sitewise(tmp_path / "disturbed") as sitewise:
            crawl = sitewise.start(site.url, include=SECTIONS)
            _reaches(sitewise, crawl, lambda job: job.fetched_pages >= 4)
            written = _written(sitewise)
            _kill(_spider_of(sitewise))
            _reaches(sitewise, crawl, lambda job: job.embedded_chunks > 0)
            _kill(sitewise.owner.pids["index"])
            _reaches(sitewise, crawl, lambda job: job.attempts == 2 and job.fetched_pages >= 16)
            _kill(sitewise.owner.pids["crawl"])
            _kill(sitewise.owner.pids["broker"])
            ended = sitewise.until_ended(crawl, seconds=120)
            found, report = _knowledge(sitewise), sitewise.services.verification.verify(scope=sitewise.scope)

        fetched_again = Counter(request.path for request in site.requests) - fetched - fetched

    assert ended.status == CrawlStatus.COMPLETED
    assert found.pages == expected.pages
    assert (found.chunks - expected.chunks, expected.chunks - found.chunks) == (Counter(), Counter())
    assert report.is_clean
    assert written
    assert not written & fetched_again.keys(), "what was written before the kill is not fetched again"


def test_a_restart_is_no_attempt(tmp_path: Path) -> None:
    """An owner that is stopped mid-crawl gives the crawl back, and the next one goes on with it."""
    with SampleSite() as site:
        with _sitewise(tmp_path) as first:
            crawl = first.start(site.url, include=SECTIONS)
            _reaches(first, crawl, lambda job: job.fetched_pages >= 4)
        with _sitewise(tmp_path) as second:
            ended = second.until_ended(crawl)

            report = second.services.verification.verify(scope=second.scope)

    assert (ended.status, ended.attempts) == (CrawlStatus.COMPLETED, 1)
    assert report.is_clean


def _sitewise(folder: Path) -> Embedded:
    settings = quick_settings(folder)
    crawl = settings.crawl.model_validate(settings.crawl.model_dump() | SMALL_STEPS)
    work = settings.work.model_copy(update={"index_batch": 4})
    return Embedded(folder, settings.model_copy(update={"crawl": crawl, "work": work}))


def _undisturbed(site: SampleSite, folder: Path) -> Knowledge:
    with _sitewise(folder) as sitewise:
        ended = sitewise.until_ended(sitewise.start(site.url, include=SECTIONS))

        assert (ended.status, ended.attempts) == (CrawlStatus.COMPLETED, 1)
        return _knowledge(sitewise)


def _knowledge(sitewise: Embedded) -> Knowledge:
    with sitewise.services.database.read() as session:
        pages = {page.url: (page.status, page.reason) for page in session.scalars(select(Page))}
        live = (
            select(Page.url, VersionChunk.position, ChunkRow.text)
            .join(VersionChunk, VersionChunk.version_id == Page.live_version)
            .join(ChunkRow, ChunkRow.id == VersionChunk.chunk_id)
        )
        return Knowledge(pages, Counter((url, position, text) for url, position, text in session.execute(live)))


def _written(sitewise: Embedded) -> set[str]:
    """The paths whose outcome is in the database."""
    with sitewise.services.database.read() as session:
        urls = session.scalars(select(FrontierEntry.url).where(FrontierEntry.state == DONE))
        return {urlsplit(url).path for url in urls}


def _reaches(sitewise: Embedded, crawl: CrawlJob, is_there: Callable[[CrawlJob], bool]) -> None:
    """Wait for the moment; a crawl that ended before it is a test that killed nothing."""

    def look() -> bool:
        job = sitewise.job(crawl)
        assert not job.has_ended, "the crawl was quicker than the test"
        return is_there(job)

    eventually(look, seconds=60, what="the moment to kill")


def _spider_of(sitewise: Embedded) -> int:
    """The spider's process id, once it runs."""
    worker = psutil.Process(sitewise.owner.pids["crawl"])

    def spider() -> int | None:
        found = [child.pid for child in worker.children() if "spiders.run" in child.cmdline()]
        return found[0] if found else None

    return eventually(spider, seconds=30) or 0


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
