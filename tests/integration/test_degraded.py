"""Answers while a part is away: said so, in time, and whole again when it is back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from pipeline.adapters.qdrant.opening import store_socket
from pipeline.adapters.qdrant.wire import short_address
from pipeline.bootstrap import Services
from pipeline.errors import EmbedderUnavailable, InvalidQuestion, ModelNotFound, VectorStoreUnavailable
from pipeline.model import Briefing, Candidates, OrgScope, ScenarioType, SearchFilter, SparseVector, Vector
from pipeline.retrieval.follow_up import Turn
from pipeline.services import outages
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario
from pipeline.settings import Settings
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import Answer, Knowledge
from tests.fakes.vector_store import MemoryStore

SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
}
QUESTION = "What does shipping a chair cost?"
TONE = NewScenario("Tone", "Be kind.", type=ScenarioType.BEHAVIORAL)
SHIPPING = NewScenario("Shipping", "Offer the express way.", triggers=(QUESTION,))


PATIENTLY = timedelta(seconds=20)
"""What is there answers sooner, on a busy machine too."""

SHORTLY = timedelta(milliseconds=50)


class Switched(MemoryStore):
    """A store that is away while it is switched off. Counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.on = True
        self.searches = 0

    def search(
        self,
        dense: Vector | None,
        sparse: SparseVector | None,
        *,
        limit: int,
        scope: OrgScope,
        where: SearchFilter | None = None,
    ) -> Candidates:
        """Candidates, if it is on."""
        self.searches += 1
        if not self.on:
            raise VectorStoreUnavailable(problem="switched off")
        return super().search(dense, sparse, limit=limit, scope=scope, where=where)


