"""Lists of training in pieces, changes inside a larger transaction, and search over training and knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest

from pipeline.adapters.embedder.shared import SharedEmbedder
from pipeline.db.paging import Listed, Place
from pipeline.errors import InvalidQuestion, InvalidScenario, ScenarioNotFound, VectorStoreUnavailable
from pipeline.model import ScenarioType, Vector
from pipeline.retrieval.matcher import learn
from pipeline.services import training_matchers
from pipeline.services.searching import Kind
from pipeline.services.training import NewScenario, ScenarioView
from tests.fakes.knowledge import Answer, Knowledge
from tests.fakes.vector_store import MemoryStore

SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
}
REFUND = NewScenario("Refund", "Offer a voucher of five euros.", triggers=("I want my money back",))


def all_pieces(read: Callable[[Place | None], Listed[ScenarioView]]) -> list[list[str]]:
    """Titles, piece by piece."""
    pieces, place = [], None
    while True:
        piece = read(place)
        pieces.append([row.title for row in piece.items])
        place = piece.next
        if place is None:
            return pieces


def test_a_list_comes_in_pieces_and_nothing_is_told_twice(knowledge: Knowledge) -> None:
    """Scenarios written in the same second have places too, and one written meanwhile comes last."""
    training, org = knowledge.services.training, knowledge.org
    for number in range(5):
        training.add(replace(REFUND, title=f"Title {number}", is_draft=True), scope=org)

    def read(after: Place | None) -> Listed[ScenarioView]:
        if after is not None:
            knowledge.clock.forward(seconds=1)
        return training.list_page(scope=org, limit=2, after=after)

    pieces = all_pieces(read)

    assert [len(piece) for piece in pieces] == [2, 2, 1]
    assert sorted(title for piece in pieces for title in piece) == [f"Title {number}" for number in range(5)]


def test_a_list_is_narrowed(knowledge: Knowledge) -> None:
    """By type, by directory, and by words; none of another org's is in it."""
    training, org = knowledge.services.training, knowledge.org
    folder = knowledge.services.directories.add("money", scope=org).id
    training.add(NewScenario("Tone", "Be kind.", type=ScenarioType.BEHAVIORAL), scope=org)
    training.add(replace(REFUND, directory_id=folder, is_draft=True), scope=org)
    other = knowledge.services.orgs.ensure("other")

    def titles(**by: object) -> list[str]:
        return [row.title for row in training.list_page(scope=org, **by).items]  # type: ignore[arg-type] # what is asked by

    assert titles(kind=ScenarioType.BEHAVIORAL) == ["Tone"]
    assert titles(directory_id=folder) == ["Refund"]
    assert titles(words="VOUCHER") == ["Refund"]
    assert titles(directory_id=UUID(int=1)) == []
    assert training.list_page(scope=other).items == ()


def test_versions_and_directories_come_in_pieces(knowledge: Knowledge) -> None:
    """Versions newest first, directories oldest first."""
    training, org = knowledge.services.training, knowledge.org
    number = training.add(REFUND, scope=org).id
    for words in ("Pay in cash.", "Pay by card."):
        knowledge.clock.forward(hours=1)
        training.replace(number, replace(REFUND, content=words), scope=org)
        knowledge.services.directories.add(words, scope=org)

    first = training.version_page(number, scope=org, limit=2)
    second = training.version_page(number, scope=org, limit=2, after=first.next)
    folders = knowledge.services.directories.list_page(scope=org, limit=1)

    assert [row.number for row in (*first.items, *second.items)] == [3, 2, 1]
    assert [row.name for row in folders.items] == ["Pay in cash."]
    assert folders.next is not None
    with pytest.raises(ScenarioNotFound):
        training.version_page(number, scope=knowledge.services.orgs.ensure("other"))


def test_what_is_computed_ahead_is_not_computed_inside(knowledge: Knowledge) -> None:
    """A transaction that adds and publishes waits for no model; matching is learnt after it."""
    training, org = knowledge.services.training, knowledge.org
    training.compute_ahead(REFUND)
    asked: list[str] = []
    computed = knowledge.embedder.encode_query

    def noting(text: str) -> object:
        asked.append(text)
        return computed(text)

    knowledge.embedder.encode_query = noting  # type: ignore[method-assign,assignment] # who asks is the question

    with knowledge.services.database.together():
        added = training.add(REFUND, scope=org)
        inside = list(asked)
    draft = training.add(replace(REFUND, title="Later", is_draft=True), scope=org)
    training.compute_ahead_of_publishing(draft.id, scope=org)
    is_learnt = knowledge.services.matchers.aside.wait(60)
    asked.clear()
    with knowledge.services.database.together():
        published = training.publish(draft.id, scope=org)
        inside += asked

    assert is_learnt
    assert inside == []
    assert [added.current_version, published.current_version] == [1, 1]
    assert [row.title for row in knowledge.ask("I want my money back").scenarios]


