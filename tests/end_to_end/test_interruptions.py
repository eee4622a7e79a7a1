"""Ctrl-C at any moment: nothing is lost, and the same command goes on to the same end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from pipeline.bootstrap import open_services
from pipeline.services.crawls import CrawlJob
from pipeline.settings import read_settings
from tests.lab.command import Finished, Sitewise
from tests.lab.site import HTML, LabSite, make_page, prose
from tests.lab.waiting import eventually
from tests.lab.wire import Reply

INTERRUPTED = 130
PAGES = 18
HELD_FROM = 8
PARAGRAPHS = 4


@pytest.fixture
def gate() -> Event:
    """Opens the second half of the site."""
    return Event()


@pytest.fixture
def last_gate() -> Event:
    """Opens for the last page: until then no crawl can end."""
    return Event()


@pytest.fixture
def site(gate: Event, last_gate: Event) -> Iterator[LabSite]:
    """A site whose later pages are not answered before the gate opens, the last one not before its own does."""
    with LabSite() as lab:
        lab.page("/", links=[f"/page-{number}" for number in range(PAGES)])
        for number in range(PAGES):
            text = " ".join(prose(f"{number} {part}") for part in range(PARAGRAPHS))
            body = make_page(f"Page {number}", text).encode()
            hold = last_gate if number == PAGES - 1 else gate if number > HELD_FROM else None
            lab.answers(f"/page-{number}", Reply(body=body, headers=(HTML,), hold=hold))
        yield lab
        gate.set()
        last_gate.set()


def latest(data_dir: Path) -> CrawlJob:
    """The crawl as its row says."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        scope = services.orgs.ensure()
        return services.crawls.job(services.crawls.list_jobs(scope=scope, limit=1)[0].id, scope=scope)


def pages(sitewise: Sitewise) -> list[tuple[object, ...]]:
    """What is known of every page."""
    listed = sitewise.run("page", "list", "--json").json()
    names = ("url", "status", "reason", "chunks", "version", "title")
    return [tuple(page[name] for name in names) for page in listed["items"]]


def assert_interrupted(finished: Finished) -> None:
    """Ended by Ctrl-C in good order."""
    assert finished.status == INTERRUPTED, finished.err
    assert finished.out == ""
    assert "the same command goes on" in finished.err
    assert "Traceback" not in finished.err


def test_a_crawl_interrupted_three_times_ends_like_one_left_alone(
    fresh: Sitewise, tmp_path: Path, site: LabSite, gate: Event, last_gate: Event
) -> None:
    """At its start, amid fetching, amid indexing: the command run again goes on, to the same pages and points.

    The last page is held back until the third time, so that no crawl ends before it is interrupted.
    """
    command = ("crawl", f"{site.url}/")

    starting = fresh.start(*command)
    eventually((fresh.data_dir / "owner.lock").exists)
    starting.interrupt()
    at_start = starting.wait()
    fetching = fresh.start(*command)
    eventually(lambda: len(site.requests) > HELD_FROM)
    fetching.interrupt()
    amid_fetching = fetching.wait()
    gate.set()
    indexing = fresh.start(*command)
    eventually(lambda: latest(fresh.data_dir).fetched_pages >= PAGES)
    indexing.interrupt()
    amid_indexing = indexing.wait()
    last_gate.set()
    last = fresh.run(*command, "--json")
    undisturbed = Sitewise(tmp_path / "undisturbed")
    undisturbed.run(*command)

    for finished in (at_start, amid_fetching, amid_indexing):
        assert_interrupted(finished)
    assert "it goes on" in last.err
    assert last.status == 0
    assert last.json()["new_pages"] == PAGES + 1
    assert pages(fresh) == pages(undisturbed)
    assert set(fresh.run("verify", "--json").json().values()) == {0}


def test_a_question_interrupted_ends_quietly(fresh: Sitewise) -> None:
    """Ctrl-C while a command still loads is no trace either."""
    asking = fresh.start("ask", "What does it cost?")
    eventually(fresh.data_dir.exists)
    asking.interrupt()

    finished = asking.wait()

    assert finished.status == INTERRUPTED
    assert "Traceback" not in finished.err
