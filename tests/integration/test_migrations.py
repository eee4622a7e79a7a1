"""Migrations, up and down, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import inspect, text

from pipeline.bootstrap import Services
from pipeline.db.engine import Database, database_url
from pipeline.db.revision import MIGRATIONS, check_revision, current_revision, downgrade, head, upgrade
from pipeline.db.tables import METADATA
from pipeline.errors import DatabaseTooNew, DatabaseTooOld, DatabaseUnavailable, InvalidSettings
from pipeline.settings import DatabaseSettings, Settings

OLD_ORG = """
INSERT INTO orgs (id, name, language, ai_instructions, integrations, turn, crawl_turn, created_at, updated_at)
VALUES (:id, 'kept', 'en', '', '{}', 1, 1, :now, :now)"""
OLD_BODY = "INSERT INTO bodies (org_id, sha256, compressed, created_at) VALUES (:id, 'x', 'y', :now)"
COUNT_BODIES = "SELECT count(*) FROM bodies"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    url = SecretStr(request.getfixturevalue("empty_postgres_url")) if request.param == "postgres" else None
    opened = Database(DatabaseSettings(url=url), data_dir=tmp_path)
    yield opened
    opened.close()


def test_migrations_make_the_tables_that_the_code_declares(database: Database) -> None:
    """After every migration nothing is left to be generated."""
    upgrade(database)

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        difference = compare_metadata(context, METADATA)

    assert difference == []


def test_migrations_go_down_and_up_again(database: Database) -> None:
    """Each step can be taken back, and taken again."""
    upgrade(database)
    downgrade(database, "base")
    with database.engine.connect() as connection:
        left = set(inspect(connection).get_table_names()) - {"alembic_version"}

    upgrade(database)
    upgrade(database)

    assert left == set()
    assert current_revision(database) == head()


def test_a_table_that_is_rebuilt_keeps_what_refers_to_it(database: Database) -> None:
    """SQLite rebuilds a table to change it; dropping the old one would delete the rows that belong to it."""
    upgrade(database, "0006")
    org = {"id": "ab" * 16, "now": "2026-01-01 00:00:00"}
    with database.engine.begin() as connection:
        connection.execute(text(OLD_ORG), org)
        connection.execute(text(OLD_BODY), org)

    upgrade(database)
    with database.engine.begin() as connection:
        after = connection.execute(text("SELECT name FROM orgs")).all(), connection.execute(text(COUNT_BODIES)).scalar()
    downgrade(database, "0006")
    with database.engine.begin() as connection:
        back = connection.execute(text("SELECT name FROM orgs")).all(), connection.execute(text(COUNT_BODIES)).scalar()

    assert after == back == ([("kept",)], 1)


def test_a_database_of_a_newer_version_is_refused_unchanged(database: Database) -> None:
    """An unknown revision is never worked on, nor migrated."""
    upgrade(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseTooNew, match="9999"):
        check_revision(database)
    with pytest.raises(DatabaseTooNew):
        upgrade(database)


def test_a_database_that_was_not_migrated_is_refused(database: Database) -> None:
    """A table that is not ours, and no revision: nothing is guessed."""
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE something (id INTEGER)"))

    with pytest.raises(DatabaseTooOld, match="db upgrade"):
        check_revision(database)


def test_an_empty_embedded_database_is_made_ready(tmp_path: Path) -> None:
    """A newcomer types no migration command."""
    with Services(Settings(data_dir=tmp_path)) as services:
        revision = current_revision(services.database)

    assert revision == head()


def test_a_database_that_is_away_is_a_temporary_error(tmp_path: Path) -> None:
    """Nothing listens there: the error says so, and shows no password."""
    url = SecretStr("postgresql://user:secret-word@127.0.0.1:1/none")
    away = Database(DatabaseSettings(url=url), data_dir=tmp_path)

    with pytest.raises(DatabaseUnavailable) as refused:
        check_revision(away)

    assert "secret-word" not in str(refused.value)


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    """A wrong address is a setting to correct, and is not repeated: it may hold a password."""
    with pytest.raises(InvalidSettings) as refused:
        database_url(DatabaseSettings(url=SecretStr("::secret::")), data_dir=tmp_path)

    assert "secret" not in str(refused.value)


def test_each_migration_builds_on_the_one_before() -> None:
    """There is one first, one last, and none twice; each file is named by its number."""
    names = {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    steps = ScriptDirectory(str(MIGRATIONS)).walk_revisions()

    numbers = [step.revision for step in steps]

    assert set(numbers) == names
    assert len(numbers) == len(names)
    assert head() == numbers[0]
