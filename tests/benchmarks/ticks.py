"""The SQL of every tick, claim and scrape, timed in PostgreSQL beside a million pages: `make bench-ticks`.

The product's own tick, claims and scrape run; every statement they send is timed on its way and explained afterwards.
Rows are made in a database of the benchmark's own, on the server that SITEWISE_TEST_POSTGRES_URL names; with `--keep`
it stays for the next run. Rounds are many enough for PostgreSQL to plan without looking at parameters, as it does for
workers. The first round reads from disk and does not count. The exit status is 1 where a statement took 50 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from sqlalchemy import event

from pipeline.bootstrap import Services
from pipeline.db import index_queue, orgs
from pipeline.db.engine import Database
from pipeline.db.revision import upgrade
from pipeline.services.clock import system_clock
from pipeline.settings import DatabaseSettings, Settings
from tests.benchmarks.ticks_rows import Size, fill, wait
from tests.fakes.embedder import WordEmbedder
from tests.fakes.hints import RecordedHints
from tests.fakes.vector_store import MemoryStore

ROUNDS = 13
LIMIT_MS = 50.0
NAME = "sitewise_ticks"
BATCH = 16


class Unwritten(Exception):
    """Undoes what a round wrote."""


class Statements:
    """Every statement that is sent, with its milliseconds, by its text."""

    def __init__(self, database: Database) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self.parameters: dict[str, Any] = {}
        self._began = 0.0
        event.listen(database.engine, "before_cursor_execute", self._begins)
        event.listen(database.engine, "after_cursor_execute", self._ends)

    def _begins(self, *_: object) -> None:
        self._began = time.perf_counter()

    def _ends(self, _connection: object, _cursor: object, text: str, parameters: object, *_: object) -> None:
        self.took[text].append(1_000 * (time.perf_counter() - self._began))
        self.parameters[text] = parameters


def rounds(services: Services) -> dict[str, Callable[[], object]]:
    """What happens every few seconds, each as a call of the product's own code."""
    operations = services.operations
    scope = services.orgs.ensure("org 1")
    return {
        "tick": lambda: _anew(services, "upkeep").tick(),
        "index claim": lambda: _claim_pages(services),
        "crawl claim": lambda: services.crawls.claim_in_turn(uuid4(), owner="benchmark"),
        "watchdog": lambda: (operations.oldest_due("crawl"), operations.oldest_due("index")),
        "scrape": lambda: _anew(services, "exposition").state(),
        "status": lambda: operations.overview(scope=scope),
    }


