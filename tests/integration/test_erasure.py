"""An org that is erased is refused at once, and then nothing of it is left anywhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import zstandard
from sqlalchemy import delete, select
from typer.testing import CliRunner

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.opening import edge_path
from pipeline.bootstrap import Services
from pipeline.cli.app import app
from pipeline.db import erasing, hosts, orgs, robots
from pipeline.db.audit_entries import AuditEntry
from pipeline.db.engine import Database, Session
from pipeline.db.orgs import Org
from pipeline.db.tables import METADATA
from pipeline.errors import DatabaseUnavailable, LeaseLost, OrgNotFound, VectorStoreUnavailable
from pipeline.model import Briefing, OrgScope, ScenarioType, Verification
from pipeline.services import erasure
from pipeline.services.answers import Question
from pipeline.services.erasure import ErasureService
from pipeline.services.training import NewScenario
from tests.fakes.knowledge import Knowledge, outcome
from tests.fakes.vector_store import MemoryStore

ONE = pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
"""One database is enough: both do the same here."""

CANARY = "yellowcanary7f3a"
SITE = {
    "/": f"<p>Welcome to the lamp shop of {CANARY}, open every day from nine to five.</p>",
    "/oil": "<p>Whale oil was replaced by paraffin in the shops of the north long ago.</p>",
}
OTHER = {"/": "<p>We repair bicycles of every kind, and lend you one until yours is ready.</p>"}
LONG = timedelta(minutes=1)
ZSTANDARD = re.compile(rb"\x28\xb5\x2f\xfd")


def planted(knowledge: Knowledge) -> OrgScope:
    """An org with the canary in a page, a scenario, a question with its briefing, a robots.txt, its name and wishes."""
    services, clock = knowledge.services, knowledge.clock
    scope = services.orgs.ensure(f"{CANARY} shop")
    knowledge.crawl(SITE, scope=scope)
    text = f"Offer {CANARY} a lamp."
    services.training.add(NewScenario(title=text, content=text, type=ScenarioType.BEHAVIORAL), scope=scope, by="test")
    services.answers.brief(Question(f"When does {CANARY} open?"), scope=scope)
    services.briefings.flush()
    with services.database.write() as session:
        robots.keep(session, "https://shop.example", 200, CANARY.encode(), expires_at=clock.now + LONG)
        hosts.lock(session, "shop.example")
        orgs.get(session, scope.org_id).ai_instructions = f"Be kind to {CANARY}."
    return scope


def neighbour(knowledge: Knowledge) -> OrgScope:
    """Another org with knowledge of its own."""
    knowledge.crawl(OTHER, scope=knowledge.org)
    return knowledge.org


def texts_of(database: Database) -> str:
    """Every row of every table, as text."""
    with database.read() as session:
        return "\n".join(str(row) for table in METADATA.sorted_tables for row in session.execute(select(table)))


def files_with(needle: bytes, directory: Path) -> list[str]:
    """The files under a directory with these bytes in them, plain or compressed."""
    return [
        str(path.relative_to(directory))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and any(needle in part for part in _readable(path.read_bytes()))
    ]


def _readable(content: bytes) -> Iterator[bytes]:
    yield content
    for frame in ZSTANDARD.finditer(content):
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(content[frame.start() :])
        except zstandard.ZstdError:
            continue


@contextmanager
def embedded(data_dir: Path, template: Path) -> Iterator[Knowledge]:
    """A knowledge base whose rows and points are files of this directory."""
    shutil.copytree(template, data_dir, dirs_exist_ok=True)
    knowledge = Knowledge(data_dir)
    path = edge_path(knowledge.settings)
    path.parent.mkdir(parents=True)
    store = EdgeStore(path)
    parts = {"hints": knowledge.hints, "embedder": knowledge.embedder, "clock": knowledge.clock}
    knowledge.services = Services(knowledge.settings, store=store, **parts)  # type: ignore[arg-type] # each is its part
    try:
        yield knowledge
    finally:
        knowledge.services.close()
        store.close()


def erase(services: Services, scope: OrgScope) -> None:
    """Erase an org, to the end."""
    services.erasure.request(scope)
    assert services.erasure.go_on(lasting=LONG) == 1


def test_no_byte_of_an_erased_org_is_left_in_the_data_directory(tmp_path: Path, sqlite_template: Path) -> None:
    """Neither its words, plain or compressed, nor its points; the other org answers as before."""
    with embedded(tmp_path, sqlite_template) as knowledge:
        other, scope = neighbour(knowledge), planted(knowledge)
        knowledge.crawl({**SITE, "/oil": f"<p>Paraffin is what {CANARY} sells, by the litre.</p>"}, scope=scope)
        before = files_with(CANARY.encode(), tmp_path)
        points = files_with(str(scope.org_id).encode(), tmp_path / "vectors")

        erase(knowledge.services, scope)

        assert "sitewise.db" in {name.removesuffix("-wal") for name in before}
        assert points
        assert files_with(CANARY.encode(), tmp_path) == []
        assert files_with(str(scope.org_id).encode(), tmp_path / "vectors") == []
        assert knowledge.services.verification.verify(scope=other) == Verification()
        assert "bicycles" in knowledge.ask("Do you repair bicycles?").passages[0].text


def test_no_row_and_no_point_of_an_erased_org_is_left(knowledge: Knowledge) -> None:
    """In no table, on either database; the other org's rows are all there."""
    services = knowledge.services
    other = neighbour(knowledge)
    with services.database.read() as session:
        kept = {table.name: _count(session, table.name, other) for table in erasing.tables()}
    scope = planted(knowledge)
    assert CANARY in texts_of(services.database)

    erase(services, scope)

    assert CANARY not in texts_of(services.database)
    assert knowledge.store.count(scope=scope) == 0
    with services.database.read() as session:
        assert erasing.left(session, scope.org_id) == []
        assert {table.name: _count(session, table.name, other) for table in erasing.tables()} == kept
    assert services.verification.verify(scope=other) == Verification()


