"""A crawl's rows in memory, with the behaviour `CrawlLedger` promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock
from time import monotonic
from uuid import uuid4

from pipeline.crawling import HostAsk, HostShare
from pipeline.errors import LeaseLost
from pipeline.model import CrawlPlan, CrawlProgress, Discovered, FrontierUrl, Outcome, Reason
from pipeline.services.sharing import BATCH, LEASE, backoff_wait


@dataclass(slots=True)
class Row:
    """One URL of the frontier."""

    taken: FrontierUrl
    reason: Reason | None = None
    is_leased: bool = False
    retry_at: datetime | None = None
    outcome: Outcome | None = None
    lastmod: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.reason is not None or (self.outcome is not None and self.retry_at is None)


@dataclass(slots=True)
class BusyHost:
    """What one host asked for."""

    closed_until: datetime = field(default_factory=lambda: datetime.now(UTC))
    backoff: int = 0
    next_start: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def closed_for(self) -> timedelta:
        """How long it wants to be left alone from now."""
        return max(self.closed_until - datetime.now(UTC), timedelta(0))


@dataclass(slots=True)
class FakeLedger:
    """One crawl's ledger. `lose()` makes the next call fail as a lost lease does."""

    crawl: CrawlPlan
    known: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    stored_robots: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    hosts: dict[str, BusyHost] = field(default_factory=dict)
    paused_for: timedelta | None = None
    is_finished: bool = False
    recorded: Event = field(default_factory=Event)
    lost: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    # --- the port --------------------------------------------------------------------------

    def plan(self) -> CrawlPlan:
        """What to crawl."""
        with self._held("plan"):
            return self.crawl

    def seed(self, found: Sequence[Discovered]) -> None:
        """Add URLs to the frontier."""
        with self._held("seed"):
            self._add(found)

    def take(self, limit: int) -> list[FrontierUrl]:
        """Lease waiting URLs, shallow first."""
        with self._held("take"):
            now = datetime.now(UTC)
            waiting = [row for row in self.rows.values() if self._waits(row, now)]
            waiting.sort(key=lambda row: row.taken.depth)
            for row in waiting[:limit]:
                row.is_leased = True
                row.taken = replace(row.taken, attempts=row.taken.attempts + 1)
            return [row.taken for row in waiting[:limit]]

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Write what became of leased URLs."""
        with self._held("record"):
            for outcome in outcomes:
                self._settle(self.rows[outcome.url_key], outcome)
                self._add(outcome.discovered)
            self.recorded.set()
            return self._count()

    def progress(self) -> CrawlProgress:
        """The counts so far."""
        with self._held("progress"):
            return self._count()

    def next_retry(self) -> datetime | None:
        """When the earliest URL put back may be tried again."""
        with self._held("next_retry"):
            return min((row.retry_at for row in self.rows.values() if row.retry_at and not row.is_leased), default=None)

    def robots(self, origin: str) -> tuple[int, bytes] | None:
        """The stored robots.txt answer."""
        with self._held("robots"):
            return self.stored_robots.get(origin)

    def keep_robots(self, origin: str, status: int, body: bytes) -> None:
        """Store a robots.txt answer."""
        with self._held("keep_robots"):
            self.stored_robots[origin] = (status, body)

    def share_host(self, ask: HostAsk) -> HostShare:
        """All of a host, as nobody else wants it."""
        with self._held("share_host"):
            host = self.hosts.setdefault(ask.host, BusyHost())
            closed_for, spacing, now = host.closed_for, ask.delay or timedelta(0), datetime.now(UTC)
            first = max(host.next_start, now)
            starts = min(ask.starts, max(1, int(BATCH / spacing))) if spacing and not closed_for else 0
            host.next_start = first + starts * spacing
            return HostShare(
                requests=0 if closed_for else min(ask.wants, 1 if spacing else ask.wants),
                lasts=first - now + starts * spacing + LEASE,
                starts=starts,
                first_in=first - now,
                spacing=spacing,
                closed_for=closed_for,
            )

    def hold_host(self, host: str, asked: timedelta | None) -> timedelta:
        """Close a host."""
        with self._held("hold_host"):
            held = self.hosts.setdefault(host, BusyHost())
            if asked is not None:
                held.closed_until = max(held.closed_until, datetime.now(UTC) + asked)
            elif not held.closed_for:
                held.backoff += 1
                held.closed_until = datetime.now(UTC) + backoff_wait(held.backoff)
            return held.closed_for

    def leave_hosts(self) -> None:
        """Give nothing back, as nobody else wants it."""
        self.calls["leave_hosts"] += 1

    def postpone(self, host: str, wait: timedelta, why: str) -> bool:
        """Put off every waiting URL of a host."""
        del why
        with self._held("postpone"):
            for row in self.rows.values():
                if row.taken.url_key.startswith(f"https://{host}/") and not row.is_done and not row.is_leased:
                    row.retry_at = datetime.now(UTC) + wait
            return True

    def pause(self, wait: timedelta) -> None:
        """Give the crawl back for a while."""
        with self._held("pause"):
            self.paused_for = wait
            for row in self.rows.values():
                row.taken = replace(row.taken, attempts=row.taken.attempts - row.is_leased)
                row.is_leased = False

    def finish(self) -> None:
        """Say that nothing is left."""
        with self._held("finish"):
            self.is_finished = True

    # --- for tests -------------------------------------------------------------------------

    def lose(self) -> None:
        """Let another worker hold the crawl."""
        self.lost = True

    def wait_for_pages(self, count: int, *, seconds: float = 60) -> None:
        """Return once so many pages were kept.

        Raises:
            TimeoutError: If that takes longer than `seconds`.
        """
        end = monotonic() + seconds
        while len(self.kept()) < count:
            if not self.recorded.wait(max(end - monotonic(), 0)):
                raise TimeoutError(f"{len(self.kept())} of {count} pages after {seconds} s")
            self.recorded.clear()

    def release(self) -> None:
        """Take leases back, as the reaper does after a spider was killed."""
        for row in self.rows.values():
            row.is_leased = False

    def reasons(self) -> dict[str, Reason]:
        """Why each URL that was not kept was left out."""
        return {
            row.taken.url: reason
            for row in self.rows.values()
            if (reason := row.reason or (row.outcome.reason if row.outcome else None)) is not None
        }

    def kept(self) -> set[str]:
        """The URLs that became pages."""
        return {
            row.taken.url
            for row in self.rows.values()
            if row.outcome is not None and (row.outcome.document is not None or row.outcome.not_modified)
        }

    def outcome(self, url: str) -> Outcome:
        """What became of a URL."""
        found = next(row.outcome for row in self.rows.values() if row.taken.url == url)
        if found is None:
            raise LookupError(url)
        return found

    # --- inside ----------------------------------------------------------------------------

    def _held(self, call: str) -> Lock:
        if self.lost:
            raise LeaseLost(crawl=self.crawl.crawl_id)
        self.calls[call] += 1
        return self._lock

    def _add(self, found: Sequence[Discovered]) -> None:
        for one in found:
            if one.url_key in self.rows:
                known = self.rows[one.url_key]
                if one.is_listed and one.reason is None and known.reason is Reason.PAGE_LIMIT:
                    known.reason = None
                continue
            etag, last_modified = self.known.get(one.url_key, (None, None))
            taken = FrontierUrl(one.url_key, one.url, one.depth, one.found_on, etag, last_modified)
            self.rows[one.url_key] = Row(taken, one.reason, lastmod=one.lastmod)

    @staticmethod
    def _waits(row: Row, now: datetime) -> bool:
        return not row.is_done and not row.is_leased and (row.retry_at is None or row.retry_at <= now)

    @staticmethod
    def _settle(row: Row, outcome: Outcome) -> None:
        row.outcome = outcome
        row.is_leased = False
        row.retry_at = outcome.retry_at
        row.taken = replace(row.taken, attempts=row.taken.attempts - outcome.untried)

    def _count(self) -> CrawlProgress:
        outcomes = [row.outcome for row in self.rows.values() if row.is_done and row.outcome is not None]
        new = sum(outcome.document is not None for outcome in outcomes)
        unchanged = sum(outcome.not_modified for outcome in outcomes)
        return CrawlProgress(
            found=len(self.rows),
            waiting=sum(not row.is_done for row in self.rows.values()),
            fetched=len(outcomes),
            new=new,
            unchanged=unchanged,
            refused=sum(row.reason is not None for row in self.rows.values()),
            failed=sum(outcome.reason is Reason.HTTP_ERROR for outcome in outcomes),
            limit_reached=new + unchanged >= self.crawl.page_limit,
        )


def make_plan(
    start_url: str,
    *,
    page_limit: int = 1_000,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    sitemaps: Sequence[str] = (),
    render_js: str = "never",
    documents: bool = False,
) -> CrawlPlan:
    """A plan for one site."""
    return CrawlPlan(
        crawl_id=uuid4(),
        org_id=uuid4(),
        datasource_id=uuid4(),
        token=uuid4(),
        start_url=start_url,
        page_limit=page_limit,
        include_paths=tuple(include),
        exclude_paths=tuple(exclude),
        sitemap_urls=tuple(sitemaps),
        render_js=render_js,
        documents=documents,
    )
