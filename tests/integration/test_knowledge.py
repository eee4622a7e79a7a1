"""What the services promise, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import (
    AddressRefused,
    CrawlAlreadyRunning,
    InvalidInput,
    InvalidQuestion,
    InvalidUrl,
    LeaseLost,
    PageNotFound,
)
from pipeline.model import CrawlStatus, Discovered, OrgScope, Reason, ScenarioType, Verification
from pipeline.services.answers import Question
from pipeline.services.crawls import NewDatasource
from pipeline.services.training import NewScenario
from pipeline.urls import url_key
from tests.fakes.knowledge import SITE, Answer, Knowledge, at, outcome, paragraphs, walk

SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody.</p>",
    "/returns": "<p>A lamp can be returned within thirty days of delivery, unused.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four working days.</p>",
    "/about": "<p>The company was founded in a garage in Bremen by three sisters.</p>",
}


def verified(knowledge: Knowledge) -> Verification:
    """How rows and points differ."""
    return knowledge.services.verification.verify(scope=knowledge.org)


def test_a_crawled_page_answers_with_its_source(knowledge: Knowledge) -> None:
    """What the site says is found, with the page and the heading it stands under."""
    job = knowledge.crawl(SHOP)

    passage = knowledge.ask("How much does shipping a chair cost?").passages[0]

    assert job.status == CrawlStatus.COMPLETED
    assert job.new_pages == 4
    assert passage.url == at("/shipping")
    assert passage.heading_path[-1] == "About /shipping"
    assert "nine euros" in passage.text
    assert verified(knowledge) == Verification()


def test_an_unchanged_site_costs_nothing_again(knowledge: Knowledge) -> None:
    """Crawling the same pages again embeds nothing and writes no point."""
    knowledge.crawl(SHOP)
    before = list(knowledge.embedder.encoded)

    job = knowledge.crawl(SHOP)

    assert job.unchanged_pages == 4
    assert job.embedded_chunks == 0
    assert knowledge.embedder.encoded == before


def test_an_edited_paragraph_costs_two_embeddings_at_most(knowledge: Knowledge) -> None:
    """Changing one paragraph of sixty embeds that paragraph, not the page."""
    text = paragraphs(60)
    knowledge.crawl({"/": text})

    job = knowledge.crawl({"/": text.replace("price217", "price218")})

    assert job.updated_pages == 1
    assert 1 <= job.embedded_chunks <= 2
    assert "price218" in knowledge.ask("price218").passages[0].text
    assert not any("price217 " in passage.text for passage in knowledge.ask("price217").passages)
    assert verified(knowledge) == Verification()


def test_readers_see_the_old_page_until_the_new_one_is_whole(knowledge: Knowledge) -> None:
    """Between the crawl and the index task, the old text answers; after it, only the new one."""
    knowledge.crawl(SHOP)

    knowledge.crawl({**SHOP, "/shipping": "<p>Shipping a chair costs twelve euros from today on.</p>"}, index=False)
    between = knowledge.ask("What does shipping a chair cost?")
    knowledge.index()
    after = knowledge.ask("What does shipping a chair cost?")

    assert "nine euros" in between.passages[0].text
    assert "twelve euros" in after.passages[0].text
    assert not any("nine euros" in passage.text for passage in after.passages)


def test_equal_text_on_two_pages_is_embedded_once(knowledge: Knowledge) -> None:
    """A paragraph under the same headings on two pages shares its vector."""
    legal = "<h1>Legal</h1><p>The seller is liable for intent and gross negligence only.</p>"

    job = knowledge.crawl(
        {"/": "<p>Welcome to the shop, dear visitor of today.</p>", "/a": legal, "/b": legal + "<p>x</p>"}
    )

    assert len(knowledge.embedder.encoded) == len(set(knowledge.embedder.encoded))
    assert job.embedded_chunks <= job.chunks


@pytest.mark.parametrize("order", [("/a-longer-address", "/short"), ("/short", "/z-longer-address")])
@pytest.mark.parametrize("index_between", [True, False])
def test_twins_fold_into_the_page_with_the_shortest_url(
    knowledge: Knowledge, order: tuple[str, str], *, index_between: bool
) -> None:
    """Of pages with the same text one is kept, whichever came first; the other says whose double it is."""
    same = "<!doctype html><html lang=en><title>Same</title><main><p>One sentence stands on both of these pages.</p>"

    longer = max(order, key=len)
    site: dict[str, Answer] = {"/": "<p>Welcome to the shop, dear visitor.</p>", **dict.fromkeys(order, same)}

    ledger, claim = knowledge.start(knowledge.add_site())
    for path, text in site.items():
        walk(ledger, {path: text}, knowledge.clock, most=2)
        knowledge.index() if index_between else None
    ledger.finish()
    knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    folded = knowledge.services.pages.why(at(longer), scope=knowledge.org)
    assert job.new_pages == 2
    assert folded.reason == Reason.DUPLICATE_OF
    assert folded.target == at("/short")
    assert verified(knowledge) == Verification()


@pytest.mark.parametrize("trouble", [500, 503, 429, 403, Reason.TOO_SLOW, Reason.LOGIN_WALL, Reason.ROBOTS])
def test_a_bad_day_forgets_nothing(knowledge: Knowledge, trouble: Answer) -> None:
    """Whatever the site answers but 404 and 410, what was known goes on answering."""
    knowledge.crawl(SHOP)

    for _ in range(3):
        knowledge.crawl(dict.fromkeys(SHOP, trouble))
        knowledge.clock.forward(hours=24)

    assert "nine euros" in knowledge.ask("What does shipping a chair cost?").passages[0].text


def test_a_page_goes_when_it_was_missing_twice(knowledge: Knowledge) -> None:
    """One 404 is a doubt, a second one in a later crawl is the end of the page."""
    knowledge.crawl(SHOP)
    without: dict[str, Answer] = {**SHOP, "/about": 404}

    first = knowledge.crawl(without)
    doubted = knowledge.services.pages.why(at("/about"), scope=knowledge.org)
    second = knowledge.crawl(without)
    gone = knowledge.services.pages.why(at("/about"), scope=knowledge.org)

    assert (first.removed_pages, doubted.is_known) == (0, True)
    assert (second.removed_pages, gone.is_known, gone.reason) == (1, False, Reason.GONE)
    assert not any(passage.url == at("/about") for passage in knowledge.ask("Who founded the company?").passages)


@pytest.mark.parametrize("reason", [Reason.DUPLICATE_OF, Reason.CANONICAL_TO])
def test_a_page_that_moved_serves_until_the_new_address_does(knowledge: Knowledge, reason: Reason) -> None:
    """A redirect is a move: the old page answers until the new one is indexed, then only the new one."""
    knowledge.crawl(SHOP)
    ledger, _ = knowledge.start(knowledge.add_site())
    moved = {**SHOP, "/delivery": "<p>Shipping a chair costs nine euros, now told at a new address.</p>"}
    new = Discovered(url_key(at("/delivery")), at("/delivery"), depth=1)

    while taken := ledger.take(4):
        brought = [outcome(url, moved, knowledge.clock) for url in taken]
        ledger.record(
            [
                replace(one, document=None, reason=reason, final_url=at("/delivery"), discovered=(new,))
                if one.url == at("/shipping")
                else one
                for one in brought
            ]
        )
    ledger.finish()
    between = knowledge.ask("What does shipping a chair cost?").passages[0].url
    knowledge.index()
    after = knowledge.ask("What does shipping a chair cost?").passages

    old = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)
    assert between == at("/shipping")
    assert after[0].url == at("/delivery")
    assert at("/shipping") not in {passage.url for passage in after}
    assert (old.is_known, old.reason, old.target) == (False, reason, at("/delivery"))


def test_exclusion_shows_in_the_next_answer(knowledge: Knowledge) -> None:
    """An excluded page stops answering at once, and answers again when it is included."""
    knowledge.crawl(SHOP)
    page_id = knowledge.services.pages.show(at("/shipping"), scope=knowledge.org).page.id

    knowledge.services.pages.exclude(page_id, scope=knowledge.org)
    without = knowledge.ask("What does shipping a chair cost?")
    knowledge.services.pages.include(page_id, scope=knowledge.org)
    with_it = knowledge.ask("What does shipping a chair cost?")

    assert at("/shipping") not in {passage.url for passage in without.passages}
    assert with_it.passages[0].url == at("/shipping")


def test_the_page_limit_counts_pages_kept_and_is_said(knowledge: Knowledge) -> None:
    """A crawl keeps as many pages as it may, and tells that more were there."""
    job = knowledge.crawl(SHOP, page_limit=2)

    assert job.new_pages == 2
    assert job.limit_reached
    assert job.refusals == {Reason.PAGE_LIMIT: 2}


def test_what_had_no_room_is_found_again_without_its_link(knowledge: Knowledge) -> None:
    """A later crawl with room for more takes the URLs an earlier one had to leave, linked again or not."""
    knowledge.crawl(SHOP, page_limit=2)

    datasource_id = knowledge.add_site(page_limit=100)
    ledger, claim = knowledge.start(datasource_id)
    while taken := ledger.take(4):
        ledger.record([outcome(url, SHOP, knowledge.clock) for url in taken])
    ledger.finish()

    assert knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org).new_pages == 2


def test_a_second_holder_takes_over_where_the_first_stopped(knowledge: Knowledge) -> None:
    """A spider that died is replaced when its lease ends; its late writes are refused."""
    datasource_id = knowledge.add_site()
    first, claim = knowledge.start(datasource_id)
    walk(first, SHOP, knowledge.clock, most=1)
    taken = first.take(1)

    assert knowledge.services.crawls.claim(claim.crawl_id, owner="too early") is None
    knowledge.clock.forward(seconds=31)
    second, _ = knowledge.hold(claim.crawl_id)
    with pytest.raises(LeaseLost):
        first.record([])
    walk(second, SHOP, knowledge.clock)
    knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert taken
    assert (job.status, job.new_pages, job.failed_pages) == (CrawlStatus.COMPLETED, 4, 0)
    assert verified(knowledge) == Verification()


def test_a_released_crawl_burns_no_attempt(knowledge: Knowledge) -> None:
    """A rolling restart may interrupt a crawl any number of times."""
    datasource_id = knowledge.add_site()
    _, claim = knowledge.start(datasource_id)

    for _ in range(knowledge.settings.work.attempts + 3):
        knowledge.services.crawls.release(claim, burn=False)
        _, claim = knowledge.hold(claim.crawl_id)

    assert knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org).attempts == 1


def test_one_crawl_of_a_website_runs_at_a_time(knowledge: Knowledge) -> None:
    """Starting a second one is refused with the first one's id."""
    datasource_id = knowledge.add_site()
    job = knowledge.services.crawls.start(datasource_id, scope=knowledge.org)

    with pytest.raises(CrawlAlreadyRunning) as refused:
        knowledge.services.crawls.start(datasource_id, scope=knowledge.org)

    assert refused.value.facts["crawl"] == job.id


