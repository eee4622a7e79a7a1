"""Training over HTTP: how long it takes to write a scenario, to publish one, and to look at all of them.

`python -m tests.benchmarks.training [--scenarios 10 100 500] [--rounds N] [--lint N]`. The real model answers, over a
loopback socket, beside a website of 60 pages whose titles are a part of what is learnt from. Times are in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from pipeline.adapters.embedder import open_embedder
from pipeline.adapters.embedder.port import Embedder, Tokenizer
from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import Services
from pipeline.db.engine import Database
from pipeline.db.revision import upgrade
from pipeline.logs import set_up_logging
from pipeline.model import ModelIdentity, OrgScope, Vector
from pipeline.services.training import NewScenario
from pipeline.settings import DatabaseSettings, LimitSettings, Settings
from tests.fakes.hints import RecordedHints
from tests.fakes.knowledge import Answer, Knowledge

PAGES = 60
TRIGGERS = 10
DEEDS = ("return", "exchange", "repair", "cancel", "track", "insure", "gift wrap", "assemble", "clean", "resell")
THINGS = ("a lamp", "a chair", "my phone", "the washing machine", "a winter coat", "two tickets", "the garden table")
REASONS = ("it came late", "it is broken", "I changed my mind", "the colour is wrong", "it is too small")
PLACES = ("Norway", "Berlin", "the shop in Leeds", "an airport")
FORMS = (
    "How do I {deed} {thing}?",
    "I want to {deed} {thing} because {reason}",
    "can you {deed} {thing} in {place}",
    "what does it cost to {deed} {thing}",
    "{thing}: {reason}, {deed} please",
    "who will {deed} {thing} when {reason}?",
    "is it possible to {deed} {thing} from {place}?",
    "how long does it take to {deed} {thing}",
    "my friend said you {deed} {thing} for free",
    "please {deed} {thing}, I am in {place}",
)


class Remembering:
    """The real model, which computes a text once: orgs of several sizes share their texts."""

    def __init__(self, model: Embedder) -> None:
        """Remember what this one says."""
        self._model = model
        self._known: dict[str, Vector] = {}
        self.is_on = True

    @property
    def identity(self) -> ModelIdentity:
        """What the vectors depend on."""
        return self._model.identity

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self._model.tokenizer

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """As the model does."""
        return self._model.encode_documents(texts)

    def encode_query(self, text: str) -> Vector:
        """As the model does."""
        return self._model.encode_query(text)

    @property
    def inner(self) -> int:
        """What the model shows of an inner layer."""
        return self._model.inner

    def encode_message(self, text: str) -> Vector:
        """As the model does."""
        return self._model.encode_message(text)

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """As the model does."""
        return self.encode_messages(texts)[:, : self.identity.dimension]

    def encode_messages(self, texts: Sequence[str]) -> Vector:
        """From memory while things are prepared, from the model while they are measured."""
        if not self.is_on:
            return self._model.encode_messages(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), 64):
            some = new[start : start + 64]
            self._known.update(zip(some, self._model.encode_messages(some), strict=True))
        return np.stack([self._known[text] for text in texts])


def scenario(number: int) -> NewScenario:
    """The scenario of this number, with ten triggers."""
    kinds = list(product(DEEDS, THINGS, REASONS, PLACES))
    deed, thing, reason, place = kinds[(number * 37) % len(kinds)]
    words = {"deed": deed, "thing": thing, "reason": reason, "place": place}
    return NewScenario(
        f"{deed} {thing}: {reason} ({place}, {number})",
        f"Ask for the number of the order and say that we {deed} {thing} within {number % 28 + 2} days.",
        triggers=tuple(f"{form.format(**words)} {number}" for form in FORMS),
    )


class Measured:
    """A served API on the real model, and one org after another."""

    def __init__(self, data_dir: Path) -> None:
        """Make the database, crawl and index."""
        database = Database(DatabaseSettings(), data_dir=data_dir)
        upgrade(database)
        database.close()
        limits = dict.fromkeys(LimitSettings.model_fields, 0)
        self.settings = Settings(data_dir=data_dir, api={"port": 0}, limits=limits)
        set_up_logging(self.settings.model_copy(update={"log_level": "error"}))
        self.embedder = Remembering(open_embedder(self.settings.embed, cache_dir=self.settings.cache_dir))
        self._store = EdgeStore(data_dir / "vectors" / "bench")
        self._base = Knowledge(data_dir)
        self._base.use_store(self._store)  # type: ignore[arg-type] # a real store in place of the fake one
        self._base.use_embedder(self.embedder)  # type: ignore[arg-type] # likewise
        self.services = Services(self.settings, hints=RecordedHints(), store=self._store, embedder=self.embedder)
        self.partner = self.services.provisioning.add_partner("bench").id

    def org(self, server: str, count: int) -> tuple[OrgScope, httpx.Client]:
        """An org with a crawled website and so many published scenarios, learnt."""
        self.embedder.is_on = True
        partner = httpx.Client(
            base_url=server, headers=_as(self.services.keys.for_partner(self.partner, name="b").shown)
        )
        made = partner.post("/partner/v1/orgs", json={"name": f"Org of {count}"}).json()
        key = partner.post(f"/partner/v1/orgs/{made['id']}/api-keys", json={"name": "bench"}).json()["api_key"]
        partner.close()
        scope = OrgScope(made_id(made))
        self._base.crawl({f"/{number}": _text(number) for number in range(PAGES)}, scope=scope)
        for number in range(count):
            self.services.training.add(scenario(number), scope=scope, learns=False)
        self.services.training.learn(scope=scope)
        self.embedder.is_on = False
        return scope, httpx.Client(base_url=server, headers=_as(key), timeout=300)

    def close(self) -> None:
        """Close what was opened."""
        self.services.close()
        self._base.services.close()
        self._store.close()


def made_id(made: dict[str, Any]) -> Any:  # noqa: ANN401 - an id
    """The id of what was made."""
    from uuid import UUID  # noqa: PLC0415 - here alone

    return UUID(made["id"])


def _as(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _text(number: int) -> Answer:
    return (
        f"<h2>Subject {number}</h2><p>All about {THINGS[number % len(THINGS)]} number {number}, in so many words.</p>"
    )


def measure(measured: Measured, server: str, count: int, rounds: int) -> dict[str, float]:
    """Medians for an org of so many scenarios."""
    _, http = measured.org(server, count)
    took: dict[str, list[float]] = {}
    ask = {"message": "How do I return a lamp?"}
    http.post("/retrieve", json=ask).raise_for_status()
    for round_number in range(rounds):
        new = scenario(10_000 + round_number)
        body = {"title": new.title, "content": new.content, "triggers": list(new.triggers)}
        made = _timed(took, "POST /training", lambda body=body: http.post("/training", json=body))
        _timed(took, "first question after", lambda new=new: http.post("/retrieve", json={"message": new.triggers[0]}))
        draft = body | {"triggers": [f"{trigger}, please" for trigger in new.triggers]}
        http.put(f"/training/{made['id']}/draft", json=draft).raise_for_status()
        _timed(took, "POST publish", lambda made=made: http.post(f"/training/{made['id']}/publish"))
        _timed(took, "DELETE", lambda made=made: http.delete(f"/training/{made['id']}"))
    http.post("/retrieve", json=ask).raise_for_status()
    for _ in range(rounds):
        _timed(took, "question", lambda: http.post("/retrieve", json=ask))
    http.close()
    return {name: round(median(times), 1) for name, times in took.items()}


def _timed(took: dict[str, list[float]], name: str, act: Any) -> Any:  # noqa: ANN401 - a call and its answer
    began = time.perf_counter()
    answer = act()
    took.setdefault(name, []).append(1_000 * (time.perf_counter() - began))
    answer.raise_for_status()
    return answer.json() if answer.content else None


def main(arguments: Sequence[str]) -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description="Time what is written to training over HTTP.")
    parser.add_argument("--scenarios", type=int, nargs="*", default=[10, 100, 500])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lint", type=int, nargs="*", default=[])
    chosen = parser.parse_args(arguments)
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(Path(folder))
        with Server(create_app(measured.services), measured.settings) as server:
            for count in chosen.scenarios:
                told[f"{count} scenarios"] = measure(measured, server.url, count, chosen.rounds)
            for count in chosen.lint:
                _, http = measured.org(server.url, count)
                took: dict[str, list[float]] = {}
                found = _timed(took, "POST /training/lint", lambda http=http: http.post("/training/lint"))
                told[f"lint of {count}"] = took | {"findings": len(found["findings"])}
                http.close()
        measured.close()
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
