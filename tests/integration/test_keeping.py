"""What becomes of a page between a crawl that went wrong and the next: nothing vanishes, doubles, or comes back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from pipeline.bootstrap import Services
from pipeline.errors import InvalidInput, InvalidQuestion, ModelMismatch
from pipeline.model import CrawlStatus, Reason, ScenarioType, Vector, Verification
from pipeline.services.answers import Question
from pipeline.services.crawls import NewDatasource
from pipeline.services.training import NewScenario
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import SITE, Answer, Knowledge, at, outcome, walk

WELCOME = "<p>Welcome to the shop that sells lamps and chairs.</p>"
SHIPPING = "<p>Shipping a chair costs nine euros and takes four days.</p>"
DEARER = "<p>Shipping a chair costs twelve euros from today on.</p>"
SAME = "<!doctype html><html lang=en><title>Same</title><main><p>Shipping a chair costs nine euros.</p>"
SHOP: dict[str, Answer] = {"/": WELCOME, "/shipping": SHIPPING}
QUESTION = "What does shipping a chair cost?"


class Refusing(WordEmbedder):
    """Cannot embed a text with this word."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors, unless one text has the word."""
        if any(self._word in text for text in texts):
            raise ValueError(self._word)
        return super().encode_documents(texts)


def with_embedder(knowledge: Knowledge, embedder: WordEmbedder) -> Services:
    """The same knowledge base, as a worker with this model opens it."""
    return Services(
        knowledge.settings, hints=knowledge.hints, store=knowledge.store, embedder=embedder, clock=knowledge.clock
    )


def park(knowledge: Knowledge, word: str) -> None:
    """Index what waits, with a model that fails at this word, until the page with it is set aside."""
    with with_embedder(knowledge, Refusing(word)) as broken:
        for _ in range(knowledge.settings.work.attempts + 3):
            broken.index.index_waiting(limit=16, owner="indexer")
    knowledge.services.upkeep.tick(schedules=False)


def urls(knowledge: Knowledge) -> set[str]:
    """Where the answer to the question comes from."""
    return {passage.url for passage in knowledge.ask(QUESTION).passages}


def test_a_twin_serves_until_the_page_kept_instead_does(knowledge: Knowledge) -> None:
    """A shorter address appears with the same text: the old page answers until the new one is indexed."""
    knowledge.crawl({"/": WELCOME, "/z-long": SAME})

    knowledge.crawl({"/": WELCOME, "/a": SAME, "/z-long": SAME}, index=False)
    between = urls(knowledge)
    knowledge.index()

    assert at("/z-long") in between
    assert at("/a") in urls(knowledge)
    assert at("/z-long") not in urls(knowledge)


def test_a_page_that_becomes_a_twin_serves_until_the_other_does(knowledge: Knowledge) -> None:
    """The same when its own text changed to the new page's: the old text answers meanwhile."""
    knowledge.crawl({"/": WELCOME, "/z-long": SHIPPING})

    knowledge.crawl({"/": WELCOME, "/a": SAME, "/z-long": SAME}, index=False)
    between = urls(knowledge)
    knowledge.index()

    assert at("/z-long") in between
    assert at("/z-long") not in urls(knowledge)


def test_a_page_whose_twin_says_something_else_now_is_kept_itself(knowledge: Knowledge) -> None:
    """A text does not go because the page it was folded into was rewritten."""
    knowledge.crawl({"/": WELCOME, "/s": SAME, "/a-longer": SAME})

    knowledge.crawl({"/": WELCOME, "/s": "<p>We moved the lamps to another aisle.</p>", "/a-longer": SAME})

    assert at("/a-longer") in urls(knowledge)


@pytest.mark.parametrize("trouble", ["<p>Soon</p>", Reason.THIN])
def test_a_page_that_is_empty_today_stands_as_what_it_is(knowledge: Knowledge, trouble: Answer) -> None:
    """A page without text today serves its old text, is listed as known, and is fine again tomorrow."""
    knowledge.crawl(SHOP)

    job = knowledge.crawl({**SHOP, "/shipping": trouble})
    today = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)
    listed = knowledge.services.pages.count(scope=knowledge.org)
    knowledge.crawl(SHOP)
    tomorrow = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)

    assert job.failed_pages == 1
    assert today.is_known
    assert today.reason in {Reason.SYNCED, Reason.UNCHANGED}
    assert listed["synced"] == 2
    assert (tomorrow.is_known, tomorrow.reason) == (True, Reason.UNCHANGED)


