"""What every table shares: names of constraints, times in UTC, compressed text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

import zstandard
from sqlalchemy import JSON, CursorResult, DateTime, LargeBinary, MetaData, Select, String, Update, Uuid, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

ROWS_AT_A_TIME = 500

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. Stored in UTC, always read back with its zone; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn a moment into UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a moment needs its time zone"
            raise ValueError(message)
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give a moment back with its zone."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CompressedText(TypeDecorator[str]):
    """Long text, kept as Zstandard level 3."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Compress."""
        del dialect
        return None if value is None else zstandard.compress(value.encode("utf-8", "surrogatepass"), 3)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Decompress."""
        del dialect
        return None if value is None else zstandard.decompress(value).decode("utf-8", "surrogatepass")


class Base(DeclarativeBase):
    """The root of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute and never changes it
        datetime: UtcDateTime,
        UUID: Uuid(as_uuid=True),
        str: String,
        dict[str, Any]: JSON,
        list[str]: JSON,
    }


def columns(
    session: Session, statement: Select[*tuple[Any, ...]], given: Mapping[str, object]
) -> CursorResult[*tuple[Any, ...]]:
    """Rows of plain columns in the session's transaction, without its own way of reading, which is made for objects."""
    session.flush()
    return session.connection().execute(statement, given)


def insert_into(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of this database's dialect, which both can tell what to do on a conflict."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)


def insert_new(session: Session, table: type[Base], rows: Iterable[Mapping[str, object]]) -> None:
    """Insert rows of the same columns; what is there already stays as it is.

    Past the ORM, which takes three times as long over many rows; some at a time, as each is copied on its way.
    """
    statement = insert_into(session, cast("type[Base]", table.__table__)).on_conflict_do_nothing()
    left = iter(rows)
    while part := list(islice(left, ROWS_AT_A_TIME)):
        session.execute(statement, part)


def count_changed(session: Session, statement: Update) -> int:
    """Run an UPDATE and tell how many rows it changed."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


def hold(session: Session, ids: Iterable[UUID]) -> None:
    """Until the commit, let nobody else pass who names one of these ids.

    SQLite has one writer at a time; elsewhere whoever decides says so first, before any row is locked.
    """
    if session.get_bind().dialect.name == "sqlite":
        return
    for number in sorted({int.from_bytes(found.bytes[:8], signed=True) for found in ids}):
        session.execute(select(func.pg_advisory_xact_lock(number)))
