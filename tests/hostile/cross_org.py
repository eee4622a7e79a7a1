"""Keys of one org on every route of another's things, generated from the API's own document.

`python -m tests.hostile.cross_org --calls 10000` makes that many calls and counts bytes that were foreign.
A new route is covered once it is in the document, a new kind of thing once its table names its org.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import Uuid, select

from pipeline.api.paging import write_cursor
from pipeline.db.base import Base
from pipeline.db.engine import Database
from pipeline.db.paging import Place
from pipeline.db.revision import upgrade
from pipeline.logs import set_up_logging
from pipeline.model import OrgScope
from pipeline.settings import DatabaseSettings, LimitSettings, Settings
from tests.fakes.knowledge import SITE, Answer
from tests.lab.api import ApiLab, LabOrg, served

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SLOW = {"/crawl/preview"}
"""Starts a crawler before it answers: called without a body, which it refuses."""

UNDOCUMENTED = 0.2
"""Share of calls with a verb that the document does not name for the path."""

FITTING_KEY = 0.85
"""Share of calls with a key of the kind that the route is for."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Victim:
    """An org whose things nobody else may see: words that stand in all it has, and ids by table.

    `said` and `ids` are put into calls, as one who guesses would; `unsaid` stands beside the one wherever it stands,
    `kept` are the ids of other rows: these are never sent, so whoever is shown one has seen what is not his.
    """

    org: LabOrg
    said: str
    unsaid: str
    ids: Mapping[str, Sequence[UUID]]
    kept: frozenset[str]
    cursors: Sequence[str]


