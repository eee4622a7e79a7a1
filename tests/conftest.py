"""What every test may lean on: servers it names, and a closing line for the tests that lacked theirs."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from redis import Redis

from pipeline.browser import find_browser
from pipeline.db.engine import Database
from pipeline.db.revision import upgrade
from pipeline.errors import BrowserMissing
from pipeline.settings import DatabaseSettings, read_settings
from tests.lab.nursery import close_nurseries
from tests.measuring import as_measured
from tests.turns import ModulesTogether

NOT_RUN: pytest.StashKey[Counter[str]] = pytest.StashKey()
VARIABLES = {
    "postgres": "SITEWISE_TEST_POSTGRES_URL",
    "redis": "SITEWISE_TEST_REDIS_URL",
    "qdrant": "SITEWISE_TEST_QDRANT_URL",
    "eval_data": "SITEWISE_EVAL_DATA",
}
COPIES_FILES = 15_00_00
"""From this version on PostgreSQL has to be told to copy a template's files, which takes it a seventh of the time."""

SERVICES = frozenset({"postgres", "redis", "qdrant", "browser"})


def _is_absent(need: str) -> bool:
    if need == "browser":
        return not _has_browser()
    return not os.environ.get(VARIABLES[need])


def _has_browser() -> bool:
    try:
        find_browser(read_settings().browser)
    except BrowserMissing:
        return False
    return True


def _needs(item: pytest.Item) -> set[str]:
    return {str(need) for mark in item.iter_markers("needs") for need in mark.args}


def _may_be_absent(need: str) -> bool:
    """Where services are required, as in CI, a test that lacks one fails instead."""
    return need not in SERVICES or os.environ.get("SITEWISE_REQUIRE_SERVICES") != "1"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests whose needs are absent, and count them by what they lack."""
    lacking = {item: {need for need in _needs(item) if _is_absent(need) and _may_be_absent(need)} for item in items}
    left_out = [item for item in items if lacking[item]]
    config.stash[NOT_RUN] = Counter(" + ".join(sorted(lacking[item])) for item in left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not lacking[item]]


def pytest_collection_finish() -> None:
    """What was imported so far stays: no garbage is looked for in it, least of all at the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure of a test what others do not reach."""
    with as_measured(item):
        return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose service is required and absent."""
    if absent := sorted(filter(_is_absent, _needs(item))):
        pytest.fail(f"needs {', '.join(absent)}: see `make services`", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What tests forked from ends with them. A parallel test process hands its count to the one that speaks."""
    close_nurseries()
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        missing = session.config.stash[NOT_RUN]
        output["not_run"] = dict(missing)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ModulesTogether:
    """Parallel test processes take whole modules, the longest first."""
    return ModulesTogether(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Every parallel process collects the same tests: one count is the count."""
    config: pytest.Config = node.config  # type: ignore[attr-defined] # xdist publishes no type
    counts: dict[str, int] = getattr(node, "workeroutput", {}).get("not_run", {})
    config.stash[NOT_RUN] = Counter(counts)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last, and loudly, what was not run: it did not pass."""
    missing = config.stash.get(NOT_RUN, Counter())
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not missing or reporter is None or hasattr(config, "workerinput"):
        return
    parts = ", ".join(f"{needs} ({count})" for needs, count in sorted(missing.items()))
    remedy = ". `make services` starts servers." if any(SERVICES & set(needs.split(" + ")) for needs in missing) else ""
    reporter.write_line(
        f"NOT RUN: {missing.total()} tests need what is absent here: {parts}{remedy}", red=True, bold=True
    )


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database of this test module's own, as a SQLAlchemy address."""
    with postgres_database() as url:
        yield url


@pytest.fixture
def empty_postgres_url() -> Iterator[str]:
    """A PostgreSQL database of this test's own, without a table."""
    with postgres_database() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """The name of a database with every table in it, to be copied: that takes a tenth of making them."""
    with postgres_database() as url:
        database = Database(DatabaseSettings(url=SecretStr(url)), data_dir=Path())
        upgrade(database)
        database.close()
        yield url.rpartition("/")[2]


@pytest.fixture
def migrated_postgres_url(postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database of this test's own, with every table in it."""
    with postgres_database(template=postgres_template) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose database has every table in it, to be copied."""
    data_dir = tmp_path_factory.mktemp("template")
    database = Database(DatabaseSettings(), data_dir=data_dir)
    upgrade(database)
    database.close()
    return data_dir


@contextmanager
def postgres_database(*, template: str = "template1") -> Iterator[str]:
    """A database of its own on the test server, dropped after."""
    server = os.environ[VARIABLES["postgres"]]
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as admin:
        wanted = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template))
        copied = SQL(" STRATEGY file_copy") if admin.info.server_version >= COPIES_FILES else SQL("")
        admin.execute(wanted + copied)
        yield server.rpartition("/")[0] + f"/{name}"
        admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module")
def redis_url(worker_number: int) -> Iterator[str]:
    """An empty Redis database, shared with no other test process."""
    url = os.environ[VARIABLES["redis"]].rstrip("/") + f"/{worker_number}"
    with Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def qdrant_url() -> str:
    """A Qdrant server. Other tests use it too: take a collection name of your own and drop it after."""
    return os.environ[VARIABLES["qdrant"]]


@pytest.fixture(scope="session")
def worker_number() -> int:
    """Which of the parallel test processes this is, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
