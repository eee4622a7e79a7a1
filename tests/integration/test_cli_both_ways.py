"""Every command, asked here and asked of a server over the same data, shows the same and ends the same."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.app import app, status_of
from pipeline.cli.reach import REACH, Over
from pipeline.cli.session import chosen
from pipeline.errors import BrowserMissing, InvalidInput
from pipeline.model import OrgScope
from pipeline.services.websites import NewDatasource
from tests.fakes.knowledge import Answer, at, paragraphs, walk
from tests.lab.api import ApiLab, LabOrg, served

ORG = "Both ways"
SHOP: dict[str, Answer] = {
    "/": paragraphs(2, about="home"),
    "/returns": "<p>Send it back within thirty days and get your money.</p>",
    "/bad": "<p>This page is not there any more, or so it seems.</p>",
}
NOBODYS = str(UUID(int=7))

MOVING = {"waiting_seconds", "updated_at", "since", "owner", "waiting_pages", "operations"}
"""What goes on between two looks, and what is an operator's alone."""

READS = [
    "page list",
    "page list --limit 1",
    "page list --limit 2 --search returns",
    "page list --status synced",
    "page show {returns}",
    "page history {returns}",
    "page history {returns} --on 2026-03-02",
    "page history {returns} --on 2020-01-01",
    "why {returns}",
    "why {nowhere}",
    "jobs list",
    "jobs list --limit 1",
    "jobs show {crawl}",
    "schedule list",
    "schedule next",
    "status",
    "dead list",
    "dead list --cause unreadable",
    "dead show {letter}",
    "rederive status",
    "training list",
    "training list --type BEHAVIORAL",
    "training versions {scenario}",
    "evaluate list",
]
"""Commands that change nothing."""

ACTS = [
    "schedule pause {site}",
    "schedule resume {site}",
    "rederive start",
    "rederive cancel",
    "jobs cancel {running}",
    "training rollback {scenario} 1",
    "training import {file} --dry-run",
    "training import {file}",
    "evaluate add Why? --text because",
    "evaluate import {questions}",
    "dead redrive --cause nothing_such",
]
"""Commands that say the same when they are given again."""

FAILS = [
    "page show {nowhere}",
    "page history {nowhere}",
    "page rollback {returns} 99",
    "jobs show {nobodys}",
    "jobs cancel {nobodys}",
    "jobs approve {crawl}",
    "jobs rollback {nobodys}",
    "schedule pause {nowhere}",
    "schedule run {busy}",
    "dead show {nobodys}",
    "dead redrive {nobodys}",
    "training versions {nobodys}",
    "training delete {nobodys}",
    "evaluate remove {nobodys}",
    "evaluate add Why?",
    "briefing {nobodys}",
]
"""Commands that are refused."""


@dataclass(frozen=True, slots=True)
class Both:
    """A served org, and what commands about it are given."""

    lab: ApiLab
    key: str
    words: Mapping[str, str]

    def here(self, *words: str) -> Any:  # noqa: ANN401 - a result of the runner
        """A command on the data directory."""
        folder = str(self.lab.knowledge.settings.data_dir)
        return CliRunner().invoke(app, ["--data-dir", folder, "--org", ORG, *words], env={"SITEWISE_SERVER": ""})

    def there(self, *words: str) -> Any:  # noqa: ANN401 - a result of the runner
        """The same, asked of the server."""
        return CliRunner().invoke(app, ["--server", self.lab.url, "--key", self.key, *words])

    def filled(self, command: str) -> list[str]:
        """A command's words, with addresses and ids."""
        return [word.format(**self.words) for word in command.split()]


