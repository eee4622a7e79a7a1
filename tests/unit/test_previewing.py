"""What a preview makes of what was seen: pages and time to expect, and rules that no page passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from pipeline.errors import HostUnreachable, InvalidPattern, ReceiverUnavailable
from pipeline.model import Reason
from pipeline.preview import Look, PreviewExample, PreviewPage, PreviewRefusal
from pipeline.services.previewing import Preview, PreviewService
from pipeline.services.websites import NewDatasource
from pipeline.settings import Settings
from pipeline.urls import split

SITE = NewDatasource("https://www.example.com/", page_limit=100)
PAGES = tuple(PreviewPage(f"https://www.example.com/{number}", f"Page {number}", 110) for number in range(10))
LOOK = Look(pages=PAGES, found=60, waiting=40, visited=20, seconds=3.0, seconds_a_page=0.1, robots_status=200)
"""Ten of twenty addresses were pages, and forty wait."""


class Seen:
    """Looks at nothing, and has seen this."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.asked: list[tuple[Mapping[str, object], int, float]] = []

    def look(
        self, plan: Mapping[str, object], *, visits: int, seconds: float, on_news: Callable[[Look], None] | None = None
    ) -> Look:
        """What was given."""
        self.asked.append((plan, visits, seconds))
        if on_news is not None:
            on_news(self._look)
        return self._look


class Hosts:
    """Origins that answer; nothing else does."""

    def __init__(self, *origins: str) -> None:
        self._origins = origins

    def reach(self, url: str) -> None:
        """Answer, or not."""
        if split(url).origin not in self._origins:
            raise ReceiverUnavailable(host=split(url).host, problem="no such host")


def service(seen: Seen, *origins: str) -> PreviewService:
    """A service that has one index worker, sees no more than that, and reaches no other origins."""
    return PreviewService(Settings(work={"index_processes": 1}), lambda: seen, lambda: Hosts(*origins))


def preview(look: Look, new: NewDatasource = SITE) -> Preview:
    """What becomes of a look."""
    return service(Seen(look)).preview(new)


