"""One host, one limit: what several spiders do to a host together, on both databases, in no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import ParamSpec, TypeVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from pipeline.crawling import HostAsk
from pipeline.db import hosts
from pipeline.db.hosts import Host
from pipeline.db.robots import RobotsAnswer
from pipeline.model import CrawlStatus, Discovered, FrontierUrl, OrgScope, Outcome, Reason
from pipeline.services import sharing
from pipeline.services.ledger import DatabaseLedger
from pipeline.services.sharing import LEASE, MOST_BACKOFFS
from pipeline.urls import url_key
from spiders.feed import LedgerCalls
from spiders.pace import MAXIMUM_BUSY_TRIES, MAXIMUM_TRIES, HostClosed, Pace
from tests.fakes.knowledge import Knowledge, at
from tests.fakes.quick_loop import START, AtOnce, QuickLoop, run_quickly

P = ParamSpec("P")
Result = TypeVar("Result")

HOST = "example.com"
URL = "https://example.com/a"
LIMIT = 4


@dataclass(frozen=True)
class Said:
    """An answer, as far as the pace hears it."""

    status: int = 200
    asked: timedelta | None = None

    def retry_after(self, now: object) -> timedelta | None:
        """What the host asked for."""
        del now
        return self.asked


@dataclass
class Site:
    """A host that notes when it was asked, and how much at a time. `answers` come first, then it is well."""

    loop: QuickLoop
    takes: float = 0.2
    answers: list[Said] = field(default_factory=list)
    asked: list[tuple[float, str]] = field(default_factory=list)
    most: int = 0
    _open: int = 0

    async def answer(self, who: str) -> Said:
        """Answer after a while."""
        self.asked.append((self.loop.time(), who))
        self._open += 1
        self.most = max(self.most, self._open)
        await asyncio.sleep(self.takes)
        self._open -= 1
        return self.answers.pop(0) if self.answers else Said()

    def times(self, who: str | None = None) -> list[float]:
        """When it was asked, by one spider or by all."""
        return [moment for moment, whose in self.asked if who in {None, whose}]

    def gaps(self) -> list[float]:
        """Seconds between one request and the next."""
        return [later - earlier for earlier, later in pairwise(self.times())]


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Knowledge]:
    """An empty knowledge base on SQLite, for what has nothing to do with the database."""
    base = Knowledge(tmp_path)
    yield base
    base.services.close()


def ledger(knowledge: Knowledge, loop: QuickLoop, token: UUID | None = None) -> DatabaseLedger:
    """A ledger that tells the loop's time."""
    crawl = knowledge.settings.crawl.model_copy(update={"concurrency": LIMIT})
    return DatabaseLedger(
        knowledge.services.database,
        knowledge.settings.model_copy(update={"crawl": crawl}),
        knowledge.hints,
        loop.now,
        crawl_id=uuid4(),
        scope=OrgScope(uuid4()),
        token=token or uuid4(),
    )


