"""The embedded broker, and hints sent to one that is frozen, dead or new."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from redis import Redis

from pipeline.adapters.celery import INDEX_QUEUE, CeleryHints, broker_url, hints_waiting
from pipeline.adapters.sockets import make_socket_directory, socket_path
from pipeline.errors import BrokerUnavailable, DataDirectoryUnusable
from pipeline.owner.broker import broker_program, wait_until_ready
from pipeline.owner.processes import Supervisor
from pipeline.settings import Settings, read_settings
from tests.fakes.broken_broker import broken_broker
from tests.lab.waiting import eventually

TIMEOUT, LONGER = timedelta(seconds=1), timedelta(seconds=4)
BUSY_SECONDS = 20
"""What a busy machine may add; without a timeout it would be for ever."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An embedded Sitewise that is not running."""
    return read_settings(data_dir=tmp_path)


@contextmanager
def _broker(settings: Settings) -> Iterator[tuple[Supervisor, Redis]]:
    program = broker_program(settings, owner=os.getpid(), log_file=settings.data_dir / "broker.log")
    path = socket_path(settings.data_dir, "broker")
    with Supervisor([program]) as supervisor, Redis(unix_socket_path=str(path)) as client:
        wait_until_ready(path)
        yield supervisor, client


@contextmanager
def _hints(settings: Settings, timeout: timedelta = TIMEOUT) -> Iterator[CeleryHints]:
    sender = CeleryHints(broker_url(settings), timeout)
    yield sender
    sender.close()


def test_a_hint_survives_its_broker(settings: Settings) -> None:
    """What was taken is on disk within a second, and there after the broker was killed."""
    with _broker(settings) as (supervisor, client), _hints(settings) as hints:
        hints.index(uuid4())
        eventually(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0, what="synced")
        first = supervisor.pids["broker"]
        os.kill(first, signal.SIGKILL)

        eventually(lambda: supervisor.pids.get("broker", first) != first, what="new broker")
        wait_until_ready(socket_path(settings.data_dir, "broker"))

        assert client.llen(INDEX_QUEUE) == 1


def test_a_hint_lies_there_until_it_is_taken(settings: Settings) -> None:
    """Who would only say the same again can ask first, of a queue that was never used too."""
    with _broker(settings) as (_, client), _hints(settings) as hints:
        unused = hints.index_waits()
        hints.index(uuid4())
        sent = hints.index_waits()
        client.delete(INDEX_QUEUE)

        assert (unused, sent, hints.index_waits()) == (False, True, False)


def test_a_broker_that_is_away_is_not_asked_what_lies_there(settings: Settings) -> None:
    """It is told as for a hint, and the next hint does not wait anew."""
    with _hints(settings, LONGER) as hints:
        with pytest.raises(BrokerUnavailable):
            hints.index_waits()
        with pytest.raises(BrokerUnavailable, match="a moment ago"):
            hints.index(uuid4())


def test_the_broker_listens_to_this_user_alone(settings: Settings) -> None:
    """No TCP port, a private socket, and nothing is ever evicted."""
    with _broker(settings) as (supervisor, client):
        listening = psutil.Process(supervisor.pids["broker"]).net_connections(kind="inet")

        assert listening == []
        assert socket_path(settings.data_dir, "broker").stat().st_mode & 0o077 == 0
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_log_of_hints_that_cannot_be_read_is_thrown_away(settings: Settings) -> None:
    """Hints may be lost; a broker that never starts would stop everything."""
    with _broker(settings), _hints(settings) as hints:
        hints.index(uuid4())
    for file in (settings.data_dir / "broker" / "appendonlydir").iterdir():
        file.write_bytes(b"no such thing\r\n" * 100)

    with _broker(settings) as (_, client):
        assert client.ping()


def test_a_broker_left_behind_is_ended_first(settings: Settings) -> None:
    """Where the kernel did not end it with its owner, the next owner does: one broker per directory."""
    with _broker(settings) as (left, _):
        old = psutil.Process(left.pids["broker"])
        with _broker(settings) as (_, client):
            assert client.ping()
            eventually(lambda: not old.is_running() or old.status() == psutil.STATUS_ZOMBIE, what="old one gone")


def test_a_hint_to_a_frozen_broker_is_given_up_in_time(settings: Settings) -> None:
    """The first costs no more than its timeout, and the next ones nothing for a while."""
    with _broker(settings) as (supervisor, _), _hints(settings, LONGER) as hints:
        hints.index(uuid4())
        os.kill(supervisor.pids["broker"], signal.SIGSTOP)

        first = _seconds_to_refuse(hints)
        second = _seconds_to_refuse(hints)

        os.kill(supervisor.pids["broker"], signal.SIGCONT)
        assert first < LONGER.total_seconds() + BUSY_SECONDS
        assert second < LONGER.total_seconds() / 2, "an answer that was waited for takes half of it"


def test_hints_leave_again_when_the_broker_is_back(settings: Settings) -> None:
    """A refusal is remembered only for as long as one hint may take."""
    with _hints(settings) as hints:
        assert _seconds_to_refuse(hints) < TIMEOUT.total_seconds() + BUSY_SECONDS

        with _broker(settings) as (_, client):
            eventually(lambda: _is_taken(hints), what="hint taken")

            assert client.llen(INDEX_QUEUE) >= 1


def test_a_broker_that_never_answers_is_said(tmp_path: Path) -> None:
    """An owner does not wait for ever."""
    with pytest.raises(BrokerUnavailable):
        wait_until_ready(tmp_path / "nobody.sock", seconds=0.05)


def test_a_socket_directory_others_can_enter_is_refused(tmp_path: Path) -> None:
    """Somebody else might have made it, to listen in."""
    open_to_all = tmp_path / "run"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)

    with pytest.raises(DataDirectoryUnusable):
        make_socket_directory(open_to_all / "broker.sock")


def _seconds_to_refuse(hints: CeleryHints) -> float:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        hints.index(uuid4())
    return time.monotonic() - began


def _is_taken(hints: CeleryHints) -> bool:
    try:
        hints.index(uuid4())
    except BrokerUnavailable:
        return False
    return True


def test_a_broker_that_breaks_off_while_it_is_asked_what_waits_is_away() -> None:
    """Whoever asks is told so, whatever the client calls it."""
    with broken_broker() as url, pytest.raises(BrokerUnavailable):
        hints_waiting(url, TIMEOUT)
