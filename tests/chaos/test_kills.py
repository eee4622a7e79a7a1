"""Processes are killed at the worst moments: the knowledge is that of an undisturbed crawl."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from sqlalchemy import select

from deploy.sample.serve import SampleSite
from pipeline.db.frontier import DONE, FrontierEntry
from pipeline.model import CrawlStatus, Verification
from pipeline.services.crawls import CrawlJob, NewDatasource
from tests.chaos.deployment import Knowledge, knowledge
from tests.lab.embedded import Embedded, quick_settings
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.waiting import eventually

SMALL_STEPS = {"allowed_addresses": "127.0.0.0/8", "lease": "PT2S", "frontier_batch": 4, "commit_batch": 4}
SECTIONS = ("/", "/docs/*", "/help/*")
"""About half of the site: long enough to kill everything once on the way."""


def test_a_restart_and_kills_change_nothing(tmp_path: Path) -> None:
    """A restart is no attempt; then spider, crawl worker, index worker and broker are killed once each, mid-work."""
    with SampleSite() as site:
        with _sitewise(tmp_path) as first:
            crawl = first.start(site.url, include=SECTIONS)
            _reaches(first, crawl, lambda job: job.fetched_pages >= 4)
        with _sitewise(tmp_path) as sitewise:
            _reaches(sitewise, crawl, lambda job: job.attempts > 0)
            attempts = sitewise.job(crawl).attempts
            written = _written(sitewise)
            _kill(_spider_of(sitewise))
            _reaches(sitewise, crawl, lambda job: job.embedded_chunks > 0)
            _kill(sitewise.owner.pids["index"])
            _reaches(sitewise, crawl, lambda job: job.attempts == 2 and job.fetched_pages >= 16)
            _kill(sitewise.owner.pids["crawl"])
            _kill(sitewise.owner.pids["broker"])
            ended = sitewise.until_ended(crawl, seconds=120)
            found, report = knowledge(sitewise.services, sitewise.scope), _report(sitewise)
            fetched = Counter(request.path for request in site.requests)
            expected = _undisturbed(sitewise, site)

    assert attempts == 1
    assert ended.status == CrawlStatus.COMPLETED
    assert found.pages == expected.pages
    assert (found.chunks - expected.chunks, expected.chunks - found.chunks) == (Counter(), Counter())
    assert report.is_clean
    assert written
    assert {fetched[path] for path in written} == {1}, "what was written before the kill is not fetched again"


def _sitewise(folder: Path) -> Embedded:
    """With a model of a few kilobytes: what is killed is as busy, and less is computed twice."""
    model = write_tiny_bert(folder.parent / "model", max_tokens=512)
    settings = quick_settings(folder, embed={"model": str(model), "backend": "openvino", "precision": "fp32"})
    crawl = settings.crawl.model_validate(settings.crawl.model_dump() | SMALL_STEPS)
    work = settings.work.model_copy(update={"index_batch": 4})
    return Embedded(folder, settings.model_copy(update={"crawl": crawl, "work": work}))


def _report(sitewise: Embedded) -> Verification:
    return sitewise.services.verification.verify(scope=sitewise.scope)


def _undisturbed(sitewise: Embedded, site: SampleSite) -> Knowledge:
    """What another org knows of the same website, when nobody disturbs."""
    services, other = sitewise.services, sitewise.services.orgs.ensure("undisturbed")
    added = services.crawls.add(NewDatasource(url=site.url, include_paths=SECTIONS), scope=other)
    crawl = services.crawls.start(added.id, scope=other)
    eventually(lambda: services.crawls.job(crawl.id, scope=other).has_ended, seconds=120, what="undisturbed crawl")
    ended = services.crawls.job(crawl.id, scope=other)
    assert (ended.status, ended.attempts) == (CrawlStatus.COMPLETED, 1)
    return knowledge(services, other)


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