class Sampler:
    """Makes bodies and parameters that the document allows, filled with a victim's ids and words."""

    def __init__(self, document: Schema, chance: random.Random) -> None:
        """Read schemas of this document."""
        self._schemas: Schema = document["components"]["schemas"]
        self._chance = chance

    def value(self, schema: Schema, *, ids: Sequence[UUID], text: str, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
        """A value of a schema."""
        schema = self._plain(schema)
        kind = schema.get("type")
        if "enum" in schema or "const" in schema:
            return self._chance.choice(schema.get("enum") or [schema["const"]])
        if kind == "object":
            return self._object(schema, ids=ids, text=text, depth=depth)
        if kind == "array":
            count = max(schema.get("minItems", 0), self._chance.choice((0, 1, 2)) if depth < 3 else 0)
            return [self.value(schema["items"], ids=ids, text=text, depth=depth + 1) for _ in range(count)]
        plain = {"integer": (schema.get("minimum", 1), 1), "number": (1,), "boolean": (True, False), "null": (None,)}
        if kind in plain:
            return self._chance.choice(plain[kind])
        return self._text(schema, ids=ids, text=text)

    def _plain(self, schema: Schema) -> Schema:
        """The schema behind a reference, or one of several."""
        while True:
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
            elif "anyOf" in schema or "oneOf" in schema:
                schema = self._chance.choice(schema.get("anyOf") or schema["oneOf"])
            elif "allOf" in schema:
                schema = schema["allOf"][0]
            else:
                return schema

    def _object(self, schema: Schema, *, ids: Sequence[UUID], text: str, depth: int) -> dict[str, Any]:
        needed = set(schema.get("required", ()))
        chosen = {
            name: part
            for name, part in schema.get("properties", {}).items()
            if name in needed or self._chance.random() < 0.5
        }
        made = {name: self.value(part, ids=ids, text=text, depth=depth + 1) for name, part in chosen.items()}
        return made | ({"url": f"{SITE}{text.replace(' ', '/')}"} if "url" in made else {})

    def _text(self, schema: Schema, *, ids: Sequence[UUID], text: str) -> str:
        form = schema.get("format")
        if form == "uuid":
            return str(self._chance.choice(ids))
        if form == "date-time":
            return "2027-01-31T09:00:00Z"
        if form in {"uri", "http-url"}:
            return SITE
        if "pattern" in schema and not re.search(schema["pattern"], text):
            return str(self._chance.choice(schema.get("examples") or ["en"]))
        return text[: schema.get("maxLength", len(text))]


class CrossOrg:
    """Two victims, a partner and an org that want to see them, and what came of it."""

    def __init__(self, lab: ApiLab, *, seed: int) -> None:
        """Make the orgs and fill the victims."""
        self._lab = lab
        self._chance = random.Random(seed)  # noqa: S311 - calls, not secrets
        document = lab.anyone.get("/openapi.json").json()
        self._paths: Mapping[str, Schema] = document["paths"]
        self._sampler = Sampler(document, self._chance)
        self.attacker = lab.org("Attacker")
        stranger = lab.services.provisioning.add_partner("Stranger").id
        foreign_partner = lab.client(lab.new_partner_key(stranger))
        neighbour = self._victim(lab.partner, lab.partner_id, "neighbour")
        foreigner = self._victim(foreign_partner, stranger, "foreigner")
        own = {str(found) for ids in self._ids(self.attacker.id).values() for found in ids} | {str(lab.partner_id)}
        self._by_org = (self.attacker.http, (neighbour, foreigner), _marks((neighbour, foreigner), own))
        self._by_partner = (lab.partner, (foreigner,), _marks((foreigner,), own))
        self.victims = (neighbour, foreigner)
        self.marks = self._by_org[2]
        self.statuses: Counter[int] = Counter()
        self.routes: set[tuple[str, str]] = set()
        self.foreign: list[str] = []
        self.broken: list[str] = []
        self._before = [self._rows(victim.org.id) for victim in self.victims]

    @property
    def documented(self) -> set[tuple[str, str]]:
        """Every route with each of its verbs."""
        return {(verb.upper(), path) for path, verbs in self._paths.items() for verb in verbs if verb.upper() in VERBS}

    def calls(self, count: int) -> None:
        """Every documented route once, then at random, so many in all."""
        first = sorted(self.documented)
        self._chance.shuffle(first)
        for number in range(count):
            verb, path = first[number] if number < len(first) else self._any_route()
            self._call(verb, path)

    def changed(self) -> list[str]:
        """Names of tables in which a victim's rows are no longer what they were."""
        after = [self._rows(victim.org.id) for victim in self.victims]
        return [
            table for old, new in zip(self._before, after, strict=True) for table in old if old[table] != new[table]
        ]

    def _any_route(self) -> tuple[str, str]:
        path = self._chance.choice(sorted(self._paths))
        known = [verb.upper() for verb in self._paths[path]]
        return self._chance.choice(VERBS if self._chance.random() < UNDOCUMENTED else known), path

    def _call(self, verb: str, path: str) -> None:
        fitting = self._chance.random() < FITTING_KEY
        client, victims, marks = self._by_partner if path.startswith("/partner") == fitting else self._by_org
        victim = self._chance.choice(victims)
        operation = self._paths[path].get(verb.lower(), {})
        ids = self._some_ids(victim)
        url = re.sub(r"\{\w+\}", lambda _: str(self._chance.choice(ids)), path)
        if self._chance.random() < 0.1:
            url = f"/v1{url}"
        request = client.build_request(
            verb, url, params=self._query(operation, victim, ids), json=self._body(path, operation, victim, ids)
        )
        answer = client.send(request)
        self.routes.add((verb, path))
        self.statuses[answer.status_code] += 1
        if found := set(marks.findall(answer.text + str(answer.headers))):
            self.foreign.append(f"{verb} {request.url}: {answer.status_code} {sorted(found)}")
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.broken.append(f"{verb} {request.url} {request.content!r}: {answer.text}")

    def _some_ids(self, victim: Victim) -> Sequence[UUID]:
        """Ids of one kind of the victim's, of all kinds, or of nothing."""
        kind = self._chance.choice(sorted(victim.ids))
        everything = [found for ids in victim.ids.values() for found in ids]
        return self._chance.choice((victim.ids[kind], victim.ids[kind], everything, [uuid4()]))

    def _query(self, operation: Schema, victim: Victim, ids: Sequence[UUID]) -> dict[str, Any]:
        query: dict[str, Any] = {}
        for parameter in operation.get("parameters", ()):
            name, schema = parameter["name"], parameter["schema"]
            if parameter["in"] != "query" or (not parameter.get("required") and self._chance.random() < 0.5):
                continue
            value = self._sampler.value(schema, ids=ids, text=victim.said)
            query[name] = self._chance.choice(victim.cursors) if name == "cursor" else value
        return {name: value for name, value in query.items() if value is not None}

    def _body(self, path: str, operation: Schema, victim: Victim, ids: Sequence[UUID]) -> Any:  # noqa: ANN401 - JSON
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or path in SLOW:
            return None
        return self._sampler.value(content["schema"], ids=ids, text=victim.said)

    def _victim(self, partner: httpx.Client, partner_id: UUID, name: str) -> Victim:
        """An org full of things, each of which tells of it."""
        said, unsaid = f"{name}said{uuid4().hex[:6]}", f"{name}unsaid{uuid4().hex[:6]}"
        text = f"{said} {unsaid}"
        made = partner.post("/partner/v1/orgs", json={"name": text, "ai_instructions": text, "external_id": text})
        assert made.status_code == 201, made.text
        org_id = UUID(made.json()["id"])
        key = self._lab.services.keys.for_org(org_id, name=text, scopes=None, partner_id=partner_id).shown or ""
        org = LabOrg(org_id, key, self._lab.client(key))
        site: dict[str, Answer] = {
            path: f"<p>The {text} of page {path} is told to nobody else at all.</p>" for path in ("/", "/a", "/b")
        }
        self._lab.knowledge.crawl(site, scope=OrgScope(org_id))
        self._fill(org, text)
        briefing = org.http.post("/retrieve", json={"message": f"Tell me of {text}", "trace": True})
        assert unsaid in briefing.text
        self._lab.services.briefings.flush()
        moment = self._lab.knowledge.clock.now
        every = {table: found for table, found in self._ids(org_id).items() if found}
        ids = {table: found[: (len(found) + 1) // 2] for table, found in every.items()}
        sent = {found for rows in ids.values() for found in rows}
        kept = {str(found) for rows in every.values() for found in rows if found not in sent}
        cursors = [write_cursor(Place(moment, found)) for rows in ids.values() for found in rows[:3]]
        return Victim(org, said, unsaid, ids, frozenset(kept), cursors)

    def _fill(self, org: LabOrg, text: str) -> None:
        """Let the org make whatever its key can make without naming anything else."""
        for path, verbs in sorted(self._paths.items()):
            content = verbs.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
            if content is None or "{" in path or path in SLOW or path.startswith("/partner"):
                continue
            for _ in range(3):
                body = self._sampler.value(content["schema"], ids=[uuid4()], text=text)
                if org.http.post(path, json=body).is_success:
                    break
        always = {"title": text, "content": text, "type": "BEHAVIORAL"}
        assert org.http.post("/training", json=always).status_code == 201

    def _ids(self, org_id: UUID) -> dict[str, list[UUID]]:
        """Every id in a row of this org, by table."""
        found: dict[str, list[UUID]] = {}
        for name, rows in self._rows(org_id).items():
            ids = {value for row in rows for value in row.values() if isinstance(value, UUID)}
            found[name] = sorted(ids, key=str)
        return found

    def _rows(self, org_id: UUID) -> dict[str, list[dict[str, Any]]]:
        """All rows of this org, by table."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self._lab.services.database.read() as session:
            for table in Base.metadata.sorted_tables:
                column = table.c.get("org_id", table.c.id if table.name == "orgs" else None)
                if column is None or not isinstance(column.type, Uuid):
                    continue
                rows = session.execute(select(table).where(column == org_id)).mappings()
                found[table.name] = sorted((dict(row) for row in rows), key=str)
        return found


def _marks(victims: Sequence[Victim], own: set[str]) -> re.Pattern[str]:
    """Finds whatever is these victims' alone."""
    marks = {victim.unsaid for victim in victims}.union(*(victim.kept for victim in victims)) - own
    return re.compile("|".join(sorted(map(re.escape, marks))))


@contextmanager
def attacked(data_dir: Path, *, seed: int) -> Iterator[CrossOrg]:
    """A served API without limits, in a directory whose database has its tables."""
    with served(data_dir, limits=dict.fromkeys(LimitSettings.model_fields, 0)) as lab:
        yield CrossOrg(lab, seed=seed)


def main(arguments: list[str]) -> int:
    """Make many calls and say what came of them."""
    parser = argparse.ArgumentParser(description="Call every route with another org's ids.")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp())
    set_up_logging(Settings(data_dir=folder, log_level="error"))
    try:
        database = Database(DatabaseSettings(), data_dir=folder)
        upgrade(database)
        database.close()
        with attacked(folder, seed=chosen.seed) as tried:
            began = time.perf_counter()
            tried.calls(chosen.calls)
            seconds, changed = time.perf_counter() - began, tried.changed()
    finally:
        shutil.rmtree(folder)
    told = {
        "calls": tried.statuses.total(),
        "seconds": round(seconds),
        "routes": len(tried.documented & tried.routes),
        "of": len(tried.documented),
        "statuses": dict(sorted(tried.statuses.items())),
        "foreign": tried.foreign[:10],
        "changed": changed,
        "broken": tried.broken[:10],
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 1 if tried.foreign or changed or tried.broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
