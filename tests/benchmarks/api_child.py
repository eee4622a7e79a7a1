"""The process that `tests.benchmarks.api` measures: it serves the API, and asks its own retrieval module when told to.

It answers each line on stdin with one line of JSON: `alone SECONDS THREADS`, `lag`, or `cpu`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from fastapi import FastAPI

from pipeline.adapters.embedder import open_embedder
from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import Services
from pipeline.db.engine import Database
from pipeline.db.revision import upgrade
from pipeline.logs import set_up_logging
from pipeline.model import ScenarioType
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario
from pipeline.settings import DatabaseSettings, LimitSettings, Settings
from tests.fakes.hints import RecordedHints
from tests.fakes.knowledge import Answer, Knowledge

SUBJECTS = ("shipping", "returns", "lamps", "chairs", "warranty", "payment", "gift cards", "sizes", "care", "assembly")
PAGES = 60
TICK_SECONDS = 0.005


def questions() -> list[str]:
    """What customers ask: short and long, each of another subject."""
    forms = ("{}?", "How much does {} cost?", "I ordered last week and wonder how {} works when I live in Norway.")
    return [form.format(f"{subject} {number}") for number in range(7) for subject in SUBJECTS for form in forms]


class Lag:
    """How late the event loop comes to what is due: measured every five milliseconds, from within."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            due = time.perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self.late.append(max(0.0, time.perf_counter() - due))

    def take(self) -> list[float]:
        """What was measured since the last time, in seconds."""
        taken, self.late = self.late, []
        return taken


class Measured:
    """Services on a knowledge base of 60 pages and six scenarios, with the real model and a real embedded store."""

    def __init__(self, data_dir: Path) -> None:
        """Make the database, crawl and index."""
        database = Database(DatabaseSettings(), data_dir=data_dir)
        upgrade(database)
        database.close()
        limits = dict.fromkeys(LimitSettings.model_fields, 0)
        self.settings = Settings(data_dir=data_dir, api={"port": 0}, limits=limits)
        set_up_logging(self.settings.model_copy(update={"log_level": "warning"}))
        embedder = open_embedder(self.settings.embed, cache_dir=self.settings.cache_dir)
        self._store = EdgeStore(data_dir / "vectors" / "bench")
        base = Knowledge(data_dir)
        base.use_store(self._store)  # type: ignore[arg-type] # a real store in place of the fake one
        base.use_embedder(embedder)  # type: ignore[arg-type] # likewise
        self.scope = base.services.orgs.ensure("bench")
        base.crawl({f"/{number}": _text(number) for number in range(PAGES)}, scope=self.scope)
        base.services.close()
        self.services = Services(self.settings, hints=RecordedHints(), store=self._store, embedder=embedder)
        self._train()
        self.services.answers.warm_up()

    def key(self) -> str:
        """An org key."""
        partner = self.services.provisioning.add_partner("bench").id
        with self.services.database.write() as session:
            from pipeline.db.orgs import Org  # noqa: PLC0415 - the org was made without a partner

            session.get_one(Org, self.scope.org_id).partner_id = partner
        return self.services.keys.for_org(self.scope.org_id, name="bench", scopes=None, partner_id=partner).shown or ""

    def datasource(self) -> UUID:
        """The crawled website."""
        return self.services.crawls.list_datasources(scope=self.scope)[0].id

    def alone(self, *, seconds: float, threads: int) -> list[float]:
        """Seconds of each answer of the retrieval module, called by so many threads for so long."""
        asked = questions()
        end = time.perf_counter() + seconds

        def ask(number: int) -> list[float]:
            took, place = [], number
            while (began := time.perf_counter()) < end:
                question = Question(asked[place % len(asked)])
                self.services.answers.brief(question, scope=self.scope, degrades=True)
                took.append(time.perf_counter() - began)
                place += threads
            return took

        with ThreadPoolExecutor(threads) as pool:
            return [one for took in pool.map(ask, range(threads)) for one in took]

    def _train(self) -> None:
        """Two scenarios that always apply, and four that fire."""
        tone = NewScenario("Tone", "Be kind, and short.", type=ScenarioType.BEHAVIORAL)
        always = [
            tone,
            NewScenario("Language", "Answer in the language of the question.", type=ScenarioType.BEHAVIORAL),
        ]
        fires = [
            NewScenario(
                f"About {subject}",
                f"Offer help with {subject}.",
                triggers=(f"problem with {subject}", f"{subject} broken"),
            )
            for subject in SUBJECTS[:4]
        ]
        for new in (*always, *fires):
            self.services.training.add(new, scope=self.scope)


def _text(number: int) -> Answer:
    """Six paragraphs of a page, each about another subject."""
    return "".join(
        f"<h2>{subject} {number}</h2><p>All about {subject} in shop {number}: it costs {number + place} euros, takes "
        f"{place + 2} days, and our team in city {number * 7 + place} answers what this page leaves open about it. "
        "Ask for a receipt, keep the box for a month, and tell us the number on the label when you write.</p>"
        for place, subject in enumerate(SUBJECTS[number % 5 : number % 5 + 6])
    )


def main(arguments: Sequence[str]) -> None:
    """Serve, and do what stdin says; the first line out tells where."""
    if arguments and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in arguments[0].split(",")})
    with tempfile.TemporaryDirectory() as folder:
        measured, lag = Measured(Path(folder)), Lag()
        app = create_app(measured.services)
        whole = app.router.lifespan_context

        @asynccontextmanager
        async def watched(served: FastAPI) -> AsyncIterator[None]:
            async with whole(served):
                watching = asyncio.create_task(lag.watch())
                yield
                watching.cancel()

        app.router.lifespan_context = watched
        with Server(app, measured.settings) as server:
            told = {"url": server.url, "key": measured.key(), "datasource": str(measured.datasource())}
            _say(told | {"threads": measured.settings.api.threads, "questions": questions()})
            for line in sys.stdin:
                word, *rest = line.split()
                if word == "alone":
                    _say(measured.alone(seconds=float(rest[0]), threads=int(rest[1])))
                elif word == "lag":
                    _say(lag.take())
                elif word == "cpu":
                    _say(time.process_time())
        measured.services.close()


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
