"""What a spider needs of the rest: somewhere to take URLs from and to bring pages to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.model import CrawlPlan, CrawlProgress, Discovered, FrontierUrl, Outcome


@dataclass(frozen=True, slots=True)
class HostAsk:
    """What a spider says of one host it asks: what it keeps to, and what it would like.

    `host` is the folded name that all URLs of one site share. `holds` is a promise: not more requests
    than that are in flight until the answer came. `wants` is how many it could use. `starts` asks for
    moments to start requests at, where the host has a delay. `delay` is the `Crawl-delay` that its
    robots.txt names; None while nobody read it. `went_well` says that the host answered, and was not busy.
    """

    host: str
    holds: int
    wants: int
    starts: int = 0
    delay: timedelta | None = None
    went_well: bool = False


@dataclass(frozen=True, slots=True)
class HostShare:
    """A spider's share of what one host bears, for a while.

    At most `requests` may be in flight; one that has more starts none until they are fewer. It holds for
    `lasts` after it was asked for, and `others` share the host. Where the host has a delay, `starts` requests
    may begin: the first `first_in` from now, the others `spacing` apart. While `closed_for` is some, none may.
    """

    requests: int
    lasts: timedelta
    others: int = 0
    starts: int = 0
    first_in: timedelta = timedelta(0)
    spacing: timedelta = timedelta(0)
    closed_for: timedelta = timedelta(0)
    is_backing_off: bool = False


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

    def share_host(self, ask: HostAsk) -> HostShare:
        """Ask for a share of a host that every crawl of every org shares, keep it, or give some of it back."""
        ...

    def hold_host(self, host: str, asked: timedelta | None) -> timedelta:
        """Keep every crawl from a host that said it is busy: as long as it `asked`, else doubling from 1 s to 60 s.

        Returns how long that is from now.
        """
        ...

    def leave_hosts(self) -> None:
        """Give every share back: this spider asks nobody any more. No lease is needed for it."""
        ...

    def postpone(self, host: str, wait: timedelta, why: str) -> bool:
        """Put off every waiting URL of a host; False when the crawl has waited enough, and they are given up."""
        ...

    def pause(self, wait: timedelta) -> None:
        """Give the crawl back until `wait` has passed. It counts as no attempt; what was in hand waits again."""
        ...

    def finish(self) -> None:
        """Say that nothing is left to fetch; the crawl completes when its pages are indexed."""
        ...
