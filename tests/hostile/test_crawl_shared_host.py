"""Two spiders of two orgs on one host, as the host sees them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event

import pytest

from pipeline.bootstrap import Services
from pipeline.services.crawls import CrawlClaim, CrawlJob
from pipeline.services.websites import NewDatasource
from pipeline.settings import Settings, read_settings
from tests.fakes.hints import RecordedHints
from tests.lab import LabSite, Reply
from tests.lab.crawl import LOOPBACK
from tests.lab.wire import LabRequest
from workers.spider_process import spider_command

ORGS = ("first", "second")
PAGES = 9
DELAY = 0.1
ASKED = 3


@dataclass
class Shared:
    """What the host saw, and how the crawls ended. `refused` is when it asked to be left alone."""

    requests: list[LabRequest]
    jobs: list[CrawlJob]
    refused: float

    def of(self, org: str) -> list[float]:
        """When a spider of this org asked for a page."""
        return [request.at for request in self.requests if org in request.headers["user-agent"]]


def spider(claim: CrawlClaim, settings: Settings, org: str) -> subprocess.Popen[bytes]:
    """A spider that says whose it is."""
    own = {
        "SITEWISE_DATA_DIR": str(settings.data_dir),
        "SITEWISE_CRAWL__CONTACT": f"https://{org}.example/bot",
        "SITEWISE_CRAWL__DELAY": str(DELAY),
        "SITEWISE_EXTRACT__PROCESSES": "1",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SITEWISE_")}
    return subprocess.Popen(  # noqa: S603 - our own module
        spider_command(claim), stdin=subprocess.PIPE, env=clean | LOOPBACK | own
    )


def make_site(site: LabSite) -> None:
    """Pages behind a front page that waits for both spiders; one of them asks to be left alone, once."""
    both = Event()
    asked: list[str] = []

    def front(request: LabRequest) -> Reply | None:
        if request.path != "/":
            return None
        asked.append(request.headers["user-agent"])
        if len(set(asked)) == len(ORGS):
            both.set()
        links = "".join(f'<a href="/p{number:02}">{number}</a>' for number in range(PAGES))
        body = f"<title>Front</title><main><p>The front page of a host that two orgs read.</p>{links}</main>"
        return Reply(200, body.encode(), (("Content-Type", "text/html"),), hold=both)

    site.serve(front)
    for number in range(PAGES):
        site.page(f"/p{number:02}")
    site.answers(
        "/p05",
        Reply(429, b"", (("Retry-After", str(ASKED)),)),
        Reply(
            200,
            b"<main><p>A page that two orgs read at last, both of them.</p></main>",
            (("Content-Type", "text/html"),),
        ),
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Both crawls, ended."""
    settings = read_settings(data_dir=tmp_path_factory.mktemp("data"), crawl={"allowed_addresses": "127.0.0.0/8"})
    with LabSite() as site, Services(settings, hints=RecordedHints()) as services, ExitStack() as spiders:
        make_site(site)
        scopes = [services.orgs.ensure(org) for org in ORGS]
        crawls = []
        for org, scope in zip(ORGS, scopes, strict=True):
            added = services.crawls.add(NewDatasource(url=f"{site.url}/"), scope=scope)
            job = services.crawls.start(added.id, scope=scope)
            claim = services.crawls.claim(job.id, owner=org)
            assert claim is not None
            crawls.append((job, scope, spiders.enter_context(spider(claim, settings, org))))
        assert [process.wait(60) for _, _, process in crawls] == [0, 0]
        jobs = [services.crawls.job(job.id, scope=scope) for job, scope, _ in crawls]
        seen = [request for request in site.requests if request.path not in {"/robots.txt", "/sitemap.xml"}]
        refused = next(request.at for request in seen if request.path == "/p05")
        yield Shared(seen, jobs, refused)


def test_both_crawls_get_everything(shared: Shared) -> None:
    """Sharing costs time, and no page."""
    assert [job.new_pages for job in shared.jobs] == [PAGES + 1, PAGES + 1]
    assert [job.failed_pages for job in shared.jobs] == [0, 0]


def test_the_host_never_sees_more_than_its_limit(shared: Shared) -> None:
    """A tenth of a second between two requests is ten a second from both together, not from each."""
    times = sorted(request.at for request in shared.requests)
    in_one_second = [sum(begin <= at < begin + 1 for at in times) for begin in times]

    assert max(in_one_second) <= 1.5 / DELAY


def test_what_one_spider_was_told_the_other_obeys(shared: Shared) -> None:
    """Between a second after the 429 and the end of what it asked for, the host hears from nobody."""
    quiet = [at for org in ORGS for at in shared.of(org) if shared.refused + 1.2 < at < shared.refused + ASKED - 0.1]

    assert quiet == []
    assert any(at >= shared.refused + ASKED - 0.1 for org in ORGS for at in shared.of(org))
