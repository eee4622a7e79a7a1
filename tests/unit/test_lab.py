"""The lab: a website that does what a test says, in a time of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection

import pytest

from tests.lab import LabClock, LabSite, Reply
from tests.lab.waiting import eventually

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer."""

    status: int
    body: str
    headers: dict[str, str]


@pytest.fixture
def site() -> Iterator[LabSite]:
    """A site whose time stands still."""
    with LabSite(clock=LabClock(rate=0)) as lab:
        yield lab


def get(site: LabSite, path: str, **headers: str) -> Got:
    """Ask for a path."""
    connection = HTTPConnection(site.address, site.port, timeout=30)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Got(answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()})
    finally:
        connection.close()


def test_a_page_changes_on_its_day(site: LabSite) -> None:
    """Days pass when the test says so, and the newest that is true by then is served."""
    site.page("/a", "first")
    site.page("/a", "third", since=3 * DAY)
    site.page("/a", "second", since=2 * DAY)
    site.page("/later", "there", since=2 * DAY)

    seen = []
    for _ in range(4):
        seen.append((get(site, "/a").body, get(site, "/later").status))
        site.clock.advance(DAY)

    assert seen == [("first", 404), ("first", 404), ("second", 200), ("third", 200)]
    assert [request.at for request in site.requests][::2] == [0, 86_400, 172_800, 259_200]


def test_what_is_said_last_stands(site: LabSite) -> None:
    """An answer without a date replaces all there were."""
    site.page("/a", "old", since=DAY)
    site.page("/a", "new")
    site.clock.advance(2 * DAY)

    assert get(site, "/a").body == "new"


def test_a_slow_answer_costs_no_waiting(site: LabSite) -> None:
    """It is held until the clock has moved on, and not a moment longer."""
    site.respond("/slow", body="done", delay=3_600)
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(get, site, "/slow")
        eventually(lambda: site.count("/slow") == 1)
        site.clock.advance(timedelta(minutes=59))
        was_early = answer.done()
        while not answer.done():
            site.clock.advance(timedelta(minutes=1))

    assert not was_early
    assert answer.result().body == "done"


def test_time_can_run_fast() -> None:
    """At a thousand times the pace an hour is over in seconds."""
    with LabSite(clock=LabClock(rate=36_000)) as site:
        site.respond("/slow", body="done", delay=3_600)

        assert get(site, "/slow").body == "done"
        assert site.clock.elapsed >= 3_600


def test_the_clock_writes_dates() -> None:
    """As headers have them, from its own now."""
    clock = LabClock(datetime(2026, 3, 1, tzinfo=UTC), rate=0)

    clock.advance(DAY)

    assert clock.http_date() == "Mon, 02 Mar 2026 00:00:00 GMT"
    assert clock.http_date(after=timedelta(seconds=90)) == "Mon, 02 Mar 2026 00:01:30 GMT"


def test_a_busy_host_says_when_to_come_back(site: LabSite) -> None:
    """Two requests a minute: the third waits as long as it is told to, and is served."""
    site.page("/a", "fine")
    site.limit(2, per=timedelta(minutes=1))

    before = [get(site, "/a").status for _ in range(3)]
    asked = get(site, "/a").headers["retry-after"]
    site.clock.advance(timedelta(seconds=int(asked)))
    after = get(site, "/a").status

    assert before == [200, 200, 429]
    assert (asked, after) == ("60", 200)


def test_every_host_has_its_own_pages(site: LabSite) -> None:
    """A host's own answer goes before everybody's, robots.txt and sitemaps included."""
    site.page("/", "everybody")
    site.page("/", "shop", host="shop.test")
    site.robots("User-agent: *\nDisallow: /", host="shop.test")
    site.sitemap(["/a"], host="shop.test", alternates={"/a": {"de": "/de/a"}})

    sitemap = get(site, "/sitemap.xml", Host="shop.test").body

    assert [get(site, "/", Host=host).body for host in ("shop.test", "other.test")] == ["shop", "everybody"]
    assert [get(site, "/robots.txt", Host=host).status for host in ("shop.test", "other.test")] == [200, 404]
    assert f"<loc>http://shop.test:{site.port}/a</loc>" in sitemap
    assert f'hreflang="de" href="http://shop.test:{site.port}/de/a"' in sitemap


def test_a_page_that_did_not_change_is_not_sent_again(site: LabSite) -> None:
    """Its validators are honoured."""
    site.page("/a", etag='"1"', headers=[("Last-Modified", site.clock.http_date())])

    statuses = [
        get(site, "/a", If_None_Match='"1"').status,
        get(site, "/a", If_None_Match='"2"').status,
        get(site, "/a", If_Modified_Since=site.clock.http_date()).status,
    ]

    assert statuses == [304, 200, 304]


def test_answers_come_one_after_the_other(site: LabSite) -> None:
    """The last one stays."""
    site.answers("/a", Reply(503), Reply(500), Reply(200, b"at last"))

    assert [get(site, "/a").status for _ in range(4)] == [503, 500, 200, 200]
