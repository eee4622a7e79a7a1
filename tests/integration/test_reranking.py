"""Answers with a reranker: its order where it is in time, the search's where it is not, and the trace says which."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.reranker.shared import SharedReranker
from pipeline.bootstrap import Services
from pipeline.errors import RerankerUnavailable
from pipeline.model import Briefing
from pipeline.retrieval.follow_up import Turn
from pipeline.services import outages
from pipeline.services.answers import Question
from pipeline.settings import RetrieveSettings, Settings
from tests.fakes.knowledge import Answer, Knowledge, PreparedServices
from tests.fakes.reranker import WordReranker
from tests.lab.tiny_bert import write_tiny_cross_encoder

SHOP: dict[str, Answer] = {
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
    "/chairs": "<p>A chair of oak costs ninety euros, shipping not included.</p>",
    "/lamps": "<p>Our brass lamps take bulbs of forty watts at most.</p>",
}
QUESTION = "What does shipping a chair cost?"
PATIENTLY = timedelta(seconds=30)


class Shop(Knowledge):
    """A crawled shop that may have a reranker."""

    reranker: WordReranker | None = None

    def open(self) -> Services:
        """Services with it."""
        return PreparedServices(
            self.settings,
            hints=self.hints,
            store=self.store,
            embedder=self.embedder,
            reranker=self.reranker,
            clock=self.clock,
        )

    def use(self, reranker: WordReranker | None, **retrieve: Any) -> None:  # noqa: ANN401 - settings
        """Answer with that from now on, patiently unless it is said otherwise."""
        self.reranker = reranker
        chosen = RetrieveSettings.model_validate({"rerank_budget": PATIENTLY, "patience": PATIENTLY} | retrieve)
        self.settings = Settings(data_dir=self.settings.data_dir, retrieve=chosen)
        self.services.close()
        self.services = self.open()

    def answer(self, message: str = QUESTION, **fields: Any) -> Briefing:  # noqa: ANN401 - fields of a question
        """What the HTTP edge would say, with its trace."""
        question = Question(message, trace=True, **fields)
        return self.services.answers.brief(question, scope=self.org, degrades=True)


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The shop; a part that was away is asked again at once."""
    monkeypatch.setattr(outages, "REST", timedelta(0))
    (tmp_path / "sitewise.db").write_bytes((sqlite_template / "sitewise.db").read_bytes())
    shop = Shop(tmp_path)
    shop.crawl(SHOP)
    yield shop
    if shop.reranker is not None:
        shop.reranker.free.set()
    shop.services.close()


def trace(briefing: Briefing) -> dict[str, Any]:
    """Its trace."""
    assert briefing.trace is not None
    return dict(briefing.trace)


def urls(briefing: Briefing) -> list[str]:
    """Pages of the passages, best first."""
    return [passage.url.rpartition("/")[2] for passage in briefing.passages]


def test_without_a_reranker_nothing_is_said_of_one(shop: Shop) -> None:
    """It is off unless a model is set."""
    briefing = shop.answer()

    assert urls(briefing)[0] == "shipping"
    assert trace(briefing)["rerank"] is None
    assert not any("rerank_score" in entry for entry in trace(briefing)["knowledge"])


def test_the_reranker_has_the_last_word(shop: Shop) -> None:
    """What it prefers comes first; the trace has its logit of every candidate it read."""
    shop.use(WordReranker(prefers="brass lamps"))

    briefing = shop.answer()

    assert urls(briefing)[0] == "lamps"
    assert briefing.passages[0].score == pytest.approx(1 / (1 + np.exp(-3.0)), abs=1e-5)
    told = trace(briefing)
    assert told["rerank"] == {"outcome": "reranked", "model": "words", "read": 3}
    assert [entry["rerank_score"] for entry in told["knowledge"]] == [3.0, -3.0, -3.0]
    assert [entry["score"] for entry in told["knowledge"]] == sorted(
        (entry["score"] for entry in told["knowledge"]), reverse=True
    )


