"""A crawl's ledger that lives in memory, for a look at a site: a few pages are read, nothing is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic

from pipeline.crawling import HostAsk, HostShare
from pipeline.errors import LeaseLost
from pipeline.model import CrawlPlan, CrawlProgress, Discovered, FrontierUrl, Outcome, Reason
from pipeline.preview import Look, PreviewExample, PreviewPage, PreviewRefusal
from pipeline.words import count_words
from spiders.robots import read_robots

EXAMPLES = 3
_REMEMBERED = 50_000  # URLs of the frontier; a look takes the first few, and counts the rest
_SHARE_LASTS = timedelta(seconds=30)
_BACK_OFF = timedelta(seconds=2)
_PATIENCE = timedelta(seconds=5)


@dataclass(slots=True)
class _Seen:
    """One URL: waiting, in a visitor's hands, or with an outcome."""

    taken: FrontierUrl
    is_leased: bool = False
    outcome: Outcome | None = None


class LookLedger:
    """The `CrawlLedger` of a look: it ends after so many pages, or visits, and never tries a URL twice."""

    def __init__(self, plan: CrawlPlan, *, agent: str, visits: int, news: Callable[[Look], None]) -> None:
        """Look as `agent`, at `plan.page_limit` pages in at most so many visits; `news` is told after each batch."""
        self._plan = plan
        self._agent = agent
        self._visits = visits
        self._tell = news
        self._lock = Lock()
        self._rows: dict[str, _Seen] = {}
        self._beyond = 0
        self._texts: dict[str, str] = {}
        self._pages: dict[str, PreviewPage] = {}
        self._refused: Counter[Reason] = Counter()
        self._examples: dict[Reason, list[PreviewExample]] = {}
        self._done = 0
        self._taken = 0
        self._found_by: list[int] = []
        self._free_at: dict[str, float] = {}
        self._closed_until: dict[str, float] = {}
        self._look = Look()
        self._began = monotonic()
        self._first_take = self._first_record = 0.0
        self._first_batch = 0

    # --- the port --------------------------------------------------------------------------

    def plan(self) -> CrawlPlan:
        """What to look at."""
        return self._plan

    def seed(self, found: Sequence[Discovered]) -> None:
        """Add URLs to the frontier."""
        with self._lock:
            self._add(found)
        self._tell(self.look())

    def take(self, limit: int) -> list[FrontierUrl]:
        """Lease waiting URLs, shallow first, until enough were visited."""
        with self._lock:
            self._first_take = self._first_take or monotonic()
            room = min(limit, self._visits - self._taken)
            waiting = [row for row in self._rows.values() if row.outcome is None and not row.is_leased]
            if any(row.outcome is None and not row.taken.depth for row in self._rows.values()):
                waiting = [row for row in waiting if not row.taken.depth]  # what it links to comes before the rest
            waiting.sort(key=lambda row: (row.taken.depth, row.taken.url_key))
            chosen = waiting[: max(room, 0)]
            for row in chosen:
                row.is_leased = True
            self._taken += len(chosen)
            return [replace(row.taken, attempts=1) for row in chosen]

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Note what became of leased URLs."""
        with self._lock:
            for outcome in outcomes:
                self._settle(outcome)
                self._add(outcome.discovered)
                self._found_by.append(len(self._rows) + self._beyond)
            if not self._first_record:
                self._first_record, self._first_batch = monotonic(), self._done
        self._tell(self.look())
        return self.progress()

    def progress(self) -> CrawlProgress:
        """The counts so far; the limit is reached once enough pages are known."""
        with self._lock:
            return CrawlProgress(
                found=len(self._rows) + self._beyond,
                waiting=len(self._rows) - self._done,
                fetched=self._done,
                new=len(self._pages),
                limit_reached=len(self._pages) >= self._plan.page_limit,
            )

    def next_retry(self) -> datetime | None:
        """Never: what fails for now is told as such."""
        return None

    def robots(self, origin: str) -> tuple[int, bytes] | None:
        """Nothing is remembered from before."""
        del origin
        return None

    def keep_robots(self, origin: str, status: int, body: bytes) -> None:
        """Note what the start's robots.txt asks for."""
        del origin
        with self._lock:
            if self._look.robots_status is None:
                delay = read_robots(status, body, self._agent).delay.total_seconds()
                self._look = replace(self._look, robots_status=status, crawl_delay=delay)

    def share_host(self, ask: HostAsk) -> HostShare:
        """All of a host: a look is over before sharing would matter. Its own `Crawl-delay` is kept."""
        with self._lock:
            now, spacing = monotonic(), ask.delay or timedelta(0)
            closed_for = max(self._closed_until.get(ask.host, now) - now, 0.0)
            first = max(self._free_at.get(ask.host, now), now)
            starts = min(ask.starts, 1) if spacing and not closed_for else 0
            self._free_at[ask.host] = first + starts * spacing.total_seconds()
            first_in = timedelta(seconds=first - now)
            return HostShare(
                requests=0 if closed_for else min(ask.wants, 1 if spacing else ask.wants),
                lasts=first_in + starts * spacing + _SHARE_LASTS,
                starts=starts,
                first_in=first_in,
                spacing=spacing,
                closed_for=timedelta(seconds=closed_for),
            )

    def leave_hosts(self) -> None:
        """Nobody else shares them."""

    def hold_host(self, host: str, asked: timedelta | None) -> timedelta:
        """Leave a busy host alone.

        Raises:
            LeaseLost: If that takes longer than a look waits; it ends the spider.
        """
        wait = asked or _BACK_OFF
        if wait > _PATIENCE:
            raise self._over(f"{host} is busy, and asks to be left alone for {wait.total_seconds():g} s")
        with self._lock:
            self._closed_until[host] = max(self._closed_until.get(host, 0.0), monotonic() + wait.total_seconds())
            return timedelta(seconds=self._closed_until[host] - monotonic())

    def postpone(self, host: str, wait: timedelta, why: str) -> bool:
        """Nothing is put off."""
        del host, wait, why
        return False

    def pause(self, wait: timedelta) -> None:
        """A look is not taken up again.

        Raises:
            LeaseLost: Always; it ends the spider.
        """
        raise self._over(f"the site asks for a pause of {wait.total_seconds():g} s")

    def finish(self) -> None:
        """Nothing is left to look at."""

    # --- what was seen ---------------------------------------------------------------------

    def note_sitemaps(self, *, files: int, listed: int, are_all_read: bool) -> None:
        """Take the count of the site's sitemaps."""
        with self._lock:
            self._look = replace(self._look, sitemaps=files, listed=listed, are_all_read=are_all_read)

    def look(self) -> Look:
        """What was seen so far."""
        with self._lock:
            half = self._found_by[len(self._found_by) // 2 :] or [0]
            return replace(
                self._look,
                pages=tuple(self._pages.values()),
                refusals=tuple(
                    PreviewRefusal(reason, count, tuple(self._examples[reason]))
                    for reason, count in self._refused.most_common()
                ),
                found=len(self._rows) + self._beyond,
                waiting=sum(row.outcome is None for row in self._rows.values()) + self._beyond,
                visited=self._done,
                growing=half[-1] - half[0],
                seconds=monotonic() - self._began,
                seconds_a_page=self._pace(),
            )

    def _pace(self) -> float:
        """Seconds a page took, the first batch left out where there is another: it waits for all that starts up."""
        if self._done > self._first_batch:
            return (monotonic() - self._first_record) / (self._done - self._first_batch)
        return (monotonic() - self._first_take) / self._done if self._done else 0.0

    def _over(self, problem: str) -> LeaseLost:
        with self._lock:
            self._look = replace(self._look, problem=problem)
        self._tell(self.look())
        return LeaseLost(crawl=self._plan.crawl_id, problem=problem)

    def _add(self, found: Sequence[Discovered]) -> None:
        for one in found:
            if one.url_key in self._rows:
                continue
            if len(self._rows) >= _REMEMBERED:
                self._beyond += 1
                continue
            taken = FrontierUrl(one.url_key, one.url, one.depth, one.found_on)
            row = self._rows[one.url_key] = _Seen(taken)
            if one.reason is not None:
                row.outcome = Outcome(one.url_key, one.url, datetime.now(UTC), reason=one.reason, detail=one.detail)
                self._refuse(row.outcome, one.reason)

    def _settle(self, outcome: Outcome) -> None:
        row = self._rows[outcome.url_key]
        row.is_leased, row.outcome = False, outcome
        self._done += 1
        document = outcome.document
        if outcome.reason is not None or document is None:
            self._refuse(outcome, outcome.reason or Reason.HTTP_ERROR)
            return
        page = PreviewPage(outcome.url, document.title, count_words(document.markdown))
        twin = self._texts.get(document.text_hash)
        if twin is not None and (len(twin), twin) <= (len(page.url), page.url):
            self._refuse(replace(outcome, detail=f"says the same as {twin}"), Reason.DUPLICATE_OF)
            return
        if twin is not None:
            self._pages.pop(twin)
            self._refuse(replace(outcome, url=twin, detail=f"says the same as {page.url}"), Reason.DUPLICATE_OF)
        self._texts[document.text_hash] = page.url
        self._pages[page.url] = page

    def _refuse(self, outcome: Outcome, reason: Reason) -> None:
        self._refused[reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(PreviewExample(outcome.url, outcome.detail, outcome.http_status))
