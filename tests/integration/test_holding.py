"""A crawl that would take too much away is held: the old knowledge serves until somebody decides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pipeline.db import chunks
from pipeline.errors import NothingHeld
from pipeline.model import Discovered, FrontierUrl, Outcome, Reason, Verification
from pipeline.services.crawls import CrawlJob
from pipeline.urls import url_key
from tests.fakes.knowledge import Answer, Knowledge, at, outcome

PAGES = 10
PATHS = ["/", *(f"/lamp-{number}" for number in range(1, PAGES))]


def lamp(number: int) -> str:
    """The text of one page."""
    return (
        f"<p>Lamp{number} costs price{number * 37} euros, is wide{number * 7} and comes in colour{number * 11} with "
        f"shade{number * 13}.</p><p>Its cable{number * 17} lasts years{number * 19} and needs bulb{number * 23}.</p>"
        f"<p>Return{number * 29} it within days{number * 31}; write to desk{number * 41} or call line{number * 43}.</p>"
    )


SHOP: dict[str, Answer] = {path: lamp(number) for number, path in enumerate(PATHS)}
LOGIN = "<p>Please sign in to your account to go on to this page of the shop.</p>"
COOKIES = "<p>We value your privacy. Accept all cookies or manage what we may store on this device.</p>"


def served(knowledge: Knowledge) -> dict[str, str]:
    """All that answers, by address."""
    org_id = knowledge.org.org_id
    with knowledge.services.database.read() as session:
        found = chunks.live(session, chunks.of_live_versions(session, org_id=org_id), org_id=org_id)
    return {piece.url: piece.text for piece in sorted(found.values(), key=lambda one: one.position)}


def again(knowledge: Knowledge, site: Mapping[str, Answer], *, days: int = 1) -> CrawlJob:
    """Crawl the next day, or every day for some."""
    job = None
    for _ in range(days):
        knowledge.clock.forward(hours=24)
        job = knowledge.crawl(site)
    assert job is not None
    return job


def reason_of(knowledge: Knowledge, path: str) -> str:
    """Why a page is, or is not, known."""
    return knowledge.services.pages.why(at(path), scope=knowledge.org).reason


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "answer",
    [500, 429, Reason.TOO_SLOW, Reason.HTTP_ERROR, Reason.LOGIN_WALL, Reason.ROBOTS, Reason.NOINDEX, COOKIES, ""],
    ids=["error", "busy", "no answer", "reset or no name", "login", "robots", "noindex", "cookies", "empty"],
)
def test_a_week_of_one_wrong_answer_for_all_takes_no_page(knowledge: Knowledge, answer: Answer) -> None:
    """Whatever a website answers for everything, every page answers as before, and it ends when the website is well."""
    few = dict(list(SHOP.items())[:4])
    knowledge.crawl(few)
    before = served(knowledge)

    again(knowledge, dict.fromkeys(few, answer), days=7)
    during = served(knowledge)
    well = again(knowledge, few)

    assert len(before) == len(few)
    assert during == before
    assert served(knowledge) == before
    assert (well.held_pages, well.unchanged_pages) == (0, len(few))
    assert reason_of(knowledge, "/lamp-3") == "unchanged"
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def gone(count: int) -> dict[str, Answer]:
    """The shop without its last pages."""
    return SHOP | dict.fromkeys(PATHS[PAGES - count :], 404)


def test_few_pages_leave_by_themselves_once_it_is_confirmed(knowledge: Knowledge) -> None:
    """Two of ten, missing on two days, are removed without a question; on the first day none is."""
    knowledge.crawl(SHOP)

    first = again(knowledge, gone(2))
    second = again(knowledge, gone(2))

    assert (first.removed_pages, first.held_pages) == (0, 0)
    assert (second.removed_pages, second.held_pages) == (2, 0)
    assert len(served(knowledge)) == PAGES - 2
    assert reason_of(knowledge, PATHS[-1]) == "gone"


def test_a_crawl_that_would_remove_a_third_is_held_and_says_so(knowledge: Knowledge) -> None:
    """Nothing leaves; the job, its website, the page and its reason say what waits and who decides."""
    knowledge.crawl(SHOP)

    job = again(knowledge, gone(3), days=2)
    why = knowledge.services.pages.why(at(PATHS[-1]), scope=knowledge.org)
    source = knowledge.services.crawls.list_datasources(scope=knowledge.org)[0]

    assert (job.status, job.removed_pages, job.held_pages) == ("completed", 0, 3)
    assert "3 of 10 pages" in (job.error_message or "")
    assert source.error_message == job.error_message
    assert len(served(knowledge)) == PAGES
    assert (why.is_known, why.reason) == (True, "held")
    assert "said twice that it is gone" in (why.detail or "")
    assert f"jobs approve {job.id}" in (why.detail or "")


def test_what_is_approved_is_done_at_once(knowledge: Knowledge) -> None:
    """The pages leave with the decision, which can be taken once."""
    knowledge.crawl(SHOP)
    job = again(knowledge, gone(3), days=2)

    count = knowledge.services.history.approve(job.id, scope=knowledge.org)
    after = knowledge.services.crawls.job(job.id, scope=knowledge.org)

    assert count == 3
    assert len(served(knowledge)) == PAGES - 3
    assert (after.held_pages, after.removed_pages, after.error_message) == (0, 3, None)
    assert reason_of(knowledge, PATHS[-1]) == "gone"
    with pytest.raises(NothingHeld):
        knowledge.services.history.approve(job.id, scope=knowledge.org)


def test_what_is_rejected_is_not_asked_again(knowledge: Knowledge) -> None:
    """The pages answer on; the same finding the next day holds nothing, and one more page is a question of its own."""
    knowledge.crawl(SHOP)
    job = again(knowledge, gone(3), days=2)

    count = knowledge.services.history.reject(job.id, scope=knowledge.org)
    same = again(knowledge, gone(3), days=2)

    assert count == 3
    assert (same.held_pages, same.removed_pages, same.error_message) == (0, 0, None)
    assert len(served(knowledge)) == PAGES
    assert reason_of(knowledge, PATHS[-1]) == "synced"


@pytest.mark.parametrize("text", [LOGIN, COOKIES], ids=["login", "cookies"])
def test_one_text_in_place_of_most_is_held_and_can_be_approved(knowledge: Knowledge, text: str) -> None:
    """Approved, it replaces them after all."""
    knowledge.crawl(SHOP)

    job = again(knowledge, SHOP | dict.fromkeys(PATHS[3:], text))
    during = served(knowledge)
    knowledge.services.history.approve(job.id, scope=knowledge.org)
    knowledge.index()

    assert job.held_pages == PAGES - 3
    assert len(during) == PAGES
    assert sum("of the shop" in said or "your privacy" in said for said in served(knowledge).values()) == PAGES - 3
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_a_rewritten_website_goes_live(knowledge: Knowledge) -> None:
    """Other words on every page, each its own, are an update and no harm."""
    knowledge.crawl(SHOP)
    rewritten: dict[str, Answer] = {
        path: "".join(f"<p>fresh{number}w{word} told{number}x{word} anew{number}y{word}.</p>" for word in range(9))
        for number, path in enumerate(PATHS)
    }

    job = again(knowledge, rewritten)

    assert (job.updated_pages, job.held_pages, job.status) == (PAGES, 0, "completed")
    assert all("fresh" in text for text in served(knowledge).values())


def test_a_redesign_that_empties_pages_is_held(knowledge: Knowledge) -> None:
    """A few words are left of each, other words on each: too little of too many."""
    knowledge.crawl(SHOP)
    before = served(knowledge)

    job = again(knowledge, {path: f"<p>Menu{number} now loads with script.</p>" for number, path in enumerate(PATHS)})

    assert job.held_pages == PAGES
    assert served(knowledge) == before


def redirect(url: FrontierUrl, targets: Mapping[str, str], knowledge: Knowledge) -> Outcome | None:
    """What a spider brings home from a URL that leads elsewhere."""
    target = next((at(new) for old, new in targets.items() if at(old) == url.url), None)
    if target is None:
        return None
    found = Discovered(url_key(target), target, depth=1)
    leads = {"http_status": 301, "reason": Reason.CANONICAL_TO, "final_url": target, "discovered": (found,)}
    return Outcome(url.url_key, url.url, knowledge.clock.now, **leads)  # type: ignore[arg-type] # as named


def moved_to(knowledge: Knowledge, targets: Mapping[str, str], *, site: Mapping[str, Answer]) -> CrawlJob:
    """Crawl a website whose pages redirect."""
    knowledge.clock.forward(hours=24)
    ledger, claim = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in site])
    while taken := ledger.take(4):
        ledger.record([redirect(url, targets, knowledge) or outcome(url, site, knowledge.clock) for url in taken])
    ledger.finish()
    knowledge.index()
    return knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)


def test_a_website_that_moved_is_followed(knowledge: Knowledge) -> None:
    """Every page that leads to another of its own is a move: nothing is held, nothing embedded again, nothing lost."""
    knowledge.crawl(SHOP)
    targets = {path: f"/new{path}" for path in PATHS[1:]}
    embedded = len(knowledge.embedder.encoded)

    job = moved_to(knowledge, targets, site=SHOP | {new: SHOP[old] for old, new in targets.items()})
    history = knowledge.services.history.of_page(at("/new/lamp-3"), scope=knowledge.org)

    assert job.held_pages == 0
    assert set(served(knowledge)) == {at("/"), *(at(new) for new in targets.values())}
    assert len(knowledge.embedder.encoded) - embedded <= len(targets)
    assert history.moved_from == (at("/lamp-3"),)


def test_a_website_that_leads_everywhere_to_one_page_is_held(knowledge: Knowledge) -> None:
    """Every page redirects to the start page: its pages serve on, until that is approved."""
    knowledge.crawl(SHOP)

    job = moved_to(knowledge, dict.fromkeys(PATHS[1:], "/"), site=SHOP)
    during = served(knowledge)
    knowledge.services.history.approve(job.id, scope=knowledge.org)

    assert job.held_pages == PAGES - 1
    assert len(during) == PAGES
    assert set(served(knowledge)) == {at("/")}
    assert reason_of(knowledge, "/lamp-3") == "canonical_to"


def test_a_crawl_that_is_cancelled_takes_nothing(knowledge: Knowledge) -> None:
    """What it found so far is forgotten with it; the crawl after it decides anew."""
    knowledge.crawl(SHOP)
    again(knowledge, gone(1))
    knowledge.clock.forward(hours=24)
    ledger, claim = knowledge.start(knowledge.add_site())
    while taken := ledger.take(4):
        ledger.record([outcome(url, gone(1), knowledge.clock) for url in taken])

    during = reason_of(knowledge, PATHS[-1])
    knowledge.services.crawls.cancel(claim.crawl_id, scope=knowledge.org)
    after = reason_of(knowledge, PATHS[-1])
    job = again(knowledge, gone(1))

    assert during == "held"
    assert after == "synced"
    assert job.removed_pages == 1


def test_a_later_crawl_takes_over_what_an_earlier_one_holds(knowledge: Knowledge) -> None:
    """The newest crawl that saw it is asked about; pages that are well again are held by nobody."""
    knowledge.crawl(SHOP)
    first = again(knowledge, gone(5), days=2)

    second = again(knowledge, gone(4))
    earlier = knowledge.services.crawls.job(first.id, scope=knowledge.org)

    assert (first.held_pages, second.held_pages, earlier.held_pages) == (5, 4, 0)
    with pytest.raises(NothingHeld):
        knowledge.services.history.reject(first.id, scope=knowledge.org)
