"""A spider and the lease it works under."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest

from pipeline.errors import DatabaseUnavailable, LeaseLost
from pipeline.services.crawls import CrawlClaim
from tests.lab.waiting import eventually
from workers import spider_process

CRAWL = uuid4()
UNTIL_STDIN_CLOSES = "import sys; sys.stdin.read(); sys.exit(75)"
DEAF = "import time; time.sleep(600)"
STARTS_ANOTHER = """
import subprocess
other = subprocess.Popen(["sleep", "600"])
with open({path!r}, "w") as file:
    file.write(f"{{other.pid}} ")
other.wait()
"""


@dataclass
class OneCrawl:
    """A crawl service that knows one crawl, and keeps what it was told of it."""

    lease: timedelta = timedelta(seconds=0.3)
    is_held: bool = False
    away: bool = False
    renewed: threading.Event = field(default_factory=threading.Event)
    released: list[tuple[bool, str | None]] = field(default_factory=list)
    is_wanted_soon: bool = False

    def claim_in_turn(self, hinted: UUID, *, owner: str) -> CrawlClaim | None:
        """Hold the crawl, once."""
        del owner
        if self.is_held:
            return None
        self.is_held = True
        return CrawlClaim(crawl_id=hinted, org_id=uuid4(), token=uuid4(), lease=self.lease)

    def renew(self, claim: CrawlClaim) -> None:
        """Keep it, unless it was lost or the database is away."""
        self.renewed.set()
        if self.away:
            raise DatabaseUnavailable
        if not self.is_held:
            raise LeaseLost(crawl=claim.crawl_id)

    def release(self, claim: CrawlClaim, *, burn: bool, detail: str | None = None, soon: bool = False) -> None:
        """Give it back."""
        del claim
        self.is_held, self.is_wanted_soon = False, soon
        self.released.append((burn, detail))


def _run(crawls: OneCrawl, code: str) -> None:
    command = [sys.executable, "-c", code]
    spider_process.run(CRAWL, crawls=crawls, owner="test", start=lambda _: spider_process.started(command))


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """A thread for the watch, so that the test can act meanwhile."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        yield threads


@pytest.fixture(autouse=True)
def _fresh_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spider_process, "shutdown", spider_process.Shutdown())
    monkeypatch.setattr(spider_process, "FAREWELL_SECONDS", 0.5)


@pytest.mark.parametrize(
    ("code", "released"),
    [
        ("", []),
        ("import sys; sys.exit(75)", [(False, None)]),
        ("import sys; sys.exit(76)", []),
        ("import sys; sys.exit(1)", [(True, "its spider ended with status 1")]),
        ("import os; os.kill(os.getpid(), 9)", [(True, "its spider was ended by SIGKILL")]),
    ],
    ids=["finished", "temporary", "lease lost", "defect", "killed"],
)
def test_how_a_spider_ends_decides_what_becomes_of_its_crawl(
    code: str, released: list[tuple[bool, str | None]]
) -> None:
    """Only a death counts as an attempt; a server that was away does not."""
    crawls = OneCrawl()

    _run(crawls, code)

    assert crawls.released == released


def test_a_doubled_hint_starts_one_spider(tmp_path: Path) -> None:
    """The second finds nothing to claim."""
    crawls = OneCrawl()
    code = f"open({str(tmp_path / 'starts')!r}, 'a').write('x')"

    _run(crawls, code)
    _run(crawls, code)

    assert (tmp_path / "starts").read_text() == "x"


def test_a_lost_lease_kills_the_spider_and_all_it_started(beside: ThreadPoolExecutor, tmp_path: Path) -> None:
    """Nothing goes on fetching for a crawl that somebody else holds, and the crawl is not given back."""
    crawls = OneCrawl()
    code = STARTS_ANOTHER.format(path=str(tmp_path / "pid"))
    watch = beside.submit(_run, crawls, code)
    grandchild = int(eventually(lambda: _text(tmp_path / "pid")))

    crawls.is_held = False
    watch.result(timeout=60)

    eventually(lambda: not _runs(grandchild), what="grandchild gone")
    assert crawls.released == []


def test_a_database_that_is_away_stops_no_spider(beside: ThreadPoolExecutor) -> None:
    """Its writes are fenced anyway, and the lease may still be ours when the database is back."""
    crawls = OneCrawl(away=True)
    watch = beside.submit(_run, crawls, UNTIL_STDIN_CLOSES)
    assert crawls.renewed.wait(60)
    crawls.renewed.clear()

    assert crawls.renewed.wait(60)
    assert not watch.done()
    spider_process.shutdown.begin()
    watch.result(timeout=60)


def test_a_watch_that_fails_leaves_no_spider(tmp_path: Path) -> None:
    """Whatever goes wrong in the worker, nobody fetches unwatched."""

    class Broken(OneCrawl):
        def renew(self, claim: CrawlClaim) -> None:
            del claim
            eventually(lambda: _text(tmp_path / "pid"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _run(Broken(), STARTS_ANOTHER.format(path=str(tmp_path / "pid")))

    eventually(lambda: not _runs(int(_text(tmp_path / "pid"))), what="grandchild gone")


@pytest.mark.parametrize("code", [UNTIL_STDIN_CLOSES, DEAF], ids=["listens", "deaf"])
def test_a_worker_that_stops_gives_its_crawls_back_unharmed(
    beside: ThreadPoolExecutor, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rolling restart is no attempt, whether the spider ends by itself or is killed, and another worker goes on."""
    monkeypatch.setattr(spider_process, "GRACE_SECONDS", 0.3)
    crawls = OneCrawl()
    watch = beside.submit(_run, crawls, code)
    assert crawls.renewed.wait(60)

    spider_process.shutdown.begin()
    watch.result(timeout=60)

    assert crawls.released == [(False, None)]
    assert crawls.is_wanted_soon


def test_a_crawl_begun_while_the_worker_stops_is_given_back() -> None:
    """A hint taken in the last moment does not hold the worker."""
    spider_process.shutdown.begin()
    crawls = OneCrawl()

    _run(crawls, UNTIL_STDIN_CLOSES)

    assert crawls.released == [(False, None)]


def test_the_spider_is_told_what_it_works_under() -> None:
    """Crawl, org and token travel as arguments; the pipe is watched."""
    claim = CrawlClaim(crawl_id=uuid4(), org_id=uuid4(), token=uuid4(), lease=timedelta(seconds=1))

    command = spider_process.spider_command(claim)

    assert command[:3] == [sys.executable, "-m", "spiders.run"]
    assert set(command[3:]) == {
        f"--crawl-id={claim.crawl_id}",
        f"--org-id={claim.org_id}",
        f"--token={claim.token}",
        "--watch-stdin",
    }


def _text(path: Path) -> str:
    text = path.read_text() if path.exists() else ""
    return text.strip() if text.endswith(" ") else ""


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