def test_a_cancelled_crawl_keeps_what_it_had_and_refuses_its_spider(knowledge: Knowledge) -> None:
    """Cancelling ends the job at once; the spider's next write fails, the pages stay."""
    datasource_id = knowledge.add_site()
    ledger, claim = knowledge.start(datasource_id)
    walk(ledger, SHOP, knowledge.clock, most=1)

    job = knowledge.services.crawls.cancel(claim.crawl_id, scope=knowledge.org)
    knowledge.index()

    assert job.status == CrawlStatus.CANCELLED
    with pytest.raises(LeaseLost):
        ledger.take(1)
    assert knowledge.services.pages.count(scope=knowledge.org)["synced"] >= 1


def test_hints_wait_in_the_outbox_while_the_broker_is_away(knowledge: Knowledge) -> None:
    """A broker that is down loses no hint: the tick sends it later."""
    knowledge.hints.is_away = True
    job = knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org)
    knowledge.hints.is_away = False

    report = knowledge.services.upkeep.tick()

    assert report.relayed == 1
    assert ("crawl", job.id) in knowledge.hints.sent


def test_a_crawl_for_workers_that_begin_is_hinted_later(knowledge: Knowledge) -> None:
    """Whoever starts them sends nothing: the row is due, and its hint leaves with a tick should they not ask."""
    job = knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org, hints=False)
    at_first = list(knowledge.hints.sent)
    due = knowledge.services.operations.oldest_due("crawl")

    knowledge.services.upkeep.tick()

    assert at_first == []
    assert due is not None
    assert due.target == job.id
    assert ("crawl", job.id) in knowledge.hints.sent


