"""Connections and transactions: SQLite in the data directory, or PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session, sessionmaker

from pipeline.errors import DatabaseUnavailable, DiskFull, InvalidInput, InvalidSettings, SitewiseError
from pipeline.settings import DatabaseSettings

__all__ = ["Database", "Session", "database_url", "translated", "unless_refused"]

READ_ONLY = "sitewise_read_only"
DEFECT_SIGNS = ("no such table", "no such column")
"""SQLite says so with the error it also uses for a database that is away."""

DISK_FULL_SIGNS = ("disk is full", "No space left", "disk I/O error")

_is_refused: ContextVar[Callable[[], bool] | None] = ContextVar("is_refused", default=None)

FILE_NAME = "sitewise.db"
"""Of an embedded database, in the data directory."""


@dataclass(slots=True)
class _Unit:
    """A transaction that several use cases share, and what happens when it is committed."""

    session: Session
    afterwards: list[Callable[[], object]] = field(default_factory=list)


class _Here(threading.local):
    """The transaction this thread works in."""

    unit: _Unit | None = None


class Database:
    """Transactions on one database. Open it after a fork, never before."""

    def __init__(self, settings: DatabaseSettings, *, data_dir: Path) -> None:
        """Connect lazily: nothing is opened before the first transaction."""
        self.url = database_url(settings, data_dir=data_dir)
        self.engine = _create_engine(self.url, settings)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._here = _Here()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may change rows: committed at the end, undone on any error.

        Inside `together` it is a part of that one.
        """
        if self._here.unit is not None:
            with translated(), self._here.unit.session.begin_nested():
                yield self._here.unit.session
            return
        with translated(), self._sessions.begin() as session:
            yield session
            _stay_unless_refused(session)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that changes nothing and waits for no writer. Inside `together` it is a part of that one."""
        if self._here.unit is not None:
            with translated():
                yield self._here.unit.session
            return
        with translated(), self._sessions.begin() as session:
            session.connection(execution_options={READ_ONLY: True})
            yield session

    @contextmanager
    def together(self) -> Iterator[Session]:
        """One transaction of everything this thread writes and reads until its end: all of it happens, or nothing.

        What must wait for the commit, such as a message, is given to `after_commit`. Do nothing slow meanwhile:
        rows stay locked, and in SQLite nobody else writes.
        """
        if self._here.unit is not None:
            yield self._here.unit.session
            return
        with translated(), self._sessions.begin() as session:
            unit = self._here.unit = _Unit(session)
            try:
                yield session
                _stay_unless_refused(session)
            finally:
                self._here.unit = None
        for act in unit.afterwards:
            act()

    def ping(self) -> None:
        """Ask whether the database is there.

        Raises:
            DatabaseUnavailable: If it is not.
        """
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def after_commit(self, act: Callable[[], object]) -> bool:
        """Do something once `together` is committed. False, and nothing is done, outside of it."""
        if self._here.unit is None:
            return False
        self._here.unit.afterwards.append(act)
        return True

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def unless_refused(is_refused: Callable[[], bool]) -> Iterator[None]:
    """Commit nothing of what is begun inside, in other threads that know this context too, once this is so.

    For work that somebody waits for who is told, meanwhile, that it was not done.
    """
    token = _is_refused.set(is_refused)
    try:
        yield
    finally:
        _is_refused.reset(token)


def _stay_unless_refused(session: Session) -> None:
    """Before the commit, once every statement was carried out.

    Raises:
        DatabaseUnavailable: If whoever asked was told so already: nothing happens.
    """
    is_refused = _is_refused.get()
    if is_refused is None:
        return
    session.flush()
    if is_refused():
        raise DatabaseUnavailable(problem="it came back too late: the request had been refused")


def database_url(settings: DatabaseSettings, *, data_dir: Path) -> URL:
    """Where the database is: the one set, else `sitewise.db` in the data directory.

    Raises:
        InvalidSettings: If the address cannot be read; it is not shown, it may hold a password.
    """
    if settings.url is None:
        return URL.create("sqlite+pysqlite", database=str(data_dir / FILE_NAME))
    try:
        url = make_url(settings.url.get_secret_value())
    except ArgumentError as error:
        raise InvalidSettings(setting="SITEWISE_DATABASE__URL", problem="not a database address") from error
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    return url


@contextmanager
def translated() -> Iterator[None]:
    """Turn what a driver raises into the project's errors: the database is away or full, a text cannot be stored."""
    try:
        yield
    except SitewiseError:
        raise
    except (OperationalError, InterfaceError) as error:
        cause = str(error.orig)
        if cause.startswith(DEFECT_SIGNS):
            raise
        if any(sign in cause for sign in DISK_FULL_SIGNS):
            raise DiskFull(problem=cause) from error
        raise DatabaseUnavailable(problem=cause.strip().splitlines()[0] if cause.strip() else "no answer") from error
    except NoConnectionFree as error:
        raise DatabaseUnavailable(problem="every connection of this process is in use") from error
    except (DataError, UnicodeEncodeError) as error:
        raise InvalidInput(problem="a text or a number that the database cannot hold") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(problem="connection lost") from error
        raise


def _create_engine(url: URL, settings: DatabaseSettings) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, hide_parameters=True, connect_args={"timeout": settings.busy_timeout.total_seconds()}
        )
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    milliseconds = int(settings.statement_timeout / timedelta(milliseconds=1))
    return create_engine(
        url,
        hide_parameters=True,
        pool_size=settings.pool_size,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "sitewise",
            "options": f"-c statement_timeout={milliseconds} -c timezone=UTC",
        },
    )


def _set_pragmas(connection: Any, record: object) -> None:  # noqa: ANN401 - the driver's own connection
    del record
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that upgrades later fails instead of waiting."""
    read_only = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
