"""How a spider ends: finished, stopped, killed, orphaned, or told that its lease is gone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from pipeline.errors import DatabaseUnavailable
from pipeline.model import CrawlProgress, Outcome, Reason
from spiders.run import FINISHED, LEASE_LOST, STOPPED, UNUSABLE_PLAN, main
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabRequest, LabSite, Reply
from tests.lab.crawl import SpiderProcess, crawl
from tests.lab.site import HTML, make_page
from tests.lab.tls import self_signed

PAGES = 40


def chained(site: LabSite, gate: Event, *, open_until: int) -> None:
    """A site of forty pages linked from the first; those past `open_until` wait for the gate."""

    def answer(request: LabRequest) -> Reply | None:
        if not request.path.startswith("/page/"):
            return None
        number = int(request.path.removeprefix("/page/"))
        body = make_page(f"Page {number}").encode()
        return Reply(200, body, (HTML,), hold=gate if number > open_until else None)

    site.page("/", links=[f"/page/{number}" for number in range(1, PAGES)])
    site.serve(answer)


def test_a_killed_spider_goes_on_where_it_was() -> None:
    """After SIGKILL the next spider fetches what is missing, and again only what was in flight."""
    with LabSite() as site:
        gate = Event()
        chained(site, gate, open_until=20)
        ledger = FakeLedger(make_plan(f"{site.url}/"))
        with SpiderProcess(ledger) as spider:
            ledger.wait_for_pages(15)
            spider.kill()
        before = site.paths()
        ledger.release()
        gate.set()

        status = crawl(ledger)

        asked = site.paths()
        twice = {path for path in asked if asked.count(path) > 1}
        assert status == FINISHED
        assert sum("/page/" in url for url in ledger.kept()) == PAGES - 1
        assert twice <= set(before)
        assert len(twice) <= 24


def test_a_spider_whose_parent_died_ends_at_once() -> None:
    """The end of its standard input is the end of the spider."""
    with LabSite() as site:
        gate = Event()
        chained(site, gate, open_until=5)
        ledger = FakeLedger(make_plan(f"{site.url}/"))
        with SpiderProcess(ledger) as spider:
            ledger.wait_for_pages(1)

            spider.orphan()

            assert spider.wait() == STOPPED
        gate.set()
        assert not ledger.is_finished


def test_a_spider_that_is_asked_to_end_does() -> None:
    """SIGTERM stops it within seconds, to be started again."""
    with LabSite() as site:
        gate = Event()
        chained(site, gate, open_until=5)
        ledger = FakeLedger(make_plan(f"{site.url}/"))
        with SpiderProcess(ledger) as spider:
            ledger.wait_for_pages(1)

            spider.process.terminate()

            assert spider.wait() == STOPPED
        gate.set()
        assert not ledger.is_finished


def test_a_spider_that_lost_its_lease_says_so() -> None:
    """Another worker holds the crawl: exit status 76, and nothing more is written."""
    with LabSite() as site:
        gate = Event()
        chained(site, gate, open_until=5)
        ledger = FakeLedger(make_plan(f"{site.url}/"))
        with SpiderProcess(ledger) as spider:
            ledger.wait_for_pages(1)
            ledger.lose()
            gate.set()

            status = spider.wait()

        assert status == LEASE_LOST
        assert not ledger.is_finished


@dataclass(slots=True)
class MomentarilyAway(FakeLedger):
    """A ledger whose database is away for the first writes."""

    failures: list[str] = field(default_factory=lambda: ["away"] * 3)

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Fail a few times, then write."""
        if self.failures:
            self.failures.pop()
            raise DatabaseUnavailable(server="the fake one")
        return FakeLedger.record(self, outcomes)


def test_a_database_that_comes_back_costs_nothing() -> None:
    """Writes wait for the database, and nothing is fetched twice."""
    with LabSite() as site:
        site.page("/", links=["/a"])
        site.page("/a")
        ledger = MomentarilyAway(make_plan(f"{site.url}/"))

        status = crawl(ledger)

        assert status == FINISHED
        assert ledger.kept() == {f"{site.url}/", f"{site.url}/a"}
        assert sorted(site.paths()) == ["/", "/a"]


def test_a_start_that_cannot_be_reached_says_why(tmp_path: Path) -> None:
    """The crawl finishes with one outcome, whose detail a person understands; a bad plan is status 65."""
    with LabSite(tls=self_signed(tmp_path)) as untrusted:
        starts = {
            "http://127.0.0.1:9/": (Reason.HTTP_ERROR, "connection refused"),
            "http://nowhere.test/": (Reason.HTTP_ERROR, "no such host: nowhere.test"),
            "http://inner.test/": (Reason.ADDRESS_REFUSED, "10.0.0.1"),
            f"{untrusted.url}/": (Reason.HTTP_ERROR, "certificate error"),
        }
        ledgers = {start: FakeLedger(make_plan(start)) for start in (*starts, "ftp://example.com/")}

        with ExitStack() as stack:
            names = {"inner.test": [["10.0.0.1"]]}
            spiders = [stack.enter_context(SpiderProcess(ledger, names=names)) for ledger in ledgers.values()]
            statuses = [spider.wait() for spider in spiders]

    assert statuses == [FINISHED] * len(starts) + [UNUSABLE_PLAN]
    for start, (reason, said) in starts.items():
        outcome = ledgers[start].outcome(start)
        assert outcome.reason is reason
        assert said in (outcome.detail or "")


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line names what it wants."""
    with pytest.raises(SystemExit) as refused:
        main(["--crawl-id", str(uuid4())])

    assert refused.value.code == os.EX_USAGE - 62
    assert "--token" in capsys.readouterr().err