class Counted(LedgerCalls):
    """Counts the calls it makes."""

    made = 0

    async def call(self, method: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """The result of one call."""
        self.made += 1
        return await super().call(method, *args, **kwargs)


def pace(knowledge: Knowledge, loop: QuickLoop) -> Pace:
    """The pace of a spider of another org."""
    return Pace(LedgerCalls(ledger(knowledge, loop), AtOnce()), concurrency=LIMIT, now=loop.now)


async def visits(spider: Pace, site: Site, who: str, *, count: int, visitors: int = 12) -> None:
    """Fetch so many pages of the site, many at a time."""
    left = iter(range(count))

    async def visit() -> None:
        for _ in left:
            async with spider.turn(HOST) as turn:
                await turn.heard(await site.answer(who))

    await asyncio.gather(*(visit() for _ in range(visitors)))
    await spider.close()


def test_a_lone_crawl_has_all_of_its_host_and_hardly_asks_for_it(quick: Knowledge) -> None:
    """Four hundred fetches in twenty seconds need a write every two seconds."""

    async def story(loop: QuickLoop) -> tuple[float, int, int]:
        site, rows = Site(loop), ledger(quick, loop)
        calls = Counted(rows, AtOnce())
        await visits(Pace(calls, concurrency=LIMIT, now=loop.now), site, "a", count=400)
        return loop.time(), site.most, calls.made

    seconds, most, writes = run_quickly(story)

    assert seconds == pytest.approx(20, abs=0.5)
    assert most == LIMIT
    assert writes <= 12


def test_two_orgs_share_the_requests_in_flight(knowledge: Knowledge) -> None:
    """Never more than the limit together, and after a moment each has half."""

    async def story(loop: QuickLoop) -> Site:
        site = Site(loop)
        first = asyncio.ensure_future(visits(pace(knowledge, loop), site, "a", count=300))
        await asyncio.sleep(3)
        await asyncio.gather(first, visits(pace(knowledge, loop), site, "b", count=100))
        return site

    site = run_quickly(story)

    begun = site.times("b")[0]
    together = [who for moment, who in site.asked if begun < moment <= begun + 5]
    assert site.most == LIMIT
    assert begun < 3 + 4
    assert together.count("b") / len(together) == pytest.approx(0.5, abs=0.1)


def test_more_crawls_than_requests_take_turns(quick: Knowledge) -> None:
    """Six crawls of one host that takes four requests: each gets its part, none starves."""

    async def story(loop: QuickLoop) -> Site:
        site = Site(loop)
        spiders = [asyncio.ensure_future(visits(pace(quick, loop), site, str(n), count=10_000)) for n in range(6)]
        await asyncio.sleep(20)
        for spider in spiders:
            spider.cancel()
        await asyncio.gather(*spiders, return_exceptions=True)
        return site

    site = run_quickly(story)

    shares = [len(site.times(str(n))) for n in range(6)]
    assert site.most == LIMIT
    assert min(shares) > sum(shares) / 6 / 3
    assert sum(shares) > 20 / 0.2 * LIMIT * 0.6


def test_a_delay_is_kept_by_all_crawls_together(quick: Knowledge) -> None:
    """`Crawl-delay: 1` is one request a second to the host, not one a second for each."""

    async def story(loop: QuickLoop) -> Site:
        site = Site(loop)
        spiders = [pace(quick, loop) for _ in range(3)]
        for spider in spiders:
            spider.keep_delay(HOST, timedelta(seconds=1))
        await asyncio.gather(*(visits(spider, site, str(n), count=8, visitors=4) for n, spider in enumerate(spiders)))
        return site

    site = run_quickly(story)

    assert min(site.gaps()) >= 0.94
    assert site.most == 1
    assert len(site.asked) == 24
    assert site.times()[-1] < 24 * 1 * 2.5


def test_a_long_delay_is_kept_and_every_crawl_comes_to_its_turn(quick: Knowledge) -> None:
    """Thirty seconds between two requests, whoever makes them."""

    async def story(loop: QuickLoop) -> Site:
        site = Site(loop)
        spiders = [pace(quick, loop) for _ in range(2)]
        for spider in spiders:
            spider.keep_delay(HOST, timedelta(seconds=30))
        await asyncio.gather(*(visits(spider, site, str(n), count=3, visitors=4) for n, spider in enumerate(spiders)))
        return site

    site = run_quickly(story)

    assert min(site.gaps()) >= 29.9
    assert site.times()[-1] < 6 * 30 * 1.5


def test_what_a_host_tells_one_crawl_all_obey(knowledge: Knowledge) -> None:
    """`Retry-After: 20` from one answer: within a second nobody asks, and until then nobody does."""

    async def story(loop: QuickLoop) -> tuple[Site, float]:
        site = Site(loop)
        first = asyncio.ensure_future(visits(pace(knowledge, loop), site, "a", count=200))
        second = asyncio.ensure_future(visits(pace(knowledge, loop), site, "b", count=200))
        await asyncio.sleep(8)
        site.answers.append(Said(429, timedelta(seconds=20)))
        closed = loop.time()
        await asyncio.gather(first, second)
        return site, closed

    site, closed = run_quickly(story)

    assert {who for _, who in site.asked if 5 < _ < 8} == {"a", "b"}
    assert [moment for moment in site.times() if closed + 1 < moment < closed + 19.9] == []
    assert {who for moment, who in site.asked if moment > closed + 20} == {"a", "b"}


def test_without_a_word_the_wait_doubles_to_a_minute(quick: Knowledge) -> None:
    """1, 2, 4 … 60, 60: and one request at a time finds out whether it is over."""

    async def story(loop: QuickLoop) -> list[float]:
        site = Site(loop, answers=[Said(429)] * 9)
        await visits(pace(quick, loop), site, "a", count=40, visitors=1)
        return site.gaps()

    gaps = run_quickly(story)

    assert [round(gap - 0.2) for gap in gaps[:9]] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert max(gaps[9:]) < 1


def test_a_host_that_stays_busy_is_left_alone_for_ten_minutes(quick: Knowledge) -> None:
    """Nine waits, the last of a minute, were not enough: no worker sits and tries on."""
    loop = QuickLoop()
    rows = ledger(quick, loop)
    loop.close()

    waits = [rows.hold_host(HOST, timedelta(0)).total_seconds()]
    with quick.services.database.write() as session:
        hosts.lock(session, HOST).backoff = MOST_BACKOFFS
        waits.append(sharing.hold(session, HOST, None, now=START + timedelta(hours=1)).total_seconds())
        waits.append(sharing.hold(session, HOST, None, now=START + timedelta(hours=2)).total_seconds())

    assert waits == [1, 600, 600]


def test_a_part_of_a_site_that_says_503_does_not_stop_the_rest_for_hours(quick: Knowledge) -> None:
    """Two minutes of waits, then each of its URLs fails by itself."""

    async def story(loop: QuickLoop) -> float:
        site = Site(loop, answers=[Said(503)] * 60)
        await visits(pace(quick, loop), site, "a", count=80, visitors=1)
        return loop.time()

    assert run_quickly(story) == pytest.approx(80 * 0.2 + 1 + 2 + 4 + 8 + 16 + 32 + 60, abs=5)


def test_answers_that_were_on_their_way_do_not_double(quick: Knowledge) -> None:
    """Four requests that all come back busy are one reason to wait, not four."""

    async def story(loop: QuickLoop) -> Site:
        site = Site(loop, answers=[Said(429)] * LIMIT)
        await visits(pace(quick, loop), site, "a", count=20)
        return site

    site = run_quickly(story)

    assert max(site.gaps()) == pytest.approx(1.2, abs=0.1)


def test_what_a_killed_spider_had_returns_after_its_lease(knowledge: Knowledge) -> None:
    """Nobody gives it back, and half a minute later it is there."""

    async def story(loop: QuickLoop) -> Site:
        site = Site(loop)
        dead = ledger(knowledge, loop).share_host(HostAsk(HOST, holds=0, wants=LIMIT))
        assert dead.requests == LIMIT
        await visits(pace(knowledge, loop), site, "b", count=20)
        return site

    site = run_quickly(story)

    assert LEASE.total_seconds() <= site.times()[0] < LEASE.total_seconds() + 1


def test_asking_all_at_once_gives_no_more_than_there_is(knowledge: Knowledge) -> None:
    """Six spiders in the same moment: the host's row lets one of them count at a time."""
    loop = QuickLoop()
    spiders = [ledger(knowledge, loop) for _ in range(6)]
    barrier = Barrier(len(spiders))

    def ask(rows: DatabaseLedger) -> int:
        barrier.wait()
        return rows.share_host(HostAsk(HOST, holds=0, wants=LIMIT)).requests

    with ThreadPoolExecutor(len(spiders)) as threads:
        had = list(threads.map(ask, spiders))
    loop.close()

    assert sum(had) == LIMIT


def test_hosts_nobody_asks_any_more_are_forgotten(knowledge: Knowledge) -> None:
    """What is still closed stays."""
    rows, _ = knowledge.start(knowledge.add_site())
    rows.share_host(HostAsk("gone.example", holds=0, wants=1))
    rows.keep_robots("https://gone.example", 200, b"")
    rows.hold_host("closed.example", timedelta(hours=20))

    knowledge.clock.forward(hours=13)
    rows.share_host(HostAsk("asked.example", holds=0, wants=1))
    knowledge.clock.forward(seconds=1)
    knowledge.services.upkeep.tick()

    with knowledge.services.database.read() as session:
        assert set(session.scalars(select(Host.host))) == {"closed.example", "asked.example"}
    knowledge.clock.forward(hours=24)
    knowledge.services.upkeep.tick()
    with knowledge.services.database.read() as session:
        assert list(session.scalars(select(Host.host))) == []
        assert list(session.scalars(select(RobotsAnswer.origin))) == []


def test_what_a_spider_had_is_free_once_its_worker_knows_that_it_died(knowledge: Knowledge) -> None:
    """Or once an embedded database has a new owner: nobody waits for a lease then."""
    rows, claim = knowledge.start(knowledge.add_site())
    ask = HostAsk(HOST, holds=0, wants=8)

    had = rows.share_host(ask).requests
    knowledge.services.crawls.release(claim, burn=True)
    again, _ = knowledge.hold(claim.crawl_id)
    had_again = again.share_host(ask).requests
    knowledge.services.upkeep.take_over()
    third, _ = knowledge.hold(claim.crawl_id)

    assert (had, had_again, third.share_host(ask).requests) == (8, 8, 8)


def test_a_host_closed_for_long_is_not_waited_for(knowledge: Knowledge) -> None:
    """Every visit hears at once until when; what waits of it is put off."""
    started = knowledge.start(knowledge.add_site(URL))[0]

    async def story(loop: QuickLoop) -> tuple[float, list[object]]:
        spider = Pace(LedgerCalls(started, AtOnce()), concurrency=LIMIT, now=loop.now)
        site = Site(loop, answers=[Said(429, timedelta(minutes=10))])
        outcomes = await asyncio.gather(*(visits(spider, site, "a", count=9) for _ in range(3)), return_exceptions=True)
        return loop.time(), list(outcomes)

    seconds, outcomes = run_quickly(story)

    assert seconds < 2
    assert all(isinstance(outcome, HostClosed) for outcome in outcomes)


def test_a_paused_crawl_comes_back_by_itself_and_loses_nothing(knowledge: Knowledge) -> None:
    """Its lease is free, no attempt is counted, the reason is shown, and a hint leaves when its time has come."""
    rows, claim = knowledge.start(knowledge.add_site())
    rows.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in ("/a", "/b")])
    taken = rows.take(2)
    wait = timedelta(minutes=10)
    put_back = Outcome(
        taken[0].url_key,
        taken[0].url,
        knowledge.clock.now,
        reason=Reason.HTTP_ERROR,
        retry_at=knowledge.clock.now + wait,
        untried=True,
    )
    rows.record([put_back])
    rows.postpone("shop.example", wait, "shop.example asked for it")
    rows.pause(wait)

    paused = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    knowledge.hints.sent.clear()
    knowledge.services.upkeep.tick()
    early = list(knowledge.hints.sent)
    knowledge.clock.forward(minutes=11)
    knowledge.services.upkeep.tick()
    again, second = knowledge.hold(claim.crawl_id)
    retaken = again.take(5)

    assert (paused.status, paused.attempts) == (CrawlStatus.SCRAPING, 0)
    assert "shop.example asked for it" in (paused.error_message or "")
    assert early == []
    assert knowledge.hints.sent == [("crawl", claim.crawl_id)]
    assert knowledge.services.crawls.job(second.crawl_id, scope=knowledge.org).error_message is None
    assert sorted(url.attempts for url in retaken) == [1] * len(retaken)
    assert len(retaken) == 3


