"""What was learnt from triggers: stored beside them, shared by processes, learnt anew when scenarios change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.bootstrap import Services
from pipeline.model import Vector
from pipeline.retrieval import background
from pipeline.services.answers import Question
from pipeline.services.training import NewScenario
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import Knowledge

REFUND = NewScenario("Refund", "Offer a voucher.", triggers=("I want my money back", "refund my order"))
PARCEL = NewScenario("Parcel", "Track it.", triggers=("where is my parcel", "my parcel is late"))


class Counting(WordEmbedder):
    """Notes every question it turns into a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode_query(self, text: str) -> Vector:
        """The vector, and a note."""
        self.asked.append(text)
        return super().encode_query(text)


class Layered(Counting):
    """Shows what an inner layer makes of a text."""

    @property
    def inner(self) -> int:
        """Two numbers."""
        return 2

    def encode_message(self, text: str) -> Vector:
        """A question's vector, and two numbers behind it."""
        return np.append(self.encode_query(text), np.array([0.6, 0.8], np.float32))

    def encode_messages(self, texts: Sequence[str]) -> Vector:
        """Likewise of many."""
        return np.stack([self.encode_message(text) for text in texts])


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path) -> Knowledge:
    """Two scenarios in a database of their own."""
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    knowledge = Knowledge(tmp_path)
    for new in (REFUND, PARCEL):
        knowledge.services.training.add(new, scope=knowledge.org)
    return knowledge


def elsewhere(shop: Knowledge, embedder: Counting) -> Services:
    """Services of another process on the same rows."""
    return Services(shop.settings, hints=shop.hints, store=shop.store, embedder=embedder, clock=shop.clock)


def test_another_process_learns_nothing(shop: Knowledge) -> None:
    """It reads what the publisher stored: the message alone is turned into a vector."""
    embedder = Counting()
    services = elsewhere(shop, embedder)

    briefing = services.answers.brief(Question("I want my money back"), scope=shop.org)
    services.close()

    assert [row.title for row in briefing.scenarios] == ["Refund"]
    assert embedder.asked == ["I want my money back"]


def test_what_another_process_publishes_is_matched_at_once(shop: Knowledge) -> None:
    """The matcher in memory belongs to exactly the versions published; a change elsewhere is seen with the commit."""
    embedder = Counting()
    services = elsewhere(shop, embedder)
    message = Question("reset my password")
    before = services.answers.brief(message, scope=shop.org)

    password = NewScenario("Password", "Send a link.", triggers=("reset my password",))
    shop.services.training.add(password, scope=shop.org, learns=False)
    after = services.answers.brief(message, scope=shop.org)
    services.close()

    assert before.scenarios == ()
    assert [row.title for row in after.scenarios] == ["Password"]


def test_priority_and_restrictions_are_not_learnt(shop: Knowledge) -> None:
    """What is no part of a version changes nothing in what was learnt."""
    number = next(row.id for row in shop.services.training.list_scenarios(scope=shop.org) if row.title == "Refund")
    embedder = Counting()
    services = elsewhere(shop, embedder)
    changed = replace(REFUND, priority=5, restricted_to_channels=("email",))

    shop.services.training.replace(number, changed, scope=shop.org, learns=False)
    briefing = services.answers.brief(Question("I want my money back"), scope=shop.org)
    services.close()

    assert briefing.scenarios == ()
    assert embedder.asked == ["I want my money back"]


def test_background_questions_are_computed_once(shop: Knowledge) -> None:
    """Another org's first scenario costs its own triggers, and no background question again."""
    embedder = Counting()
    services = elsewhere(shop, embedder)
    other = services.orgs.ensure("other")

    services.training.add(REFUND, scope=other)
    services.close()

    assert set(embedder.asked).isdisjoint(background.QUESTIONS)


def test_one_orgs_triggers_never_fire_in_another(shop: Knowledge) -> None:
    """An org without scenarios hears of none, whatever its neighbour taught."""
    other = shop.services.orgs.ensure("other")

    briefing = shop.services.answers.brief(Question("I want my money back"), scope=other)

    assert briefing.scenarios == ()


def test_vectors_kept_without_inner_parts_are_computed_anew(shop: Knowledge) -> None:
    """A scenario published before an upgrade matches like one published after it, once its triggers are read again."""
    embedder = Layered()
    services = elsewhere(shop, embedder)

    services.training.learn(scope=shop.org)
    learnt = list(embedder.asked)
    briefing = services.answers.brief(Question("I want my money back"), scope=shop.org)
    services.close()

    assert [row.title for row in briefing.scenarios] == ["Refund"]
    assert {"Refund", *REFUND.triggers, "Parcel", *PARCEL.triggers} <= set(learnt)
    assert embedder.asked[len(learnt) :] == ["I want my money back"]


def test_another_model_learns_from_the_words(shop: Knowledge) -> None:
    """Vectors of one model are never compared with another's: every trigger is turned into a vector anew."""
    embedder = Counting()
    embedder.identity = replace(embedder.identity, name="other words")
    services = elsewhere(shop, embedder)

    services.training.learn(scope=shop.org)
    services.close()

    assert {*REFUND.triggers, *PARCEL.triggers, "Refund", "Parcel"} <= set(embedder.asked)
