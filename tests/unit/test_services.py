"""The test servers: a real one, started, found, stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from deploy.services import native, record
from deploy.services.record import Server, read_servers, write_servers


@pytest.fixture
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep away from the servers of this checkout."""
    monkeypatch.setattr(native, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(record, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(record, "RECORD", tmp_path / "kept/running.json")
    monkeypatch.setattr(record, "ENVIRONMENT", tmp_path / "kept/env")


@pytest.mark.usefixtures("_own_folder")
def test_a_started_server_answers_until_it_is_stopped() -> None:
    """Started means answering; stopped means gone, with what it kept."""
    server = native.start_redis()
    try:
        answered = server.answers()
        policy = Redis.from_url(server.url).config_get("maxmemory-policy")
    finally:
        server.stop()

    assert answered
    assert policy == {"maxmemory-policy": "noeviction"}
    assert not server.answers()
    assert not Path(str(server.folder)).exists()


@pytest.mark.usefixtures("_own_folder")
def test_servers_are_found_again() -> None:
    """What one command wrote, the next reads; the shell file names each address."""
    server = Server("redis", "redis://127.0.0.1:1", pid=1, started=0.0)

    write_servers({"redis": server})

    assert read_servers() == {"redis": server}
    assert record.ENVIRONMENT.read_text() == "export SITEWISE_TEST_REDIS_URL='redis://127.0.0.1:1'\n"


def test_stopping_leaves_a_process_that_got_the_number_alone() -> None:
    """A process id is believed only together with its start time."""
    stranger = Server("redis", "redis://127.0.0.1:1", pid=1, started=0.0)

    stranger.stop()

    assert not stranger.answers()
