"""The Celery app and what it promises."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.celery import CRAWL_TASK, INDEX_TASK, UPKEEP_TASK, broker_url
from pipeline.settings import read_settings
from workers import run, tasks
from workers.app import Hint, app
from workers.schedule import schedule


def test_messages_are_json_and_nothing_else() -> None:
    """A broker that somebody else can write to must not be a way to run code."""
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"


@pytest.mark.parametrize("task", [tasks.run_crawl, tasks.index_pages, tasks.tick], ids=lambda task: task.name)
def test_every_task_is_a_hint(task: Hint) -> None:
    """Acknowledged before it begins, never retried, no result kept: the row is the truth."""
    assert isinstance(task, Hint)
    assert (task.acks_late, task.ignore_result, task.max_retries) == (False, True, 0)


def test_every_task_has_the_queue_of_its_kind() -> None:
    """Crawls cannot delay indexing, nor either of them upkeep."""
    queues = {name: app.conf.task_routes[name]["queue"] for name in (CRAWL_TASK, INDEX_TASK, UPKEEP_TASK)}

    assert queues == {CRAWL_TASK: "crawl", INDEX_TASK: "index", UPKEEP_TASK: "upkeep"}


def test_a_tick_that_comes_late_gives_way() -> None:
    """A worker that was away does not work through every tick it missed."""
    settings = read_settings(work={"tick": timedelta(seconds=3)})

    entry = schedule(settings)["upkeep"]

    assert entry["schedule"] == pytest.approx(3)
    assert entry["options"] == {"queue": "upkeep", "expires": 6}


def test_an_embedded_broker_is_found_by_its_directory(tmp_path: Path) -> None:
    """Every process that knows the data directory knows the broker's address."""
    assert broker_url(read_settings(data_dir=tmp_path)) == f"redis+socket://{tmp_path.resolve()}/run/broker.sock"


def test_a_long_or_odd_directory_gets_a_short_plain_socket(tmp_path: Path) -> None:
    """A socket's path has about a hundred bytes, and an address no spaces."""
    long = broker_url(read_settings(data_dir=tmp_path / ("deep" * 30)))
    odd = broker_url(read_settings(data_dir=tmp_path / "my site?#%20"))

    assert long != odd
    for url in (long, odd):
        assert url.startswith("redis+socket:///tmp/sitewise-")
        assert len(url) < 100


def test_a_configured_broker_is_used_as_it_is() -> None:
    """The server's address, its password included."""
    assert broker_url(read_settings(broker={"url": "redis://:secret@host:6379/1"})) == "redis://:secret@host:6379/1"


def test_a_worker_for_no_such_queue_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt queue would never be served, and nobody would notice."""
    assert run.main(["--queues", "crawl,indx"]) == 2

    assert "crawl, index, upkeep" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--queues=crawl,index,upkeep", "--beat"], ["crawl", "index", "upkeep --beat"]),
        (["--queues=index", "--concurrency=3"], ["index", "index", "index"]),
        (["--queues=crawl,index", "--concurrency=2", "--beat"], ["crawl --beat --concurrency=2", "index", "index"]),
        (["--queues=upkeep", "--beat", "--no-schedules"], ["upkeep --beat --no-schedules"]),
    ],
    ids=["all", "more indexing", "no upkeep", "ticks only"],
)
def test_each_queue_has_a_process_and_one_of_them_beats(arguments: list[str], expected: list[str]) -> None:
    """Concurrency means crawls in the crawl worker, and processes for indexing; upkeep beats where it is served."""
    planned = run.plan(run.options_of(arguments))

    assert [" ".join([queue, *options]) for queue, options in planned] == expected