def test_only_the_best_candidates_are_read(shop: Shop) -> None:
    """The others stay behind them, in the order of the search."""
    reranker = WordReranker()
    shop.use(reranker, rerank_candidates=1)

    briefing = shop.answer()

    assert len(reranker.read) == 1
    assert urls(briefing)[0] == "shipping"
    assert trace(briefing)["rerank"]["read"] == 1


def test_over_the_budget_the_order_of_the_search_stays(shop: Shop) -> None:
    """And the trace says so; nothing is called degraded."""
    reranker = WordReranker(prefers="brass lamps")
    shop.use(reranker)
    shop.answer()
    reranker.free.clear()
    shop.use(reranker, rerank_budget=timedelta(milliseconds=20))

    briefing = shop.answer()

    assert urls(briefing)[0] == "shipping"
    assert trace(briefing)["rerank"]["outcome"] == "over_budget"
    assert briefing.degraded == ()


def test_a_reranker_that_fails_is_done_without(shop: Shop) -> None:
    """The briefing names it; whoever can wait learns what is wrong; once it is back it is used again."""
    reranker = WordReranker(prefers="brass lamps")
    reranker.failure = ValueError("broken weights")
    shop.use(reranker)

    briefing = shop.answer()

    assert briefing.degraded == ("reranker",)
    assert urls(briefing)[0] == "shipping"
    assert trace(briefing)["rerank"]["outcome"] == "unavailable"
    with pytest.raises(RerankerUnavailable, match="broken weights"):
        shop.ask(QUESTION)
    reranker.failure = None
    assert shop.answer().degraded == ()


def test_a_reranker_that_fails_at_start_does_not_keep_the_rest_from_starting(shop: Shop) -> None:
    """Warming up goes on without it."""
    reranker = WordReranker()
    reranker.failure = ValueError("broken weights")
    shop.use(reranker)

    shop.services.answers.warm_up()

    assert urls(shop.answer())[0] == "shipping"


def test_calibrated_scores_decide_whether_there_is_an_answer(shop: Shop) -> None:
    """Without a calibration they have no say in it."""
    never = WordReranker(prefers="nothing that stands there")
    shop.use(never)
    uncalibrated = shop.answer()

    shop.use(never, rerank_calibration="1.0,0.0")
    calibrated = shop.answer()

    assert uncalibrated.answerable
    assert not calibrated.answerable
    assert trace(calibrated)["answerable"]["score"] == pytest.approx(1 / (1 + np.exp(3.0)), abs=1e-4)


def test_the_conversation_is_read_too(shop: Shop) -> None:
    """A follow-up is read behind what the customer said before."""
    shop.use(WordReranker())

    follow_up = shop.answer("And how long?", history=(Turn("user", QUESTION),))

    assert urls(follow_up)[0] == "shipping"


def test_a_model_of_a_folder_reranks(shop: Shop, tmp_path: Path) -> None:
    """A cross-encoder that the settings name is loaded, read with and named in the trace."""
    folder = write_tiny_cross_encoder(tmp_path / "tiny")
    shop.use(None, rerank_model=str(folder))

    briefing = shop.ask(QUESTION)

    stored = shop.services.briefings.get(briefing.id, scope=shop.org).briefing
    assert trace(stored)["rerank"]["outcome"] == "reranked"
    assert trace(stored)["rerank"]["model"].startswith("tiny@")


def test_a_burst_of_callers_shares_one_model() -> None:
    """It is opened once, by one thread, and closing ends what waits."""
    opened: list[WordReranker] = []

    def open_one() -> WordReranker:
        opened.append(WordReranker())
        return opened[-1]

    shared = SharedReranker(open_one)
    scores = [shared.score("a b", ["a", "b", "c"], budget=PATIENTLY) for _ in range(3)]
    shared.close()

    assert len(opened) == 1
    assert all(row is not None and row.tolist() == [0.0, 0.0, -2.0] for row in scores)


def test_a_score_that_is_none_is_a_failure() -> None:
    """NaN orders nothing."""

    class Broken(WordReranker):
        """Gives no number."""

        def _logit(self, question: str, text: str) -> float:
            del question, text
            return float("nan")

    shared = SharedReranker(Broken)

    with pytest.raises(RerankerUnavailable):
        shared.score("a", ["b"], budget=PATIENTLY)
    shared.close()