def _count(session: Session, table: str, scope: OrgScope) -> int:
    found = METADATA.tables[table]
    return len(session.execute(select(found).where(erasing.rows_of(found, scope.org_id))).all())


@ONE
def test_an_org_is_refused_from_the_request_on(knowledge: Knowledge) -> None:
    """No answer, no crawl, no write of its spider, no second erasure; its name is another's to take."""
    services = knowledge.services
    scope = planted(knowledge)
    (site,) = services.datasources.page_through(scope=scope).items
    ledger, _ = knowledge.start(site.id, scope=scope)
    taken = ledger.take(2)

    services.erasure.request(scope)

    for refused in (
        lambda: services.answers.brief(Question("When do you open?"), scope=scope),
        lambda: services.orgs.find(f"{CANARY} shop"),
        lambda: services.orgs.of_id(scope.org_id),
        lambda: services.erasure.request(scope),
    ):
        with pytest.raises(OrgNotFound):
            refused()
    with pytest.raises(LeaseLost):
        ledger.record([outcome(url, SITE, knowledge.clock) for url in taken])
    assert services.datasources.page_through(scope=scope).items == ()
    assert services.orgs.ensure(f"{CANARY} shop") != scope
    assert services.erasure.waiting() == [scope.org_id]


@ONE
def test_that_an_org_was_erased_is_all_that_is_remembered(knowledge: Knowledge) -> None:
    """When, which, and whose it was: one entry without a word of it."""
    scope = planted(knowledge)

    erase(knowledge.services, scope)

    with knowledge.services.database.read() as session:
        entries = list(session.scalars(select(AuditEntry)))
        known_hosts = list(session.scalars(select(hosts.Host.host)))
    assert [(entry.action, entry.object_id, entry.org_id) for entry in entries] == [
        ("org.erased", str(scope.org_id), None)
    ]
    assert known_hosts == []


class Crashed(BaseException):
    """The process ended here."""


class MortalDatabase(Database):
    """Ends its process at one of its transactions that write."""

    writes_left = 1

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Write, if there is life left."""
        if not self.writes_left:
            raise Crashed
        self.writes_left -= 1
        with super().write() as session:
            yield session


class MortalStore(MemoryStore):
    """Ends its process after it has erased an org, once."""

    has_died = False

    def erase(self, *, scope: OrgScope) -> None:
        """Erase, and perhaps die."""
        super().erase(scope=scope)
        if not self.has_died:
            self.has_died = True
            raise Crashed


def test_an_erasure_that_is_killed_at_every_step_is_complete_in_the_end(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next goes on from the rows that are left."""
    monkeypatch.setattr(erasure, "ROWS_AT_A_TIME", 8)
    store = MortalStore()
    knowledge.use_store(store)
    other, scope = neighbour(knowledge), planted(knowledge)
    knowledge.services.erasure.request(scope)
    deaths = 0

    while knowledge.services.erasure.waiting():
        mortal = MortalDatabase(knowledge.settings.database, data_dir=knowledge.settings.data_dir)
        mortal.writes_left = 1 + 3 * deaths
        try:
            ErasureService(mortal, knowledge.clock, store=lambda: store).go_on(lasting=LONG)
        except Crashed:
            deaths += 1
        finally:
            mortal.close()

    assert deaths > 10
    assert CANARY not in texts_of(knowledge.services.database)
    assert store.count(scope=scope) == 0
    assert knowledge.services.verification.verify(scope=other) == Verification()


@ONE
def test_an_erasure_waits_for_the_vector_store(knowledge: Knowledge) -> None:
    """The org's own row stays until its points are gone; upkeep goes on by itself."""
    scope = planted(knowledge)
    knowledge.services.erasure.request(scope)

    def away() -> MemoryStore:
        raise VectorStoreUnavailable

    lame = ErasureService(knowledge.services.database, knowledge.clock, store=away)
    with pytest.raises(VectorStoreUnavailable):
        lame.go_on(lasting=LONG)
    waiting = knowledge.services.erasure.waiting()
    knowledge.services.upkeep.tick()

    assert waiting == [scope.org_id]
    assert knowledge.services.erasure.waiting() == []
    assert knowledge.store.count(scope=scope) == 0