@pytest.fixture(scope="module")
def both(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """An org with a crawled website, one whose crawl failed, one that is crawled now, scenarios and questions."""
    data_dir = tmp_path_factory.mktemp("both")
    shutil.copytree(sqlite_template, data_dir, dirs_exist_ok=True)
    with served(data_dir) as lab:
        services, knowledge = lab.services, lab.knowledge
        scope = services.orgs.ensure(ORG)
        key = services.keys.for_org(scope.org_id, name="both", partner_id=None).shown or ""
        knowledge.clock.now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
        crawl = knowledge.crawl(SHOP, scope=scope)
        knowledge.clock.forward(days=2)
        knowledge.crawl(SHOP | {"/returns": "<p>Send it back within ninety days and get a voucher.</p>"}, scope=scope)
        running, busy = (
            services.crawls.add(NewDatasource(f"https://{name}.example/", crawl_interval_hours=24), scope=scope)
            for name in ("running", "busy")
        )
        running_job = services.crawls.start(running.id, scope=scope)
        services.crawls.start(busy.id, scope=scope)
        letter = _dead_letter(lab, scope)
        key_org = LabOrg(scope.org_id, key, lab.client(key))
        scenario = _written(key_org)
        questions = data_dir / "questions.yaml"
        questions.write_text("- question: Do you take it back?\n  texts: [ninety days]\n")
        file = data_dir / "scenarios.yaml"
        file.write_text("- title: Tone\n  content: Be kind.\n  type: BEHAVIORAL\n")
        knowledge.clock.now = datetime.now(UTC)
        words = {
            "returns": at("/returns"),
            "nowhere": at("/nowhere"),
            "site": at("/"),
            "busy": busy.url,
            "crawl": str(crawl.id),
            "running": str(running_job.id),
            "letter": letter,
            "scenario": scenario,
            "questions": str(questions),
            "file": str(file),
            "nobodys": NOBODYS,
        }
        before = (chosen.data_dir, chosen.org, chosen.server, chosen.key)
        yield Both(lab, key, words)
        chosen.data_dir, chosen.org, chosen.server, chosen.key = before


def _dead_letter(lab: ApiLab, scope: OrgScope) -> str:
    """A website that never answered."""
    dead = lab.services.crawls.add(NewDatasource("https://dead.example/", crawl_interval_hours=24), scope=scope)
    ledger, _ = lab.knowledge.hold(lab.services.crawls.start(dead.id, scope=scope).id, scope=scope)
    walk(ledger, {}, lab.knowledge.clock)
    (letter,) = lab.services.dead_letters.list_letters(scope=scope)
    return str(letter.id)


def _written(org: LabOrg) -> str:
    made = org.http.post("/training", json={"title": "Refund", "content": "Offer a voucher.", "triggers": ["money"]})
    assert made.status_code == 201, made.text
    assert org.http.post("/evaluation/questions", json={"question": "How?", "texts": ["so"]}).status_code == 201
    return str(made.json()["id"])


def still(value: Any) -> Any:  # noqa: ANN401 - JSON
    """JSON without what moves; a moment in either spelling of UTC."""
    if isinstance(value, dict):
        return {name: still(part) for name, part in value.items() if name not in MOVING}
    if isinstance(value, list):
        return [still(part) for part in value]
    return value.replace("Z", "+00:00") if isinstance(value, str) and value[:4].isdecimal() else value


@pytest.mark.parametrize("command", READS + ACTS)
def test_a_command_prints_the_same_json_here_and_there(both: Both, command: str) -> None:
    """Field by field."""
    words = [*both.filled(command), "--json"]

    both.here(*words)
    here, there = both.here(*words), both.there(*words)

    assert (here.exit_code, there.exit_code) == (0, 0), (here.output, here.exception, there.output, there.exception)
    assert still(json.loads(there.stdout)) == still(json.loads(here.stdout))


@pytest.mark.parametrize("command", [*READS, "training export", "training export --format csv"])
def test_a_command_prints_the_same_table_here_and_there(both: Both, command: str) -> None:
    """Line by line; of `status`, what is the org's."""
    here, there = both.here(*both.filled(command)), both.there(*both.filled(command))

    shown = [line for line in here.stdout.splitlines() if command != "status" or "https://" in line]
    assert here.exit_code == there.exit_code == 0
    assert [line for line in there.stdout.splitlines() if command != "status" or "https://" in line] == shown
    assert shown or here.stderr == there.stderr


@pytest.mark.parametrize("command", FAILS)
def test_a_command_is_refused_alike_here_and_there(both: Both, command: str) -> None:
    """With the same exit status, and words about the same thing."""
    words = both.filled(command)

    here, there = both.here(*words).exception, both.there(*words).exception

    assert isinstance(here, InvalidInput)
    assert isinstance(there, InvalidInput), there
    assert status_of(there) == status_of(here)
    assert str(there).partition(" (")[0].rstrip(".") == str(here).partition(" (")[0].rstrip(".")


def test_a_servers_refusal_ends_as_the_same_failure_here() -> None:
    """What is no bad input here is none there."""
    assert status_of(InvalidInput(code="crawl_not_found")) == 2
    assert status_of(InvalidInput(code="browser_missing")) == 1
    assert not issubclass(BrowserMissing, InvalidInput)


def test_keys_and_orgs_are_a_partners(both: Both) -> None:
    """Its own orgs are listed and given keys; it is shown itself."""
    lab = both.lab
    made = lab.org(f"Customer {uuid4().hex[:6]}", external_id=uuid4().hex)
    name = lab.partner.get(f"/partner/v1/orgs/{made.id}").json()["name"]

    def there(*words: str, org: str = name) -> Any:  # noqa: ANN401 - JSON
        done = CliRunner().invoke(app, ["--server", lab.url, "--key", lab.partner_key, "--org", org, *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    new = there("key", "create", "second", "--scope", "crawl:read", "--json")
    listed = there("key", "list", "--json", org=str(made.id))
    there("key", "revoke", new["id"])
    (revoked,) = [key for key in there("key", "list", "--json") if key["id"] == new["id"]]
    orgs = there("org", "list", "--json")["items"]
    partner = there("partner", "list", "--json")

    assert new["api_key"].startswith("sw_org_")
    assert [key["name"] for key in listed if key["id"] == new["id"]] == ["second"]
    assert revoked["revoked_at"] is not None
    assert {"id": str(made.id), "name": name} in [{"id": org["id"], "name": org["name"]} for org in orgs]
    assert partner == [{"id": str(lab.partner_id), "name": "Lab", "status": "active"}]


def test_an_org_is_erased_to_its_end(both: Both) -> None:
    """The command ends when nothing is left, which the deployment's own upkeep sees to."""
    lab = both.lab
    made = lab.org("Goes", external_id="goes")
    stop = threading.Event()

    def upkeep() -> None:
        while not stop.wait(0.05):
            lab.services.erasure.go_on(lasting=timedelta(seconds=1))

    worker = threading.Thread(target=upkeep)
    worker.start()
    try:
        words = ["--server", lab.url, "--key", lab.partner_key, "org", "erase", "goes", "--yes"]
        done = CliRunner().invoke(app, words)
    finally:
        stop.set()
        worker.join()

    assert done.exit_code == 0, done.exception
    assert "goes is erased" in done.stdout
    told = lab.partner.get(f"/partner/v1/erasures/{made.id}").json()
    assert (told["status"], told["erased_at"] is None) == ("erased", False)
    assert lab.other_partner().get(f"/partner/v1/erasures/{made.id}").status_code == 404
    assert lab.partner.get(f"/partner/v1/erasures/{NOBODYS}").status_code == 404


@pytest.mark.parametrize("command", [name for name, how in REACH.items() if isinstance(how, str)])
def test_what_only_the_machine_can_do_says_why(both: Both, command: str) -> None:
    """A sentence of its own, and where to do it instead."""
    arguments = {"partner create": ["name"], "partner limits": [NOBODYS, "datasources=1"]}
    given = arguments.get(command, [NOBODYS] if command.startswith("partner") else [])

    refused = both.there(*command.split(), *given).exception

    assert isinstance(refused, InvalidInput)
    assert str(REACH[command]) in str(refused)
    assert "without --server" in str(refused)


def test_every_command_has_its_place_in_the_table(both: Both) -> None:
    """And every route that one asks is in the API's document."""
    document = both.lab.anyone.get("/openapi.json").json()
    routes = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}

    named = {route for how in REACH.values() if isinstance(how, Over) for route in how.routes}

    assert set(REACH) == set(_commands(typer.main.get_command(app)))
    assert named <= routes


def test_the_table_for_readers_says_the_same() -> None:
    """Each command on a line of its own, with its key and its routes, or why it stays at home."""
    lines = Path("deploy/remote.md").read_text().splitlines()

    for command, how in REACH.items():
        (line,) = (line for line in lines if line.startswith(f"| `sitewise {command}` |"))
        said = f"{how.key} | {' · '.join(f'`{route}`' for route in how.routes)}" if isinstance(how, Over) else how
        assert line == f"| `sitewise {command}` | {said} |"


def _commands(command: Any, before: str = "") -> Iterator[str]:  # noqa: ANN401 - a command, or a group of them
    parts = getattr(command, "commands", None)
    if parts is None:
        yield before
        return
    for name, part in parts.items():
        yield from _commands(part, f"{before} {name}".strip())
