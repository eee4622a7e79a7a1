"""What an answer reads of the database does not grow with what its org knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, event

from pipeline.db import chunks, pages
from pipeline.db.engine import Database
from pipeline.settings import DatabaseSettings


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty embedded database."""
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    database = Database(DatabaseSettings(), data_dir=tmp_path)
    yield database
    database.close()


@contextmanager
def plans(database: Database, noted: list[str]) -> Iterator[None]:
    """Note how SQLite looks up each table of every statement that is sent meanwhile."""

    def note(connection: Connection, cursor: object, statement: str, parameters: Any, *rest: object) -> None:  # noqa: ANN401 - as the driver has it
        del cursor, rest
        asked = connection.connection.cursor()
        asked.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        noted.extend(row[3] for row in asked.fetchall())

    event.listen(database.engine, "before_cursor_execute", note)
    yield
    event.remove(database.engine, "before_cursor_execute", note)


def test_candidates_are_looked_up_by_their_ids(database: Database) -> None:
    """Not among all chunks of the org, nor among all of a page: of a million chunks 120 are looked at."""
    noted: list[str] = []
    ids = [uuid4() for _ in range(120)]

    with database.write() as session, plans(database, noted):
        chunks.live(session, ids, org_id=uuid4())
        chunks.why_not_live(session, ids, org_id=uuid4())
        chunks.stored(session, ids, org_id=uuid4())
        chunks.mark_stored(session, ids, org_id=uuid4())

    looked_up = [line for line in noted if "chunks" in line]
    assert looked_up
    exactly = ("(id=?)", "(chunk_id=? AND version_id=?)", "(version_id=? AND chunk_id=?)")
    assert [line for line in looked_up if not any(how in line for how in exactly)] == []


def test_the_languages_of_an_org_are_read_from_an_index_alone(database: Database) -> None:
    """No page is read for them."""
    noted: list[str] = []

    with database.read() as session, plans(database, noted):
        pages.languages(session, org_id=UUID(int=1))

    assert any("ix_pages_languages" in line for line in noted)