@ONE
def test_an_erasure_waits_for_who_indexes_its_pages(knowledge: Knowledge) -> None:
    """Points that are written meanwhile would stay; a worker that comes too late writes none."""
    scope = planted(knowledge)
    knowledge.crawl({**SITE, "/new": "<p>Candles are new in our shop since last week.</p>"}, scope=scope, index=False)
    index = knowledge.services.index
    claim = index._claim(scope.org_id, limit=4, owner="slow")  # noqa: SLF001 - a worker that is half-way
    assert claim is not None
    knowledge.services.erasure.request(scope)

    while_held = knowledge.services.erasure.go_on(lasting=LONG)
    knowledge.clock.forward(seconds=61)
    done = knowledge.services.erasure.go_on(lasting=LONG)

    assert (while_held, done) == (0, 1)
    with pytest.raises(LeaseLost):
        index._index(claim)  # noqa: SLF001 - it wakes
    assert knowledge.store.count(scope=scope) == 0


def test_a_reader_of_an_older_state_is_waited_for(tmp_path: Path, sqlite_template: Path) -> None:
    """The database's log cannot be emptied while somebody reads from it."""
    shutil.copytree(sqlite_template, tmp_path, dirs_exist_ok=True)
    knowledge = Knowledge(tmp_path, busy_timeout=0)
    scope = planted(knowledge)
    services = knowledge.services
    services.erasure.request(scope)
    reader = Database(knowledge.settings.database, data_dir=tmp_path)

    with reader.read() as session:
        session.scalars(select(Org)).all()
        with pytest.raises(DatabaseUnavailable):
            services.erasure.go_on(lasting=LONG)
    waiting = services.erasure.waiting()
    done = services.erasure.go_on(lasting=LONG)
    reader.close()
    services.close()

    assert waiting == [scope.org_id]
    assert done == 1
    assert files_with(CANARY.encode(), tmp_path) == []


@ONE
def test_a_briefing_that_was_under_way_is_not_kept(knowledge: Knowledge) -> None:
    """It is written after the request, and finds no org."""
    scope = planted(knowledge)
    services = knowledge.services
    services.erasure.request(scope)
    briefing = Briefing(uuid4(), answerable=False, profile=CANARY, behaviors=(), scenarios=(), passages=(), prompt="")
    asked_at = knowledge.clock.now
    services.briefings.keep(briefing.id, CANARY, lambda: briefing, scope=scope, asked_at=asked_at)
    services.briefings.flush()

    assert services.erasure.go_on(lasting=LONG) == 1
    assert CANARY not in texts_of(services.database)


@pytest.mark.needs("postgres")
def test_postgres_deletes_an_org_with_all_it_has(migrated_postgres_url: str, tmp_path: Path) -> None:
    """Its row alone is named; chunks and their places in versions go with it."""
    knowledge = Knowledge(tmp_path, database_url=migrated_postgres_url)
    scope = planted(knowledge)

    with knowledge.services.database.write() as session:
        session.execute(delete(Org).where(Org.id == scope.org_id))

    with knowledge.services.database.read() as session:
        left = erasing.left(session, scope.org_id)
    knowledge.services.close()
    assert left == []


def test_every_table_is_an_org_s_or_known_to_be_shared() -> None:
    """A table that is neither would keep what an erased org wrote into it."""
    of_orgs = {table.name for table in erasing.tables()}

    assert of_orgs.isdisjoint(erasing.SHARED)
    assert of_orgs | erasing.SHARED | {"orgs"} == set(METADATA.tables)


def test_an_org_is_erased_from_the_command_line(tmp_path: Path, sqlite_template: Path) -> None:
    """By its name, once it is confirmed; then nobody knows it."""
    with embedded(tmp_path, sqlite_template) as knowledge:
        planted(knowledge)
    run, name = CliRunner(), f"{CANARY} shop"
    data_dir = ["--data-dir", str(tmp_path)]

    listed = json.loads(run.invoke(app, [*data_dir, "org", "list", "--json"]).stdout)
    refused = run.invoke(app, [*data_dir, "org", "erase", name], input="n\n")
    erased = run.invoke(app, [*data_dir, "org", "erase", name, "--yes"])
    again = run.invoke(app, [*data_dir, "org", "erase", name, "--yes"])

    assert name in {org["name"] for org in listed["items"]}
    assert refused.exit_code != 0
    assert erased.exit_code == 0, erased.output
    assert erased.stdout == f"{name} is erased.\n"
    assert isinstance(again.exception, OrgNotFound)
    assert files_with(CANARY.encode(), tmp_path) == []
