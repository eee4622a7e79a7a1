"""Which revision a database is of, and how it gets to this code's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

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
    """The revision this code speaks: the last of the numbered files."""
    return _known()[-1]


def _known() -> list[str]:
    return sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _is_empty(database: Database) -> bool:
    with translated(), database.engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _run(database: Database, step: Callable[[Config, str], None], revision: str) -> None:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with translated(), database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7355608)")
        config.attributes["connection"] = connection
        step(config, revision)
