"""A data directory is looked at before anything is written into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import session
from pipeline.errors import DataDirectoryUnusable, DiskFull
from pipeline.settings import read_settings


def test_a_directory_is_made(tmp_path: Path) -> None:
    """A directory that is missing is made, and left empty."""
    session.prepare_directory(read_settings(data_dir=tmp_path / "a" / "kb"), grows=True)

    assert list((tmp_path / "a" / "kb").iterdir()) == []


def test_too_little_room_is_refused_before_it_is_used(tmp_path: Path) -> None:
    """An embedded store maps its files, and would be ended where one cannot grow: it is not begun."""
    with pytest.raises(DiskFull) as refused:
        session.probe(tmp_path, room=2**62)

    assert "MiB" in str(refused.value)


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    """What cannot be a directory is named."""
    (tmp_path / "kb").touch()

    with pytest.raises(DataDirectoryUnusable):
        session.probe(tmp_path / "kb")


def test_servers_need_no_directory(tmp_path: Path) -> None:
    """Where everything is on servers, nothing is made."""
    settings = read_settings(
        data_dir=tmp_path / "kb",
        database={"url": "postgresql://db/x"},
        broker={"url": "redis://broker"},
        upsert={"qdrant_url": "http://qdrant"},
    )

    session.prepare_directory(settings, grows=True)

    assert not (tmp_path / "kb").exists()
