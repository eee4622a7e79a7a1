"""The knowledge base that integration tests work on, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.knowledge import Knowledge
from tests.fakes.two_models import SHOP, Changing
from tests.lab.api import ApiLab, served


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def knowledge(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> Iterator[Knowledge]:
    """An empty knowledge base on this database."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgres" else None
    base = Knowledge(tmp_path, database_url=url)
    yield base
    base.services.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def changing(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path: Path) -> Iterator[Changing]:
    """A shop that was crawled with a model, and may be changed over to another."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgres" else None
    base = Changing(tmp_path, database_url=url)
    base.crawl(SHOP)
    yield base
    base.close()


@pytest.fixture(scope="module")
def lab(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    """The HTTP API at a real socket, with one partner; one for all tests of a module."""
    data_dir = tmp_path_factory.mktemp("api")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    with served(data_dir) as lab:
        yield lab
