"""What the operators' commands print and do, over a small knowledge base on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli import dead, jobs, looking, operating, scheduling
from pipeline.cli.session import chosen
from pipeline.errors import CrawlNotFound, DeadLetterNotFound, InvalidInput
from pipeline.services.crawls import NewDatasource
from pipeline.services.orgs import DEFAULT_ORG
from tests.fakes.knowledge import SITE as ADDRESS
from tests.fakes.knowledge import Knowledge


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Iterator[Knowledge]:
    """A website whose first crawl failed, in the data directory that the commands are told of."""
    knowledge = Knowledge(tmp_path)
    knowledge.crawl({"/": 500})
    chosen.data_dir, chosen.org = tmp_path, DEFAULT_ORG
    yield knowledge
    chosen.data_dir = None
    knowledge.services.close()


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_dead_letter_is_listed_shown_and_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    """By its id; the second time there is nothing to do."""
    dead.list_letters(as_json=True)
    (letter,) = json.loads(capsys.readouterr().out)["items"]
    dead.show_letter(letter["id"])
    shown = capsys.readouterr().out

    dead.redrive(letter["id"])
    once = capsys.readouterr().out
    dead.redrive(everything=True, as_json=True)

    assert f"fingerprint     {letter['fingerprint']}" in shown
    assert once == "0 pages and 1 crawls put back, 0 passed over.\n"
    assert _json(capsys) == {"pages": 0, "crawls": 0, "passed_over": 0}


def test_dead_letters_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What it is about, why, and when it was seen."""
    dead.list_letters()

    shown = capsys.readouterr().out
    assert ADDRESS in shown
    assert "unreadable" in shown


def test_what_to_put_back_is_said_in_one_way() -> None:
    """Nothing is put back by chance."""
    with pytest.raises(InvalidInput):
        dead.redrive()
    with pytest.raises(InvalidInput):
        dead.redrive("some-id", everything=True)
    with pytest.raises(DeadLetterNotFound, match="some-id"):
        dead.redrive("some-id")


def test_a_schedule_is_paused_resumed_and_run(shop: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what came of it; a crawl that nobody will take is told of."""
    shop.services.crawls.add(NewDatasource(ADDRESS, crawl_interval_hours=24), scope=shop.org)
    scheduling.pause(ADDRESS)
    paused = capsys.readouterr().out
    scheduling.upcoming()
    nothing = capsys.readouterr().err
    scheduling.resume(ADDRESS, as_json=True)
    (resumed,) = json.loads(capsys.readouterr().out)["items"]

    scheduling.run_now(ADDRESS)
    started = capsys.readouterr()
    scheduling.list_schedules()

    assert "paused" in paused
    assert "Nothing is crawled by the clock." in nothing
    assert (resumed["is_paused"], resumed["every_hours"]) == (False, 24)
    assert "pending" in started.out
    assert "No worker listens" in started.err
    assert "runs" in capsys.readouterr().out


def test_a_crawl_is_listed_shown_and_cancelled(shop: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    """By its id; what is none is not found."""
    job = shop.services.schedules.run(ADDRESS, scope=shop.org)
    jobs.list_jobs()
    listed = capsys.readouterr().out
    jobs.show_job(str(job.id))
    shown = capsys.readouterr().out

    jobs.cancel_job(str(job.id), as_json=True)

    assert listed.count("shop.example") == 2
    assert shown.startswith(f"{job.id} starting")
    assert _json(capsys)["status"] == "cancelled"
    with pytest.raises(CrawlNotFound, match="nonsense"):
        jobs.show_job("nonsense")


def test_a_failed_crawl_says_why(shop: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    """The message, and the pages that could not be read."""
    (job,) = shop.services.crawls.list_jobs(scope=shop.org)

    jobs.show_job(str(job.id))

    shown = capsys.readouterr().out
    assert "could not be read" in shown
    assert f"failed: {ADDRESS} (http_error, HTTP 500)" in shown


def test_workers_are_listed_with_what_they_do(shop: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    """One that fell silent is named so."""
    operations = shop.services.operations
    operations.beat(operations.enter("crawl", sends_ticks=False).at("crawl.run 17", shop.clock.now))

    operating.workers()
    table = capsys.readouterr().out
    operating.workers(as_json=True)
    (worker,) = json.loads(capsys.readouterr().out)["items"]

    assert "silent" in table
    assert (worker["queue"], worker["job"]) == ("crawl", "crawl.run 17")


def test_the_status_tells_queues_leases_beats_and_what_died(
    shop: Knowledge, capsys: pytest.CaptureFixture[str]
) -> None:
    """And which parts are away, without waiting for them; a running crawl has its line."""
    shop.services.schedules.run(ADDRESS, scope=shop.org)

    looking.status()

    shown = capsys.readouterr().out
    lines = {line.split()[0]: line for line in shown.splitlines() if line.split()}
    assert "nobody listens" in lines["crawl"]
    assert lines["beats"].endswith("none: nothing is started by the clock")
    assert "database ok, broker not running" in lines["parts"]
    assert "0 found" in lines["starting"]


def test_the_status_is_one_json_value(capsys: pytest.CaptureFixture[str]) -> None:
    """For machines: the same, by name."""
    looking.status(as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert [queue["name"] for queue in told["operations"]["queues"]] == ["crawl", "index", "upkeep"]
    assert told["operations"]["dead_letters"] == 1


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (90, "1.5 min"), (7_200, "2.0 h"), (100_000, "1.2 d")])
def test_a_wait_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    """Seconds, minutes, hours or days."""
    assert operating.span(seconds) == words