def test_orphans_are_hinted_ever_more_rarely(knowledge: Knowledge) -> None:
    """A crawl that nobody takes is hinted again after 5, 15 and 60 seconds, not at every tick."""
    job = knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org)
    knowledge.hints.sent.clear()

    for _ in range(16):
        knowledge.services.upkeep.tick()
        knowledge.clock.forward(seconds=5)

    assert knowledge.hints.sent == [("crawl", job.id)] * 3


def test_a_due_datasource_is_crawled_once_however_many_beats_look(knowledge: Knowledge) -> None:
    """Two beats, and a week of missed ticks, start one crawl."""
    knowledge.services.crawls.add(NewDatasource(SITE, crawl_interval_hours=24), scope=knowledge.org)
    knowledge.crawl(SHOP)
    knowledge.services.crawls.add(NewDatasource(SITE, crawl_interval_hours=24), scope=knowledge.org)
    ledger, _ = knowledge.start(knowledge.services.crawls.list_datasources(scope=knowledge.org)[0].id)
    walk(ledger, SHOP, knowledge.clock)
    knowledge.clock.forward(hours=24 * 7)

    with knowledge.open() as second_beat:
        started = [knowledge.services.upkeep.tick().started, second_beat.upkeep.tick().started]

    assert started == [1, 0]


