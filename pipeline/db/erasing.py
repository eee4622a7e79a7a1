"""Every row of one org, whatever table it is in: found through the references that the tables declare."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Table, delete, exists, select, tuple_

from pipeline.db.engine import DISK_FULL_SIGNS, Database, Session, translated
from pipeline.db.orgs import Org
from pipeline.db.tables import METADATA
from pipeline.errors import DatabaseUnavailable, DiskFull

OrgTable = Table
"""A table with rows of orgs."""

SHARED = frozenset(
    {
        "background_vectors",
        "generations",
        "hosts",
        "host_stakes",
        "outbox",
        "partners",
        "rate_buckets",
        "robots_answers",
        "workers",
    }
)
"""Tables whose rows belong to no org. What of them may name one is forgotten by their own modules."""


def tables() -> list[OrgTable]:
    """The tables with rows of orgs, those that refer to others before these."""
    return [table for table in reversed(METADATA.sorted_tables) if table is not Org.__table__ and is_of_orgs(table)]


def is_of_orgs(table: Table) -> bool:
    """Whether a row of this table belongs to an org, by itself or through what it refers to."""
    return "org_id" in table.c or any(is_of_orgs(parent) for _, parent in _references(table))


def rows_of(table: Table, org_id: UUID) -> ColumnElement[bool]:
    """The condition under which a row of this table is the org's.

    Raises:
        LookupError: If nothing leads from the table to an org.
    """
    if "org_id" in table.c:
        return table.c.org_id == org_id
    for column, parent in _references(table):
        if is_of_orgs(parent):
            key = next(foreign.column for foreign in column.foreign_keys)
            return column.in_(select(key).where(rows_of(parent, org_id)))
    raise LookupError(table.name)


def delete_some(session: Session, table: OrgTable, org_id: UUID, *, limit: int) -> int:
    """Delete up to `limit` of the org's rows in this table. Returns how many."""
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(rows_of(table, org_id)).limit(limit)
    result = session.execute(delete(table).where(key.in_(some)))
    return result.rowcount if isinstance(result, CursorResult) else 0


def left(session: Session, org_id: UUID) -> list[str]:
    """The tables that still have rows of the org."""
    return [table.name for table in tables() if session.scalar(select(exists().where(rows_of(table, org_id))))]


def overwrite(database: Database) -> None:
    """Let an embedded database keep no byte of what was deleted: rewritten whole, and its log emptied.

    Others wait to write meanwhile, about a second for every 200 MB that are left, and as much space is used once
    more. A server's own vacuum does the same by and by.

    Raises:
        DatabaseUnavailable: If somebody reads an older state still: the next try may succeed.
        DiskFull: If there is no room for the copy.
    """
    if not database.is_sqlite:
        return
    with translated():
        connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA temp_store=FILE")
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        is_busy, *_ = cursor.fetchone() or (0,)
    except sqlite3.OperationalError as error:
        if any(sign in str(error) for sign in DISK_FULL_SIGNS):
            raise DiskFull(problem=str(error)) from error
        raise DatabaseUnavailable(problem=str(error)) from error
    finally:
        connection.invalidate()  # what was set on it is not meant for others
    if is_busy:
        raise DatabaseUnavailable(problem="its log is being read, so it was not emptied")


def _references(table: Table) -> Iterator[tuple[ColumnElement[UUID], Table]]:
    for column in table.c:
        for foreign in column.foreign_keys:
            if foreign.column.table is not table:
                yield column, foreign.column.table
