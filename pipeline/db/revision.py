"""Which revision a database is of, and how it gets to this code's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from pipeline.db.engine import Database, translated
from pipeline.errors import DatabaseTooNew, DatabaseTooOld

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def check_revision(database: Database) -> None:
    """Refuse to work on a database of another revision; an empty embedded one is made ready.

    Raises:
        DatabaseTooNew: If a newer Sitewise wrote it.
        DatabaseTooOld: If it needs `sitewise db upgrade`.
    """
    current = current_revision(database)
    if current == head():
        return
    if current is None and database.is_sqlite and _is_empty(database):
        upgrade(database)
        return
    if current is not None and current not in _known():
        raise DatabaseTooNew(found=current, newest_known=head())
    raise DatabaseTooOld(found=current or "nothing", needed=head())


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables up to a revision. Doing it twice, or by two processes, is the same as once.

    Raises:
        DatabaseTooNew: If a newer Sitewise wrote it.
    """
    current = current_revision(database)
    if current is not None and current not in _known():
        raise DatabaseTooNew(found=current, newest_known=head())
    from alembic import command

    _run(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the tables back to an earlier revision; `base` removes them all."""
    from alembic import command

    _run(database, command.downgrade, revision)


def current_revision(database: Database) -> str | None:
    """The database's revision; None when it has none."""
    with translated(), database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def head() -> str:
    """The revision this code speaks: the one that no other builds on.

    Raises:
        ValueError: If there are several, which is a mistake in the code.
    """
    known = _known()
    (last,) = set(known) - set(known.values())
    return last


def _known() -> dict[str, str | None]:
    """Every revision of this code, and which it builds on. Alembic is too slow to ask at every start."""
    texts = [path.read_text() for path in (MIGRATIONS / "versions").glob("[0-9]*.py")]
    return {_assigned(text, "revision"): _assigned(text, "down_revision") or None for text in texts}


def _assigned(source: str, name: str) -> str:
    found = re.search(rf'^{name} = (?:"(\w+)"|None)$', source, re.MULTILINE)
    return (found[1] or "") if found else ""


def _is_empty(database: Database) -> bool:
    with translated(), database.engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _run(database: Database, step: Callable[[Config, str], None], revision: str) -> None:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with translated(), _without_references(database) as connection, connection.begin():
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7355608)")
        config.attributes["connection"] = connection
        step(config, revision)


@contextmanager
def _without_references(database: Database) -> Iterator[Connection]:
    """A connection on which SQLite may rebuild a table: dropping the old one must not delete what refers to it.

    SQLite takes the switch only outside a transaction. The connection is not used again.
    """
    with database.engine.connect() as connection:
        if database.is_sqlite:
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA foreign_keys=OFF")
            cursor.close()
        try:
            yield connection
        finally:
            if database.is_sqlite:
                connection.invalidate()