class Fallible(WordEmbedder):
    """A model that fails while it has a failure, and hangs while it is held. Counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.free = threading.Event()
        self.free.set()
        self.asked = 0

    def encode_query(self, text: str) -> Vector:
        """The vector, if it can."""
        self.asked += 1
        assert self.free.wait(60)
        if self.failure is not None:
            raise self.failure
        return super().encode_query(text)


class Shop(Knowledge):
    """A crawled shop with two scenarios, whose parts can be taken away."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.switch = Switched()
        self.model = Fallible()
        self.wait(PATIENTLY)
        self.use_store(self.switch)
        self.use_embedder(self.model)
        self.crawl(SHOP)
        for new in (TONE, SHIPPING):
            self.services.training.add(new, scope=self.org)

    def wait(self, patience: timedelta) -> None:
        """Let answers wait that long for the model from now on."""
        retrieve = self.settings.retrieve.model_copy(update={"patience": patience})
        upsert = self.settings.upsert.model_copy(update={"timeout": SHORTLY})
        self.services.close()
        self.settings = Settings(data_dir=self.settings.data_dir, retrieve=retrieve, upsert=upsert)
        self.services = self.open()

    def answer(self, message: str = QUESTION, *, trace: bool = False, history: tuple[Turn, ...] = ()) -> Briefing:
        """What the HTTP edge would say."""
        question = Question(message, trace=trace, history=history)
        return self.services.answers.brief(question, scope=self.org, degrades=True)


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The shop; a part that was away is asked again at once."""
    monkeypatch.setattr(outages, "REST", timedelta(0))
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    shop = Shop(tmp_path)
    yield shop
    shop.model.free.set()
    shop.services.close()


def titles(briefing: Briefing) -> list[str]:
    """Titles of the scenarios that apply."""
    return [row.title for row in briefing.behaviors] + [row.title for row in briefing.scenarios]


def test_with_every_part_there_nothing_is_lacking(shop: Shop) -> None:
    """The answer over HTTP is the answer."""
    briefing = shop.answer()

    assert briefing.degraded == ()
    assert briefing.answerable
    assert titles(briefing) == ["Tone", "Shipping"]


def test_without_the_store_behaviour_is_left(shop: Shop) -> None:
    """What applies and what fires is told; there is no passage, and the briefing says why."""
    shop.switch.on = False

    briefing = shop.answer(trace=True)

    assert briefing.degraded == ("vector_store",)
    assert titles(briefing) == ["Tone", "Shipping"]
    assert briefing.passages == ()
    assert not briefing.answerable
    assert shop.services.briefings.get(briefing.id, scope=shop.org).briefing == briefing


@pytest.mark.parametrize("failure", [EmbedderUnavailable(problem="gone"), ModelNotFound(model="some")])
def test_without_the_model_words_are_left(shop: Shop, failure: Exception) -> None:
    """Passages are found by their words, what always applies is there, nothing fires by meaning."""
    shop.model.failure = failure

    briefing = shop.answer(trace=True)

    assert briefing.degraded == ("model",)
    assert briefing.passages[0].url.endswith("/shipping")
    assert titles(briefing) == ["Tone"]
    assert "nine euros" in briefing.prompt
    assert not briefing.answerable
    assert briefing.trace is not None
    told = cast("list[dict[str, object]]", briefing.trace["training"])
    assert [(row["title"], row["in"], row["why"]) for row in told] == [
        ("Tone", True, "always"),
        ("Shipping", False, "not_judged"),
    ]


def test_without_model_and_store_there_is_still_a_briefing(shop: Shop) -> None:
    """It holds what always applies."""
    shop.model.failure, shop.switch.on = EmbedderUnavailable(problem="gone"), False

    briefing = shop.answer()

    assert briefing.degraded == ("model", "vector_store")
    assert titles(briefing) == ["Tone"]


def test_a_model_that_hangs_costs_its_patience(shop: Shop) -> None:
    """A follow-up too is answered without it."""
    shop.wait(SHORTLY)
    shop.model.free.clear()

    briefing = shop.answer("And how long?", history=(Turn("user", QUESTION),))

    assert briefing.degraded == ("model",)


def test_what_is_back_is_used_again(shop: Shop) -> None:
    """The next answer lacks nothing."""
    shop.switch.on = False
    shop.answer()
    shop.switch.on = True

    assert shop.answer().degraded == ()


def test_a_part_that_is_away_is_not_asked_every_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it rests, answers go on without a call to it."""
    monkeypatch.setattr(outages, "REST", timedelta(hours=1))
    shop.use_store(shop.switch)
    shop.switch.on = False
    shop.answer()
    asked = shop.switch.searches

    briefings = [shop.answer() for _ in range(5)]

    assert {briefing.degraded for briefing in briefings} == {("vector_store",)}
    assert shop.switch.searches == asked


def test_who_can_wait_learns_what_is_wrong(shop: Shop) -> None:
    """The command line says what is away instead of answering with less."""
    shop.switch.on = False

    with pytest.raises(VectorStoreUnavailable):
        shop.ask(QUESTION)


def test_a_wrong_question_is_refused_with_or_without_parts(shop: Shop) -> None:
    """What a person has to mend is said first."""
    shop.switch.on = False

    with pytest.raises(InvalidQuestion):
        shop.answer(" ")


@pytest.mark.parametrize("listens", [True, False], ids=["frozen", "gone"])
def test_an_owner_that_does_not_answer_costs_its_patience(shop: Shop, *, listens: bool) -> None:
    """Behaviour is told all the same, whether its socket is there or not."""
    path = store_socket(shop.settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        if listens:
            path.parent.mkdir(parents=True, exist_ok=True)
            with short_address(path) as address:
                listener.bind(address)
            listener.listen()
        with Services(shop.settings, hints=shop.hints, embedder=shop.model, clock=shop.clock) as services:
            briefing = services.answers.brief(Question(QUESTION), scope=shop.org, degrades=True)

    assert briefing.degraded == ("vector_store",)
    assert titles(briefing) == ["Tone", "Shipping"]