def test_points_of_replaced_text_are_swept_later(knowledge: Knowledge) -> None:
    """Old points stay for searches under way, then go; nothing else does."""
    knowledge.crawl(SHOP)
    knowledge.crawl({**SHOP, "/about": "<p>The company was sold to four brothers from Kiel.</p>"})
    before = knowledge.store.count(scope=knowledge.org)

    at_once = knowledge.services.upkeep.tick().swept
    knowledge.clock.forward(seconds=600)
    later = knowledge.services.upkeep.tick().swept

    assert (at_once, later) == (0, 1)
    assert knowledge.store.count(scope=knowledge.org) == before - 1
    assert verified(knowledge) == Verification()


def test_another_orgs_pages_are_not_there(knowledge: Knowledge) -> None:
    """Two orgs with the same site know nothing of each other."""
    knowledge.crawl(SHOP)
    other = knowledge.services.orgs.ensure("other")
    page_id = knowledge.services.pages.show(at("/shipping"), scope=knowledge.org).page.id

    with pytest.raises(PageNotFound):
        knowledge.services.pages.show(page_id, scope=other)
    assert knowledge.services.pages.list_pages(scope=other) == []
    assert knowledge.services.verification.verify(scope=other) == Verification()


def test_orgs_are_served_in_turn(knowledge: Knowledge) -> None:
    """However much one org has waiting, another's one page is claimed within two claims."""
    other = knowledge.services.orgs.ensure("other")
    knowledge.crawl(
        {f"/page{number}": f"<p>Text number {number} of the long list.</p>" for number in range(40)}, index=False
    )
    knowledge.crawl({"/": "<p>The only page of the other org, with few words.</p>"}, scope=other, index=False)

    reports = [knowledge.services.index.index_waiting(limit=4, owner="indexer") for _ in range(2)]

    assert sorted(report.pages for report in reports) == [1, 4]
    assert knowledge.services.pages.count(scope=other)["synced"] == 1