def test_an_excluded_page_stays_excluded_whatever_it_says_next(knowledge: Knowledge) -> None:
    """Its new text is indexed, and not answered from, and the list says why."""
    knowledge.crawl(SHOP)
    page_id = knowledge.services.pages.show(at("/shipping"), scope=knowledge.org).page.id
    knowledge.services.pages.exclude(page_id, scope=knowledge.org)

    knowledge.crawl({**SHOP, "/shipping": DEARER})
    why = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)
    knowledge.services.pages.include(page_id, scope=knowledge.org)

    assert (why.is_known, why.reason) == (False, Reason.EXCLUDED_MANUALLY)
    assert "twelve euros" in knowledge.ask(QUESTION).passages[0].text


def test_a_moved_page_that_comes_back_is_known_again(knowledge: Knowledge) -> None:
    """A redirect that was taken back leaves no trace in what the page is called."""
    knowledge.crawl(SHOP)
    ledger, _ = knowledge.start(knowledge.add_site())
    while taken := ledger.take(4):
        brought = [outcome(url, SHOP, knowledge.clock) for url in taken]
        moved = {"document": None, "reason": Reason.CANONICAL_TO, "final_url": at("/nowhere")}
        ledger.record([replace(one, **moved) if one.url == at("/shipping") else one for one in brought])  # type: ignore[arg-type] # fields of an outcome
    ledger.finish()

    knowledge.crawl(SHOP)

    why = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)
    assert (why.is_known, why.reason, why.target) == (True, Reason.UNCHANGED, None)


@pytest.mark.parametrize("answer", [Reason.NOINDEX, Reason.EXCLUDED_RULE])
def test_a_refused_page_does_not_come_back_with_an_older_text(knowledge: Knowledge, answer: Answer) -> None:
    """A text that still waits to be indexed is dropped when the page may no longer be kept."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, SHOP, knowledge.clock, most=2)
    knowledge.services.crawls.cancel(claim.crawl_id, scope=knowledge.org)

    knowledge.crawl({**SHOP, "/shipping": answer})

    why = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)
    assert (why.is_known, why.reason) == (False, answer)
    assert at("/shipping") not in urls(knowledge)


def test_an_update_that_could_not_be_indexed_is_tried_again_by_the_next_crawl(knowledge: Knowledge) -> None:
    """A text set aside does not count as known: the same text is new again, and no condition is sent with its fetch."""
    knowledge.crawl(SHOP)
    knowledge.crawl({**SHOP, "/shipping": DEARER}, index=False)
    park(knowledge, "twelve")
    meanwhile = knowledge.ask(QUESTION).passages[0].text

    job = knowledge.crawl({**SHOP, "/shipping": DEARER})

    assert "nine euros" in meanwhile
    assert job.updated_pages == 1
    assert "twelve euros" in knowledge.ask(QUESTION).passages[0].text


def test_a_page_set_aside_counts_as_failed(knowledge: Knowledge) -> None:
    """The crawl completes without it, says so, and keeps the others."""
    job = knowledge.crawl(SHOP, index=False)
    park(knowledge, "nine")

    job = knowledge.services.crawls.job(job.id, scope=knowledge.org)
    why = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)

    assert job.status == CrawlStatus.COMPLETED
    assert (job.new_pages, job.failed_pages, job.completed_pages) == (1, 1, 1)
    assert [failure.reason for failure in job.failures] == [Reason.POISON]
    assert (why.is_known, why.reason) == (False, Reason.POISON)
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_a_page_is_tried_as_often_as_set_and_no_more(knowledge: Knowledge) -> None:
    """Between two ticks too: work that always fails does not keep a worker busy."""
    knowledge.crawl({"/": SHIPPING}, index=False)
    broken = Refusing("nine")

    with with_embedder(knowledge, broken) as services:
        reports = [services.index.index_waiting(limit=16, owner="indexer") for _ in range(9)]

    assert [report.more for report in reports] == [True] * 4 + [False] * 5


def test_another_model_is_refused_and_the_pages_wait_unharmed(knowledge: Knowledge) -> None:
    """Set up wrongly, a worker says so; no attempt is counted, and nothing is set aside."""
    knowledge.crawl(SHOP)
    knowledge.crawl({**SHOP, "/shipping": DEARER}, index=False)

    with with_embedder(knowledge, WordEmbedder(name="other")) as wrong:
        for _ in range(knowledge.settings.work.attempts + 1):
            with pytest.raises(ModelMismatch):
                wrong.index.index_waiting(limit=16, owner="indexer")
    knowledge.services.upkeep.tick(schedules=False)
    knowledge.index()

    assert "twelve euros" in knowledge.ask(QUESTION).passages[0].text


def test_a_running_crawl_counts_as_complete_only_what_is_indexed(knowledge: Knowledge) -> None:
    """The list of crawls and the crawl itself tell the same."""
    job = knowledge.crawl(SHOP, index=False)

    listed = knowledge.services.crawls.list_jobs(scope=knowledge.org)[0]

    assert (job.completed_pages, job.pending_pages) == (0, 2)
    assert (listed.completed_pages, listed.pending_pages) == (0, 2)


def test_a_cancelled_first_crawl_leaves_the_schedule_going(knowledge: Knowledge) -> None:
    """Cancelling ends one crawl, not all that would follow."""
    new = NewDatasource(SITE, crawl_interval_hours=24)
    datasource_id = knowledge.services.crawls.add(new, scope=knowledge.org).id
    _, claim = knowledge.start(datasource_id)

    knowledge.services.crawls.cancel(claim.crawl_id, scope=knowledge.org)
    knowledge.clock.forward(hours=26)

    assert knowledge.services.upkeep.tick().started == 1


def test_a_website_crawled_by_hand_from_now_on_is_not_crawled_by_the_clock(knowledge: Knowledge) -> None:
    """Taking the interval away takes its next date away."""
    knowledge.services.crawls.add(NewDatasource(SITE, crawl_interval_hours=24), scope=knowledge.org)
    knowledge.crawl(SHOP)

    knowledge.services.crawls.add(NewDatasource(SITE, crawl_interval_hours=None), scope=knowledge.org)
    knowledge.clock.forward(hours=24 * 30)

    assert knowledge.services.upkeep.tick().started == 0


@pytest.mark.parametrize("text", ["half \ud800 a character", "a \x00 in it"])
def test_text_that_cannot_be_stored_is_refused_as_such(knowledge: Knowledge, text: str) -> None:
    """No caller sees a driver's error; a database that can hold it, does."""
    new = NewScenario("Tone", text, type=ScenarioType.BEHAVIORAL)

    with suppress(InvalidInput):
        knowledge.services.training.add(new, scope=knowledge.org)
    with suppress(InvalidInput):
        knowledge.services.orgs.ensure(text)
    with suppress(InvalidInput):
        knowledge.services.crawls.add(NewDatasource(SITE, display_name=text), scope=knowledge.org)

    assert knowledge.services.pages.list_pages(scope=knowledge.org) == []


