"""A preview: what a crawl of a website would do, and whether it would do anything. Nothing is stored or read here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import AddressRefused, HostUnreachable, InvalidInput, InvalidPattern, ReceiverUnavailable
from pipeline.model import CrawlPlan, Reason
from pipeline.preview import Look, PreviewPage, PreviewRefusal
from pipeline.services.websites import NewDatasource, check_datasource
from pipeline.settings import Settings
from pipeline.urls import DEFAULT_PORTS, split

PAGES, PAGES_MAXIMUM = 20, 100
SECONDS, SECONDS_MAXIMUM = 30.0, 120.0
_VISITS_A_PAGE = 3
"""URLs looked at for each page wanted, at most: the rest turned out to be none."""

_START_SECONDS = 3.0
_WORDS_A_CHUNK = 110
_CHUNKS_A_SECOND = 30
"""Of one index worker with the default model on one core, as measured; another machine has another figure."""

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """What a crawl would do. `is_exact` says that the whole site was seen; else `pages_expected` is an estimate.

    `pages` are the first it would keep, `refusals` what it would leave out of the `found` URLs, by reason;
    `waiting` of them were not looked at. `seconds_expected` is for reading and indexing the whole site.
    With `is_growing`, links kept leading to new ones: there may be more pages than expected.
    """

    url: str
    page_limit: int
    pages: tuple[PreviewPage, ...]
    refusals: tuple[PreviewRefusal, ...]
    found: int
    visited: int
    waiting: int
    sitemaps: int
    sitemap_urls: int
    robots_status: int | None
    crawl_delay: float
    pages_expected: int
    seconds_expected: float
    limit_reached: bool
    is_exact: bool
    is_growing: bool
    problem: str | None
    seconds: float


class Looking(Protocol):
    """What looks at a site: a spider in a process of its own."""

    def look(
        self, plan: Mapping[str, object], *, visits: int, seconds: float, on_news: Callable[[Look], None] | None = None
    ) -> Look:
        """Read sitemaps and up to `visits` URLs of a site, for at most so many seconds."""
        ...


class Reaching(Protocol):
    """What finds out whether a host answers."""

    def reach(self, url: str) -> None:
        """Connect to a URL's host, and hang up.

        Raises:
            AddressRefused: If it may not be connected to.
            ReceiverUnavailable: If it does not answer.
        """
        ...


class PreviewService:
    """Looks at websites nobody added yet."""

    def __init__(self, settings: Settings, previewer: Callable[[], Looking], outbound: Callable[[], Reaching]) -> None:
        """Look and call through these, opened when first needed."""
        self._settings = settings
        self._previewer = previewer
        self._outbound = outbound

    def preview(
        self,
        new: NewDatasource,
        *,
        pages: int = PAGES,
        seconds: float = SECONDS,
        on_news: Callable[[Look], None] | None = None,
    ) -> Preview:
        """What a crawl of this website would do, from its sitemaps and its first pages.

        Args:
            new: The website, as it would be added.
            pages: Pages to look at, 1 to 100.
            seconds: Time for the look, at most 120.
            on_news: Told what was seen so far, again and again.

        Raises:
            InvalidInput: If the website could not be added as given.
            SetupError: If nothing could be connected to safely.
            SpiderEnded: If the look ended with nothing to tell.
        """
        url = check_datasource(new, self._settings)
        _check("pages", pages, PAGES_MAXIMUM)
        _check("seconds", seconds, SECONDS_MAXIMUM)
        limit = min(new.page_limit or self._settings.crawl.page_limit_maximum, self._settings.crawl.page_limit_maximum)
        wanted = min(pages, limit)
        look = self._previewer().look(
            plan_of(new, url, page_limit=wanted),
            visits=_VISITS_A_PAGE * wanted + 1,
            seconds=seconds,
            on_news=on_news,
        )
        return _preview(look, url, limit, workers=self._settings.work.index_processes or os.cpu_count() or 1)

    def vet(self, new: NewDatasource) -> None:
        """Refuse a website of which a crawl could keep nothing, before it is added.

        Its host is connected to. Where there are rules, its start page and sitemaps are looked at too.

        Raises:
            InvalidInput: If the website could not be added as given.
            AddressRefused: If its host's name leads to an address that is not public, and not allowed.
            HostUnreachable: If its host is not there, or takes no connection.
            InvalidPattern: If its rules match nothing.
        """
        self.vet_host(new)
        self.refuse_rules_that_match_nothing(new)

    def vet_host(self, new: NewDatasource) -> None:
        """Refuse a website whose host does not answer. It is connected to, and asked nothing.

        Raises:
            InvalidInput: If the website could not be added as given.
            AddressRefused: If its host's name leads to an address that is not public, and not allowed.
            HostUnreachable: If its host is not there, or takes no connection.
        """
        url = check_datasource(new, self._settings)
        try:
            self._outbound().reach(url)
        except ReceiverUnavailable as error:
            instead = "" if isinstance(error.__cause__, TimeoutError) else self._instead(url)
            problem = f"{error.facts.get('problem')}{instead}"
            raise HostUnreachable(field="url", given=url, problem=problem) from error

    def _instead(self, url: str) -> str:
        """Which other spelling of an address answers, where one does: people forget `www`, and which scheme it was."""
        for other in _spellings(url):
            try:
                self._outbound().reach(other)
            except (ReceiverUnavailable, AddressRefused):
                continue
            return f"; {other} answers"
        return ""

    def refuse_rules_that_match_nothing(self, new: NewDatasource) -> None:
        """Refuse include and exclude rules that no URL of the start page and the sitemaps passes.

        A crawl follows links only of pages that pass, so it would find nothing either.

        Raises:
            InvalidPattern: With URLs that were seen there.
        """
        if not (new.include_paths or new.exclude_paths):
            return
        look = self.preview(new, pages=1)
        excluded = next((one for one in look.refusals if one.reason == Reason.EXCLUDED_RULE), None)
        if excluded is None or look.waiting or excluded.count < look.found:
            return
        given = new.include_paths or new.exclude_paths
        raise InvalidPattern(
            field="include_paths" if new.include_paths else "exclude_paths",
            given=", ".join(given)[:200],
            problem=f"none of the {excluded.count} addresses that {look.url} and its sitemaps name passes,"
            f" such as {', '.join(example.url for example in excluded.examples[-_EXAMPLES:])}",
        )


def _spellings(url: str) -> list[str]:
    """An address with the other scheme, and with or without `www`."""
    parts = split(url)
    is_name = parts.host.rpartition(".")[2].isalpha()
    if parts.port not in DEFAULT_PORTS.values() or not is_name:
        return []
    bare = parts.host.removeprefix("www.")
    twin = f"www.{bare}" if bare == parts.host else bare
    every = [f"{scheme}://{host}{parts.target}" for host in (parts.host, twin) for scheme in ("https", "http")]
    return [other for other in every if other != url]


def plan_of(new: NewDatasource, url: str, *, page_limit: int) -> dict[str, object]:
    """The fields of a `CrawlPlan` that a website's own fields say, ids left out."""
    planned = {field.name for field in dataclasses.fields(CrawlPlan)}
    same = {field.name: getattr(new, field.name) for field in dataclasses.fields(new) if field.name in planned}
    return same | {"start_url": url, "page_limit": page_limit}


