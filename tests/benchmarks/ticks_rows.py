"""Rows for the benchmark of the tick: an installation in its stride, made inside PostgreSQL by `ticks.sql`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import zstandard
from psycopg.sql import SQL, Identifier

STATEMENTS = [part.encode() for part in Path(__file__).with_name("ticks.sql").read_text().split(";\n") if part.strip()]
"""What makes every row, and last what lets pages wait."""

INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)
AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
TEXT = zstandard.compress(b"What a page says. " * 200, 3)
LARGE = ["pages", "page_versions", "chunks", "version_chunks", "frontier"]

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is: every website has an org of its own."""

    pages: int = 1_000_000
    datasources: int = 10_000


def fill(connection: Connection, size: Size) -> None:
    """Make every row. Foreign keys are not looked up meanwhile, and indexes are made at the end: that is quicker."""
    facts = {"sites": size.datasources, "pages": size.pages, "each": size.pages // size.datasources, "text": TEXT}
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET maintenance_work_mem = '512MB'")
    indexes = connection.execute(INDEXES, [LARGE]).fetchall()
    for name, _ in indexes:
        connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))
    for statement in STATEMENTS[:-1]:
        connection.execute(statement, facts)
    for _, definition in indexes:
        connection.execute(str(definition).encode())
    connection.commit()
    connection.autocommit = True
    connection.execute("VACUUM ANALYZE")


def wait(connection: Connection, size: Size, orgs: int) -> None:
    """Let ten pages of so many orgs wait to be indexed, and none of others; their turns are last.

    Statistics are made anew, as PostgreSQL does by itself after some thousand changes.
    """
    connection.execute("SET session_replication_role = replica")
    connection.execute("DELETE FROM page_versions WHERE state = 'waiting'")
    connection.execute(STATEMENTS[-1], {"sites": size.datasources, "pages": size.pages, "orgs": orgs, "text": TEXT})
    connection.execute("ANALYZE page_versions")
    connection.commit()