@pytest.mark.parametrize(
    "question",
    [Question(""), Question("x" * 8_001), Question("half \ud800"), Question("x", top_k=0), Question("x", max_tokens=0)],
)
def test_a_question_out_of_bounds_is_refused(knowledge: Knowledge, question: Question) -> None:
    """Before the model or the store is asked."""
    with pytest.raises(InvalidQuestion):
        knowledge.services.answers.brief(question, scope=knowledge.org)

    assert knowledge.embedder.encoded == []


def test_a_page_limit_keeps_known_pages_current_before_it_takes_new_ones(knowledge: Knowledge) -> None:
    """A new link does not push a page that serves out of sight, and no crawl grows beyond the limit."""
    knowledge.crawl(SHOP, page_limit=2)
    knowledge.clock.forward(hours=24)

    job = knowledge.crawl(
        {"/": WELCOME, "/a-new-page": "<p>A new page that nobody has seen before.</p>", "/shipping": DEARER},
        page_limit=2,
    )

    assert (job.unchanged_pages, job.updated_pages, job.new_pages, job.limit_reached) == (1, 1, 0, True)
    assert "twelve euros" in knowledge.ask(QUESTION).passages[0].text
    assert knowledge.services.pages.why(at("/a-new-page"), scope=knowledge.org).reason == Reason.PAGE_LIMIT


def test_a_known_page_that_is_gone_leaves_room_for_a_new_one(knowledge: Knowledge) -> None:
    """Of pages that left, the limit counts none."""
    knowledge.crawl(SHOP, page_limit=2)
    changed: dict[str, Answer] = {"/": WELCOME, "/shipping": 404, "/a-new-page": DEARER}
    knowledge.crawl({**changed, "/a-new-page": Reason.ROBOTS}, page_limit=2)

    job = knowledge.crawl(changed, page_limit=2)

    assert (job.unchanged_pages, job.removed_pages, job.new_pages) == (1, 1, 1)


def test_a_page_that_ends_every_spider_does_not_cost_the_others(knowledge: Knowledge) -> None:
    """The last attempt goes without it, and says so."""
    site = {"/a-poison": "<p>This page ends whoever reads it, again and again.</p>", **SHOP}
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, site, knowledge.clock, most=1)
    for _ in range(knowledge.settings.work.attempts - 1):
        in_hand = ledger.take(1)
        knowledge.services.crawls.release(claim, burn=True)
        ledger, claim = knowledge.hold(claim.crawl_id)

    walk(ledger, site, knowledge.clock)
    knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert [url.url for url in in_hand] == [at("/a-poison")]
    assert (job.status, job.new_pages, job.failed_pages) == (CrawlStatus.COMPLETED, 2, 1)
    assert knowledge.services.pages.why(at("/a-poison"), scope=knowledge.org).reason == Reason.POISON
