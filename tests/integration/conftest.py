"""The knowledge base that integration tests work on, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.knowledge import Knowledge


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def knowledge(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> Iterator[Knowledge]:
    """An empty knowledge base on this database."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgres" else None
    base = Knowledge(tmp_path, database_url=url)
    yield base
    base.services.close()