def measure(url: str, *, name: str) -> tuple[list[str], list[str], bool]:
    """Rows of the table, plans, and whether every statement kept within the limit."""
    settings = Settings(database=DatabaseSettings(url=SecretStr(url)))
    rows, plans, is_good = [], [], True
    with Services(settings, hints=RecordedHints(), store=MemoryStore(), embedder=WordEmbedder()) as services:
        for subject, call in rounds(services).items():
            statements = Statements(services.database)
            whole = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                call()
                whole.append(1_000 * (time.perf_counter() - began))
            counted = {text: took[len(took) // ROUNDS :] for text, took in statements.took.items()}
            slowest = max((max(took, default=0.0), text) for text, took in counted.items())
            is_good = is_good and statistics.median(counted[slowest[1]]) < LIMIT_MS
            sent = sum(map(len, statements.took.values())) // ROUNDS
            medians = sorted(((statistics.median(took), text) for text, took in counted.items() if took), reverse=True)
            rows.append(
                f"| {name} | {subject} | {sent} | {statistics.median(whole[1:]):.1f} | {medians[0][0]:.1f} "
                f"| {slowest[0]:.1f} | `{_gist(medians[0][1])}` |"
            )
            plans += [
                _plan(services.database, text, statements.parameters[text], ms)
                for ms, text in medians[:2]
                if _has_plan(text)
            ]
    return rows, plans, is_good


def _anew(services: Services, part: str) -> Any:  # noqa: ANN401 - whichever service it is
    """The service as another process would have it, with nothing remembered."""
    services.__dict__.pop(part, None)
    return getattr(services, part)


def _claim_pages(services: Services) -> None:
    """Take the pages that are next, and give them back unseen."""
    now, work = system_clock(), services.settings.work
    terms = {"limit": BATCH, "now": now, "lease": work.index_lease, "owner": "benchmark", "attempts": work.attempts}
    with suppress(Unwritten), services.database.write() as session:
        org_id = index_queue.org_in_turn(session, now=now, attempts=work.attempts)
        if org_id is not None:
            index_queue.claim(session, org_id, **terms)  # type: ignore[arg-type] # each as it is named
            orgs.took_turn(session, org_id, now=now)
        raise Unwritten


def _gist(text: str) -> str:
    words = " ".join(text.split())
    head, _, tail = words.partition(" FROM ")
    return (words if not tail or words.startswith(("UPDATE", "DELETE", "INSERT")) else f"{head[:20]}… FROM {tail}")[:90]


def _has_plan(text: str) -> bool:
    return text.lstrip().startswith(("SELECT", "WITH", "UPDATE", "DELETE"))


def _plan(database: Database, text: str, parameters: object, milliseconds: float) -> str:
    analyze = "ANALYZE, BUFFERS, " if text.lstrip().startswith(("SELECT", "WITH")) else ""
    with database.engine.connect() as connection:
        lines = connection.exec_driver_sql(f"EXPLAIN ({analyze}COSTS OFF) {text}", parameters)  # type: ignore[arg-type] # as it was sent
        plan = "\n".join(str(line[0])[:160] for line in lines)
        connection.rollback()
    return f"### {milliseconds:.1f} ms: `{_gist(text)}`\n\n```\n{plan}\n```\n"


@contextmanager
def _database(size: Size, *, keep: bool) -> Iterator[str]:
    """A database with rows of this size: the one that was kept, else a new one."""
    server = os.environ["SITEWISE_TEST_POSTGRES_URL"]
    url = server.rpartition("/")[0] + f"/{NAME}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as admin:
        is_there = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone() is not None
        if is_there and not keep:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(NAME)))
        if not (is_there and keep):
            admin.execute(SQL("CREATE DATABASE {}").format(Identifier(NAME)))
        database = Database(DatabaseSettings(url=SecretStr(url)), data_dir=Path())
        upgrade(database)
        database.close()
        if not (is_there and keep):
            began = time.monotonic()
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                fill(connection, size)
            sys.stderr.write(f"{size.pages} pages made in {time.monotonic() - began:.0f} s\n")
        yield url
        if not keep:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(NAME)))


def main() -> int:
    """Measure with nothing waiting, with one org that waits, and with all; 1 when a statement took too long."""
    parser = argparse.ArgumentParser(prog="make bench-ticks", description=__doc__)
    parser.add_argument("--pages", type=int, default=1_000_000)
    parser.add_argument("--datasources", type=int, default=10_000)
    parser.add_argument("--keep", action="store_true", help="keep the database, and use one that was kept")
    parser.add_argument("--plans", type=Path, help="a file for the plans")
    options = parser.parse_args()
    size = Size(pages=options.pages, datasources=options.datasources)
    table = ["| waiting | what | statements | ms in all | slowest statement, median ms | worst ms | it |"]
    table.append("|---|---|---|---|---|---|---|")
    plans, good = [], []
    with _database(size, keep=options.keep) as url:
        for name, orgs_that_wait in (("nothing", 0), ("one org", 1), ("every org", size.datasources)):
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                wait(connection, size, orgs_that_wait)
            rows, explained, is_good = measure(url, name=name)
            table += rows
            plans += [f"## {name} waits\n", *explained]
            good.append(is_good)
    print("\n".join(table))  # noqa: T201 - what the recipe is for
    if options.plans:
        opening = (
            f"# Plans of what happens every few seconds\n\nBeside {size.pages:,} pages, by `make bench-ticks`.\n\n"
        )
        options.plans.write_text(opening + "\n".join([*table, "", *plans]))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