def test_a_crawl_waits_for_hosts_for_some_hours_and_no_longer(knowledge: Knowledge) -> None:
    """Then it goes on without that host, and says of each URL why."""
    rows, claim = knowledge.start(knowledge.add_site())
    rows.seed([Discovered(url_key(at("/a")), at("/a"), depth=1)])

    is_waited_for = rows.postpone("shop.example", timedelta(hours=20), "shop.example wants a day")
    rows.finish()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert not is_waited_for
    assert {failure.detail for failure in job.failures} == {"shop.example wants a day"}
    assert job.has_ended


def test_a_url_is_tried_three_times_with_growing_waits_and_five_where_its_host_is_busy(quick: Knowledge) -> None:
    """One second, two seconds, and then it has failed; what an earlier spider tried counts."""

    async def story(loop: QuickLoop) -> tuple[list[float | None], int]:
        spider = pace(quick, loop)
        waits = [spider.retry(FrontierUrl("key", URL, 1, attempts=1)) for _ in range(MAXIMUM_TRIES)]
        assert spider.retry(FrontierUrl("other", URL, 1, attempts=MAXIMUM_TRIES)) is None
        assert spider.retry(FrontierUrl("third", URL, 1), timedelta(seconds=90)) == loop.now() + timedelta(seconds=90)
        busy = [spider.retry(FrontierUrl("busy", URL, 1), is_busy=True) for _ in range(MAXIMUM_BUSY_TRIES)]
        seconds = [None if wait is None else (wait - loop.now()).total_seconds() for wait in waits]
        return seconds, sum(wait is not None for wait in busy)

    waits, busy = run_quickly(story)

    assert waits == [1, 2, None]
    assert busy == MAXIMUM_BUSY_TRIES - 1
