"""Ctrl-C at any moment: nothing is lost, and the same command goes on to the same end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from pipeline.bootstrap import open_services
from pipeline.services.crawls import CrawlJob
from pipeline.settings import read_settings
from tests.lab.command import Finished, Sitewise
from tests.lab.site import HTML, LabSite, make_page, prose
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.waiting import eventually
from tests.lab.wire import Reply

INTERRUPTED = 130
PAGES = 18
HELD_FROM = 8
PARAGRAPHS = 4


@pytest.fixture
def tiny_model(tmp_path: Path) -> dict[str, str]:
    """Settings of a model of a few kilobytes: what is interrupted is as busy, and less is loaded five times."""
    model = write_tiny_bert(tmp_path / "model", max_tokens=512)
    return {
        "SITEWISE_EMBED__MODEL": str(model),
        "SITEWISE_EMBED__BACKEND": "openvino",
        "SITEWISE_EMBED__PRECISION": "fp32",
    }


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


@contextmanager
def latest(data_dir: Path) -> Iterator[Callable[[], CrawlJob]]:
    """Tells how the crawl stands, as its row says; opened once, so that asking leaves the cores to the crawl."""
    with open_services(read_settings(data_dir=data_dir)) as services:
        scope = services.orgs.ensure()
        (row,) = services.crawls.list_jobs(scope=scope, limit=1)
        yield lambda: services.crawls.job(row.id, scope=scope)


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


@pytest.mark.unmeasured  # five crawls, each by processes that begin from nothing: the main job measures one
def test_a_crawl_interrupted_three_times_ends_like_one_left_alone(
    tiny_model: dict[str, str], tmp_path: Path, site: LabSite, gate: Event, last_gate: Event
) -> None:
    """At its start, amid fetching, amid indexing: the command run again goes on, to the same pages and points.

    The last page is held back until the third time, so that no crawl ends before it is interrupted.
    """
    command = ("crawl", f"{site.url}/")
    fresh = Sitewise(tmp_path / "kb", **tiny_model)

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
    with latest(fresh.data_dir) as crawl:
        eventually(lambda: crawl().fetched_pages >= PAGES, what="all pages but the last are fetched")
    indexing.interrupt()
    amid_indexing = indexing.wait()
    last_gate.set()
    last = fresh.run(*command, "--json")
    undisturbed = Sitewise(tmp_path / "undisturbed", **tiny_model)
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