def _preview(look: Look, url: str, limit: int, *, workers: int) -> Preview:
    is_whole = look.visited > 0 and look.waiting == 0 and look.are_all_read and look.problem is None
    share = len(look.pages) / look.visited if look.visited else 0.0
    there = round(len(look.pages) + look.waiting * share)
    expected = min(there, limit)
    return Preview(
        url=url,
        page_limit=limit,
        pages=look.pages,
        refusals=look.refusals,
        found=look.found,
        visited=look.visited,
        waiting=look.waiting,
        sitemaps=look.sitemaps,
        sitemap_urls=look.listed,
        robots_status=look.robots_status,
        crawl_delay=look.crawl_delay,
        pages_expected=expected,
        seconds_expected=_seconds(look, expected, share, workers),
        limit_reached=there > limit,
        is_exact=is_whole,
        is_growing=not is_whole and look.growing > 0,
        problem=look.problem or (None if look.pages else _nothing(look, url)),
        seconds=round(look.seconds, 1),
    )


def _seconds(look: Look, expected: int, share: float, workers: int) -> float:
    """Reading and indexing go on beside each other: the slower one decides."""
    if not expected:
        return 0.0
    fetches = expected / share
    reading = fetches * max(look.seconds_a_page, look.crawl_delay)
    words = sum(page.words for page in look.pages) / len(look.pages)
    indexing = expected * max(words / _WORDS_A_CHUNK, 1.0) / (_CHUNKS_A_SECOND * workers)
    return round(_START_SECONDS + max(reading, indexing), 1)


def _nothing(look: Look, url: str) -> str:
    """Why nothing would be kept, by what was said of the start page, else of the first URL."""
    told = [(one, refusal.reason) for refusal in look.refusals for one in refusal.examples]
    if not told:
        return "the site did not answer in time"
    example, reason = next((pair for pair in told if pair[0].url == url), told[0])
    return f"nothing could be kept: {example.url}: {example.detail or reason}"


def _check(field: str, given: float, most: float) -> None:
    if not 1 <= given <= most:
        raise InvalidInput(field=field, given=given, allowed=f"1 to {most:g}")
