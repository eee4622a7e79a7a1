"""However an owner ends, nothing of it stays, and the next one begins where it stood."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from pipeline.adapters.celery import CeleryHints, broker_url
from pipeline.errors import DataDirectoryBusy
from pipeline.owner.environment import environment_of
from pipeline.owner.owner import Owner, owner_of
from pipeline.owner.standby import Standby
from tests.lab.embedded import quick_settings
from tests.lab.waiting import eventually

SOON_SECONDS = 40
"""A machine may be busy; a worker that is not told at all ends later than that, or never."""


@contextmanager
def _owner_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """An owner, and every process it has started by the time all its children run."""
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.lab.owning", str(folder)], stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            children = json.loads(owner.stdout.readline())
            yield owner, [psutil.Process(pid) for pid in children.values()]
        finally:
            owner.kill()


def _all_gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def test_a_killed_owner_leaves_nothing_behind(tmp_path: Path) -> None:
    """Broker and workers end by themselves, and the directory opens again."""
    with _owner_process(tmp_path) as (owner, children):
        owner.kill()

        eventually(lambda: _all_gone(children), what="children gone")

    assert owner_of(tmp_path / "data") is None
    with Owner(quick_settings(tmp_path), log_dir=tmp_path / "logs") as second:
        assert second.pids["broker"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_owner_told_to_end_ends_everything_soon(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C at any moment, here the worst: while the workers are starting."""
    with _owner_process(tmp_path) as (owner, children):
        began = time.monotonic()
        owner.send_signal(number)
        owner.wait(SOON_SECONDS)

        eventually(lambda: _all_gone(children), seconds=SOON_SECONDS, what="children gone")

    assert time.monotonic() - began < SOON_SECONDS


def test_a_second_owner_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    """It learns who owns the directory, and harms nothing."""
    with _owner_process(tmp_path) as (owner, children):
        with pytest.raises(DataDirectoryBusy, match=str(owner.pid)), Owner(quick_settings(tmp_path)):
            pass

        assert not _all_gone(children)
        found = owner_of(tmp_path / "data")

    assert found is not None
    assert found.pid == owner.pid


def test_an_owner_brings_only_what_is_missing(tmp_path: Path) -> None:
    """With a broker set elsewhere, none is started here."""
    with Owner(quick_settings(tmp_path), log_dir=tmp_path / "logs") as embedded:
        url = f"redis+socket://{tmp_path.resolve()}/data/run/broker.sock"
        mixed = quick_settings(tmp_path / "other", broker={"url": url})

        with Owner(mixed, log_dir=tmp_path / "logs") as other:
            assert "broker" in embedded.pids
            assert "broker" not in other.pids


def test_a_command_beside_takes_over(tmp_path: Path) -> None:
    """When the owner it leaned on ends, another command carries on as the owner."""
    settings = quick_settings(tmp_path)
    taken = threading.Event()
    with (
        Owner(settings, log_dir=tmp_path / "logs") as first,
        Standby(settings, log_dir=tmp_path / "logs", on_taken=taken.set) as beside,
    ):
        assert not taken.wait(0.2)
        first.__exit__(None, None, None)

        assert taken.wait(60)
        assert owner_of(settings.data_dir) is not None

    assert beside
    assert owner_of(settings.data_dir) is None


def test_workers_without_an_owner_end_when_told(tmp_path: Path) -> None:
    """As on any machine of a deployment: one command, a process a queue, and a clean end."""
    with Owner(quick_settings(tmp_path), log_dir=tmp_path / "logs") as owner:
        assert owner.pids["broker"]
        command = [sys.executable, "-m", "workers.run", "--queues=crawl,index,upkeep", "--beat"]
        environment = environment_of(quick_settings(tmp_path))
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as workers:  # noqa: S603 - our own
            try:
                children = eventually(lambda: _three_of(workers.pid), what="three workers")
                workers.terminate()
                workers.communicate(timeout=60)
            finally:
                workers.kill()

    assert workers.returncode == 0
    assert _all_gone(children)


def _three_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children()
    return children if len(children) == 3 else []


def test_index_workers_that_may_have_nothing_to_do_begin_with_the_first_hint(tmp_path: Path) -> None:
    """They cost as much as all else of a crawl that finds nothing new."""
    settings = quick_settings(tmp_path)

    with Owner(settings, log_dir=tmp_path / "logs", indexes_at_once=lambda: False) as owner:
        eventually(lambda: "crawl" in owner.pids, what="crawl worker")
        before = set(owner.pids)
        CeleryHints(broker_url(settings), settings.broker.publish_timeout).index(uuid4())

        eventually(lambda: "index" in owner.pids, what="index worker")

    assert "index" not in before