@pytest.mark.parametrize(
    ("look", "pages", "is_exact", "is_growing"),
    [
        (LOOK, 30, False, False),
        (replace(LOOK, growing=3), 30, False, True),
        (replace(LOOK, waiting=0), 10, True, False),
        (replace(LOOK, waiting=0, growing=3), 10, True, False),
        (replace(LOOK, waiting=0, are_all_read=False), 10, False, False),
        (replace(LOOK, waiting=0, problem="www.example.com is busy"), 10, False, False),
        (Look(), 0, False, False),
    ],
)
def test_pages_are_expected_from_the_share_among_those_read(
    look: Look,
    pages: int,
    is_exact: bool,  # noqa: FBT001 - a table's column
    is_growing: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Half of those that wait will be pages too; nothing is sure before everything was seen."""
    found = preview(look)

    assert (found.pages_expected, found.is_exact, found.is_growing) == (pages, is_exact, is_growing)


def test_the_page_limit_caps_what_is_expected() -> None:
    """And it is said that there is more."""
    found = preview(LOOK, replace(SITE, page_limit=12))

    assert (found.pages_expected, found.limit_reached) == (12, True)
    assert not preview(LOOK).limit_reached


@pytest.mark.parametrize(
    ("look", "seconds"),
    [
        (replace(LOOK, seconds_a_page=0.0), 3 + 30 / 30),
        (replace(LOOK, seconds_a_page=0.5), 3 + 60 * 0.5),
        (replace(LOOK, crawl_delay=2.0), 3 + 60 * 2.0),
        (replace(LOOK, pages=()), 0.0),
    ],
    ids=["indexing", "reading", "delay", "nothing"],
)
def test_time_is_that_of_the_slower_half(look: Look, seconds: float) -> None:
    """Reading, as slowly as the site wants, and indexing go on beside each other."""
    assert preview(look).seconds_expected == pytest.approx(seconds)


def test_why_nothing_would_be_kept_is_told_of_the_start_page() -> None:
    """Not of the first URL that happens to be left out."""
    told = {SITE.url: "robots.txt forbids it", "https://www.example.com/a": "exclude_paths: /a"}
    examples = [PreviewExample(url, detail) for url, detail in told.items()]
    refusals = (PreviewRefusal("excluded_rule", 5, (examples[1],)), PreviewRefusal("robots", 1, (examples[0],)))

    found = preview(Look(refusals=refusals, found=6))

    assert found.problem == "nothing could be kept: https://www.example.com/: robots.txt forbids it"


def test_a_look_asks_for_no_more_than_is_kept() -> None:
    """A website of five pages is not looked at for twenty; what is seen meanwhile is told."""
    seen, news = Seen(LOOK), list[Look]()

    service(seen).preview(replace(SITE, page_limit=5), seconds=7, on_news=news.append)

    plan, visits, seconds = seen.asked[0]
    assert (plan["page_limit"], visits, seconds) == (5, 16, 7)
    assert news == [LOOK]


@pytest.mark.parametrize(
    ("look", "refused"),
    [
        (Look(refusals=(PreviewRefusal(Reason.EXCLUDED_RULE, 3),), found=3, visited=1), True),
        (Look(refusals=(PreviewRefusal(Reason.EXCLUDED_RULE, 3),), found=4, visited=1, waiting=1), False),
        (Look(refusals=(PreviewRefusal(Reason.EXCLUDED_RULE, 3),), pages=PAGES[:1], found=4, visited=2), False),
        (Look(refusals=(PreviewRefusal(Reason.ROBOTS, 1),), found=1), False),
        (Look(), False),
    ],
    ids=["none passes", "one waits", "one is a page", "robots", "no answer"],
)
def test_rules_are_refused_only_when_nothing_passes(
    look: Look,
    refused: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A site that did not answer says nothing about rules."""
    seen = service(Seen(look))
    new = replace(SITE, include_paths=("/docs/*",))

    if refused:
        with pytest.raises(InvalidPattern, match="include_paths"):
            seen.refuse_rules_that_match_nothing(new)
    else:
        seen.refuse_rules_that_match_nothing(new)


def test_a_website_without_rules_is_not_looked_at() -> None:
    """There is nothing that could match nothing."""
    seen = Seen(LOOK)

    service(seen).refuse_rules_that_match_nothing(SITE)

    assert seen.asked == []


@pytest.mark.parametrize(
    ("url", "answers", "told"),
    [
        ("http://example.com/a", "https://example.com", "no such host; https://example.com/a answers"),
        ("https://example.com/", "https://www.example.com", "no such host; https://www.example.com/ answers"),
        ("https://www.example.com/", "http://example.com", "no such host; http://example.com/ answers"),
        ("https://example.com/", "https://other.example", "no such host)"),
        ("https://example.com:8443/", "https://example.com", "no such host)"),
        ("http://93.184.215.14/", "https://www.93.184.215.14", "no such host)"),
    ],
)
def test_the_spelling_that_answers_is_named(url: str, answers: str, told: str) -> None:
    """Another scheme, with `www` or without: whatever the person probably meant."""
    settings = Settings(crawl={"allowed_ports": (80, 443, 8443)})
    previews = PreviewService(settings, lambda: Seen(LOOK), lambda: Hosts(answers))

    with pytest.raises(HostUnreachable) as refused:
        previews.vet(NewDatasource(url))

    assert told in str(refused.value)


def test_a_website_that_answers_may_be_added() -> None:
    """Without rules nothing more is asked."""
    service(Seen(LOOK), "https://www.example.com").vet(SITE)


def test_a_look_survives_being_told_as_json() -> None:
    """The child writes it, the parent reads it."""
    look = replace(LOOK, refusals=(PreviewRefusal("thin", 2, (PreviewExample("https://a.example/", "0 words", 200),)),))

    assert Look.from_json(look.as_json()) == look
