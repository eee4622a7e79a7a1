"""What every table shares: names of constraints, times in UTC, compressed text."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, cast
from uuid import UUID

import zstandard
from sqlalchemy import (
    JSON,
    ColumnElement,
    CursorResult,
    DateTime,
    LargeBinary,
    MetaData,
    Select,
    String,
    Update,
    Uuid,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

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


class Repeating:
    """A statement whose rows repeat values: each is made a value of ours once, however many rows have it.

    Twelve columns of a hundred rows took four times as long to convert as to read. Build it once.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        """Read these plain columns."""
        self._types = [column.type for column in statement.selected_columns]
        as_sent = [type_coerce(column, NullType()) for column in statement.selected_columns]
        self._statement = statement.with_only_columns(*as_sent, maintain_column_froms=True)

    def where(self, *conditions: ColumnElement[bool]) -> Repeating:
        """The same under more conditions."""
        narrowed = copy.copy(self)
        narrowed._statement = self._statement.where(*conditions)  # noqa: SLF001 - its own copy
        return narrowed

    def rows(self, session: Session, given: Mapping[str, object]) -> Iterator[tuple[Any, ...]]:
        """What it finds in the session's transaction, as `columns` does."""
        session.flush()
        connection = session.connection()
        found = connection.execute(self._statement, given).fetchall()
        if not found:
            return iter(())
        read = partial(_converted, connection.dialect)
        return zip(*map(read, self._types, zip(*found, strict=True)), strict=True)


def _converted(dialect: Dialect, kind: TypeEngine[Any], sent: Sequence[Any]) -> Sequence[Any]:
    """A column as its type has it; as it is, where that is what the driver gives."""
    convert = kind.dialect_impl(dialect).result_processor(dialect, None)
    if convert is None:
        return sent
    known = {value: convert(value) for value in set(sent)}
    return [known[value] for value in sent]


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