def test_whoever_asks_while_one_learns_waits_for_that_one(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four questions at once after a publication: it is learnt once, and all four fire what was published."""
    services, org = knowledge.services, knowledge.org
    services.training.add(REFUND, scope=org, learns=False)
    at_once, learnt = Barrier(4), []

    def learning(*taught: object, **how: object) -> object:
        learnt.append(taught)
        return learn(*taught, **how)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(training_matchers, "learn", learning)

    def ask() -> list[str]:
        at_once.wait(60)
        return [row.title for row in knowledge.ask("I want my money back").scenarios]

    with ThreadPoolExecutor(4) as callers:
        fired = [asked.result() for asked in [callers.submit(ask) for _ in range(4)]]

    assert len(learnt) == 1
    assert fired == [["Refund"]] * 4


def test_a_wrong_scenario_is_refused_before_anything_is_computed(knowledge: Knowledge) -> None:
    """Its field is named."""
    with pytest.raises(InvalidScenario, match="title"):
        knowledge.services.training.compute_ahead(replace(REFUND, title=" "))


def test_search_finds_training_and_pages_by_meaning(knowledge: Knowledge) -> None:
    """Nearest first, drafts included, with what tells one kind from the other."""
    knowledge.crawl(SHOP)
    training, org = knowledge.services.training, knowledge.org
    refund = training.add(REFUND, scope=org)
    training.add(NewScenario("Tone", "Be kind.", type=ScenarioType.BEHAVIORAL), scope=org)
    draft = training.add(NewScenario("Chairs", "Shipping a chair is free now.", is_draft=True), scope=org)

    money = knowledge.services.search.search("I want my money back", scope=org).items
    chair = knowledge.services.search.search("Shipping a chair costs nine euros", scope=org, limit=4).items

    assert (money[0].id, money[0].kind, money[0].is_draft) == (refund.id, Kind.SCENARIO, False)
    assert len(money) == 5
    assert len(chair) == 4
    assert next(row for row in chair if row.kind == Kind.SCENARIO).id == draft.id
    assert next(row.url or "" for row in chair if row.kind == Kind.PASSAGE).endswith("/shipping")
    assert [row.score for row in money] == sorted((row.score for row in money), reverse=True)


def test_only_the_query_is_in_a_hurry(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many instructions take a model longer than an answer may wait: a search computes them all the same."""
    waited: list[timedelta | None] = []
    compute = SharedEmbedder.encode_queries

    def noted(self: SharedEmbedder, texts: Sequence[str], *, patience: timedelta | None = None) -> Vector:
        waited.append(patience)
        return compute(self, texts, patience=patience)

    monkeypatch.setattr(SharedEmbedder, "encode_queries", noted)
    knowledge.services.training.add(REFUND, scope=knowledge.org)
    waited.clear()

    found = knowledge.services.search.search("voucher", scope=knowledge.org)

    assert [row.title for row in found.items] == ["Refund"]
    assert waited == [None]


def test_search_finds_nothing_of_another_org(knowledge: Knowledge) -> None:
    """Whatever is looked for."""
    knowledge.crawl(SHOP)
    knowledge.services.training.add(REFUND, scope=knowledge.org)

    found = knowledge.services.search.search("voucher", scope=knowledge.services.orgs.ensure("other"))

    assert found.items == ()


class Away(MemoryStore):
    """A store that does not answer."""

    def prepare(self, identity: object) -> None:
        """Not now."""
        raise VectorStoreUnavailable(problem="away", identity=identity)


def test_without_a_store_training_is_searched_alone(knowledge: Knowledge) -> None:
    """And it says so."""
    knowledge.services.training.add(REFUND, scope=knowledge.org)
    knowledge.use_store(Away())

    found = knowledge.services.search.search("voucher", scope=knowledge.org)

    assert [row.title for row in found.items] == ["Refund"]
    assert found.degraded == ("vector_store",)


@pytest.mark.parametrize("query", ["", " ", "x" * 8_001])
def test_a_search_for_nothing_is_refused(knowledge: Knowledge, query: str) -> None:
    """As a message would be."""
    with pytest.raises(InvalidQuestion, match="query"):
        knowledge.services.search.search(query, scope=knowledge.org)
