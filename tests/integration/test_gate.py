"""A crawl after which an org's golden questions are answered worse is held; the old texts answer meanwhile."""

from __future__ import annotations

import pytest

from pipeline.model import Verification
from pipeline.retrieval.scoring import Expected
from pipeline.services.crawls import CrawlJob
from pipeline.services.golden_files import NewGolden
from tests.fakes.clock import SetClock
from tests.fakes.knowledge import Answer, Knowledge, at

SHOP: dict[str, Answer] = {
    "/": "<p>Lanterns of copper and brass, made in the valley since the old days.</p>",
    "/return": "<p>Send a lantern back within thirty days and the money returns to your account.</p>",
    "/post": "<p>Parcels travel by carrier pigeon and arrive on the third morning after payment.</p>",
}
WORSE = SHOP | {"/return": "<p>Send a lantern back within thirty days, says a poem on pigeons, rain and old songs.</p>"}
MONEY, PIGEON = "When does the money return to my account?", "How do parcels travel?"


def know(knowledge: Knowledge) -> None:
    """Two questions that the shop answers."""
    for message, words in ((MONEY, "the money returns"), (PIGEON, "by carrier pigeon")):
        knowledge.services.evaluation.add(NewGolden(message, Expected(texts=(words,))), scope=knowledge.org)


def crawl(knowledge: Knowledge, site: dict[str, Answer]) -> CrawlJob:
    """Crawl the next day, index, and judge as a worker does."""
    knowledge.clock.forward(hours=24)
    job = knowledge.crawl(site)
    judge(knowledge)
    return knowledge.services.crawls.job(job.id, scope=knowledge.org)


def judge(knowledge: Knowledge) -> bool:
    """What an index task does after indexing."""
    judged = knowledge.services.gatekeeper.judge_waiting(knowledge.org.org_id, owner="judge")
    knowledge.index()
    return judged


def texts(knowledge: Knowledge) -> str:
    """All that a question about returns is answered with."""
    return " ".join(passage.text for passage in knowledge.ask(MONEY).passages)


def test_a_crawl_that_lowers_the_score_is_held_and_the_old_text_answers(knowledge: Knowledge) -> None:
    """The job says what it cost and who decides; rows and points agree."""
    know(knowledge)
    first = crawl(knowledge, SHOP)

    second = crawl(knowledge, WORSE)

    assert (first.status, first.held_pages) == ("completed", 0)
    assert (second.status, second.held_pages) == ("completed", 1)
    assert "score 0.50 instead of 1.00" in (second.error_message or "")
    assert "the money returns" in texts(knowledge)
    assert "poem" not in texts(knowledge)
    why = knowledge.services.pages.why(at("/return"), scope=knowledge.org)
    assert (why.is_known, why.reason) == (True, "held")
    assert "answered worse" in (why.detail or "")
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_what_was_held_by_its_score_can_be_let_through(knowledge: Knowledge) -> None:
    """An approved text answers once it is indexed again, and is what the next crawl is compared with."""
    know(knowledge)
    crawl(knowledge, SHOP)
    held = crawl(knowledge, WORSE)

    count = knowledge.services.history.approve(held.id, scope=knowledge.org)
    knowledge.index()
    third = crawl(knowledge, WORSE | {"/post": f"{SHOP['/post']}<p>Pigeons rest on Sundays.</p>"})

    assert count == 1
    assert "poem" in texts(knowledge)
    assert third.held_pages == 0


def test_a_rejected_text_is_not_asked_about_again(knowledge: Knowledge) -> None:
    """The next crawl finds the same text and leaves what serves."""
    know(knowledge)
    crawl(knowledge, SHOP)
    held = crawl(knowledge, WORSE)

    knowledge.services.history.reject(held.id, scope=knowledge.org)
    third = crawl(knowledge, WORSE)

    assert third.held_pages == 0
    assert "the money returns" in texts(knowledge)


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_held_text_waits_through_later_crawls(knowledge: Knowledge) -> None:
    """What waits for a decision does not serve for a moment again, and a website that is well again ends it."""
    know(knowledge)
    crawl(knowledge, SHOP)
    held = crawl(knowledge, WORSE)

    crawl(knowledge, WORSE)
    during = texts(knowledge)
    still = knowledge.services.crawls.job(held.id, scope=knowledge.org)
    crawl(knowledge, SHOP)

    assert "poem" not in during
    assert still.held_pages == 1
    assert knowledge.services.pages.why(at("/return"), scope=knowledge.org).reason == "unchanged"


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_page_that_left_and_one_that_came_are_put_right_too(knowledge: Knowledge) -> None:
    """A removed page answers again; a new page that crowds out the answer does not answer until it is approved."""
    know(knowledge)
    crawl(knowledge, SHOP)
    crawl(knowledge, SHOP | {"/return": 404})
    left = crawl(knowledge, SHOP | {"/return": 404, "/new": "<p>A new page of quite other things, such as kites.</p>"})
    during = texts(knowledge)
    new = knowledge.services.pages.why(at("/new"), scope=knowledge.org)

    knowledge.services.history.approve(left.id, scope=knowledge.org)
    knowledge.index()

    assert left.held_pages == 2
    assert "the money returns" in during
    assert (new.is_known, new.reason) == (False, "held")
    assert "the money returns" not in texts(knowledge)
    assert knowledge.services.pages.why(at("/new"), scope=knowledge.org).is_known


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_rejected_new_page_stays_out(knowledge: Knowledge) -> None:
    """What came with a crawl that was rejected does not answer, now or after the next crawl."""
    know(knowledge)
    crawl(knowledge, SHOP)
    site = WORSE | {"/new": "<p>A new page of quite other things, such as kites.</p>"}
    held = crawl(knowledge, site)

    knowledge.services.history.reject(held.id, scope=knowledge.org)
    crawl(knowledge, site)

    assert not knowledge.services.pages.why(at("/new"), scope=knowledge.org).is_known
    assert "the money returns" in texts(knowledge)


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_small_drop_is_no_reason_to_hold(knowledge: Knowledge) -> None:
    """Within the tolerance a crawl ends as any other."""
    know(knowledge)
    crawl(knowledge, SHOP)
    knowledge.services.settings.evaluate.tolerance = 0.6

    job = crawl(knowledge, WORSE)

    assert (job.status, job.held_pages) == ("completed", 0)


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_crawl_that_changed_nothing_is_not_scored(knowledge: Knowledge) -> None:
    """No question is asked where no answer can have changed."""
    know(knowledge)
    crawl(knowledge, SHOP)

    knowledge.clock.forward(hours=24)
    again = knowledge.crawl(SHOP)

    assert again.status == "completed"
    assert not judge(knowledge)


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_a_judge_that_dies_keeps_no_crawl_from_ending(knowledge: Knowledge) -> None:
    """A lease that ran out is taken again; after the last attempt the crawl ends without a score."""
    know(knowledge)
    knowledge.clock.forward(hours=24)
    job = knowledge.crawl(SHOP)

    for _ in range(knowledge.settings.work.attempts):
        assert knowledge.services.gatekeeper._claim(None, owner="dies") is not None  # noqa: SLF001 - it dies after this
        knowledge.clock.forward(minutes=5)
        knowledge.services.upkeep.tick()

    assert isinstance(knowledge.clock, SetClock)
    assert knowledge.services.crawls.job(job.id, scope=knowledge.org).status == "completed"