def test_behaviour_is_in_every_briefing_and_scenarios_when_they_match(knowledge: Knowledge) -> None:
    """A BEHAVIORAL scenario always applies; a SCENARIO_SPECIFIC one when the message means it; a draft never."""
    add = knowledge.services.training.add
    tone = NewScenario("Tone", "Be kind.", type=ScenarioType.BEHAVIORAL)
    add(tone, scope=knowledge.org)
    add(NewScenario("Refund", "Offer a voucher.", triggers=("I want my money back",)), scope=knowledge.org)
    add(NewScenario("Draft", "Never used.", triggers=("I want my money back",), is_draft=True), scope=knowledge.org)

    refund = knowledge.ask("I want my money back")
    other = knowledge.ask("Who founded the company?")

    assert [row.title for row in refund.behaviors] == [row.title for row in other.behaviors] == ["Tone"]
    assert [row.title for row in refund.scenarios] == ["Refund"]
    assert other.scenarios == ()
    assert "Be kind." in refund.prompt


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (NewDatasource("no address"), InvalidUrl),
        (NewDatasource("http://127.0.0.1/"), AddressRefused),
        (NewDatasource(SITE, page_limit=0), InvalidInput),
        (NewDatasource(SITE, page_limit=5_001), InvalidInput),
        (NewDatasource(SITE, crawl_interval_hours=1), InvalidInput),
        (NewDatasource(SITE, include_paths=("re:(",)), InvalidInput),
        (NewDatasource(SITE, render_js="sometimes"), InvalidInput),
    ],
)
def test_a_website_that_cannot_be_crawled_is_refused_before_it_is_stored(
    knowledge: Knowledge, new: NewDatasource, error: type[InvalidInput]
) -> None:
    """Bad input leaves nothing behind."""
    with pytest.raises(error):
        knowledge.services.crawls.add(new, scope=knowledge.org)

    assert knowledge.services.crawls.list_datasources(scope=knowledge.org) == []


def test_a_site_that_does_not_answer_fails_the_crawl_and_says_why(knowledge: Knowledge) -> None:
    """A start page that cannot be read is a failure of the crawl, not an empty success."""
    job = knowledge.crawl({"/": 503})

    assert job.status == CrawlStatus.FAILED
    assert "503" in (job.error_message or "")


@pytest.mark.parametrize("reason", [Reason.THIN, Reason.NOINDEX, Reason.NOT_HTML, Reason.TOO_LARGE, Reason.SOFT_404])
def test_why_tells_the_reason(knowledge: Knowledge, reason: Reason) -> None:
    """A refused page is remembered with its reason, in words too."""
    knowledge.crawl({**SHOP, "/refused": reason})

    answer = knowledge.services.pages.why(at("/refused") + "#part", scope=knowledge.org)

    assert (answer.is_known, answer.reason) == (False, reason)
    assert answer.meaning


def test_why_answers_for_urls_nobody_saw(knowledge: Knowledge) -> None:
    """An address of another site, and one of ours that nothing links to, have answers as well."""
    knowledge.crawl(SHOP)

    assert knowledge.services.pages.why("https://elsewhere.example/", scope=knowledge.org).reason == Reason.OFF_SITE
    assert knowledge.services.pages.why(at("/unseen"), scope=knowledge.org).reason == Reason.PENDING


def test_an_unknown_org_has_nothing(knowledge: Knowledge) -> None:
    """A scope of no org reads nothing and breaks nothing."""
    stranger = OrgScope(knowledge.add_site())

    assert knowledge.services.pages.list_pages(scope=stranger) == []


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (Question(""), "message"),
        (Question("   "), "message"),
        (Question("x" * 8_001), "message"),
        (Question("x", top_k=0), "top_k"),
        (Question("x", top_k=51), "top_k"),
    ],
)
def test_a_question_out_of_bounds_is_refused_by_field(knowledge: Knowledge, question: Question, field: str) -> None:
    """Neither the model nor the store is troubled with it."""
    with pytest.raises(InvalidQuestion) as refused:
        knowledge.services.answers.brief(question, scope=knowledge.org)

    assert refused.value.facts["field"] == field


def test_pages_are_listed_by_search_status_and_place(knowledge: Knowledge) -> None:
    """Every filter narrows the list, and a list goes on after its last page."""
    knowledge.crawl({**SHOP, "/broken": 500})
    listed = knowledge.services.pages.list_pages
    source = knowledge.services.crawls.list_datasources(scope=knowledge.org)[0].id

    first = knowledge.services.pages.page_through(scope=knowledge.org, datasource_id=source, limit=2)
    rest = knowledge.services.pages.page_through(scope=knowledge.org, cursor=first.next)

    assert [page.url for page in listed(scope=knowledge.org, status="error")] == [at("/broken")]
    assert [page.url for page in listed(scope=knowledge.org, search="shipp")] == [at("/shipping")]
    assert (len(first.items), len(rest.items), rest.next) == (2, 3, None)
    assert knowledge.services.pages.count(scope=knowledge.org, datasource_id=source)["synced"] == 4
