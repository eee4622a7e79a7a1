"""What a spider needs of the rest: somewhere to take URLs from and to bring pages to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pipeline.model import CrawlPlan, CrawlProgress, Discovered, FrontierUrl, Outcome


class CrawlLedger(Protocol):
    """One crawl's rows, as its spider sees them. Every call is one short transaction and blocks.

    Every call raises `LeaseLost` when another worker holds the crawl, or it was cancelled: the
    spider then stops at once. `DatabaseUnavailable` is retried by the caller.
    """

    def plan(self) -> CrawlPlan:
        """What to crawl."""
        ...

    def seed(self, found: Sequence[Discovered]) -> None:
        """Add URLs to the frontier; those it has are left as they are."""
        ...

    def take(self, limit: int) -> list[FrontierUrl]:
        """Lease up to `limit` waiting URLs, of known pages first, then shallow ones; empty when none waits now."""
        ...

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Write what became of leased URLs, with what they led to, in one transaction."""
        ...

    def progress(self) -> CrawlProgress:
        """The counts so far."""
        ...

    def next_retry(self) -> datetime | None:
        """When the earliest URL put back may be tried again; nothing waits when None."""
        ...

    def robots(self, origin: str) -> tuple[int, bytes] | None:
        """The stored robots.txt answer (status, body) of `https://host[:port]`, while it is believed."""
        ...

    def keep_robots(self, origin: str, status: int, body: bytes) -> None:
        """Store a robots.txt answer for everyone, for `crawl.robots_lifetime`."""
        ...

    def finish(self) -> None:
        """Say that nothing is left to fetch; the crawl completes when its pages are indexed."""
        ...
