"""How fast a crawl goes, seen from outside: its pages per second, and what an honest guess says is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.services.crawls import CrawlJob

ENOUGH_PAGES = 8
"""Fewer pages say nothing about the pace."""

QUIET_SHARE = 0.25
"""A frontier that grew no more while this share of the pages was fetched is taken to be complete."""


@dataclass(slots=True)
class Phase:
    """One kind of work, from the last look before its first result to the look that saw its latest.

    What was done before the first look, by a crawl that goes on, is no part of the pace.
    """

    count: int = 0
    _first: int | None = None
    _began: float = 0.0
    _latest: float = 0.0
    _second: tuple[int, float] | None = None

    def look(self, count: int, now: float) -> None:
        """Take note of how much is done, at a moment in seconds."""
        if self._first is None or count == self._first:
            self._first, self._began, self._latest = count, now, now
        elif count != self.count:
            self._latest = now
            self._second = self._second or (count, now)
        self.count = count

    @property
    def per_second(self) -> float | None:
        """The pace while it lasted; None before there is one."""
        seconds = self._latest - self._began
        return self._done / seconds if seconds > 0 else None

    def seconds_for(self, count: int) -> float | None:
        """How long so many more will take, at the pace since the first result; None while there is none.

        Results come in batches: how long the first one took is not known.
        """
        done, began = self._second or (self.count, self._latest)
        if self._latest <= began or self.count <= done or self._done < ENOUGH_PAGES:
            return None
        return count * (self._latest - began) / (self.count - done)

    @property
    def _done(self) -> int:
        return self.count - (self._first or 0)


@dataclass(slots=True)
class Pace:
    """A crawl's two phases, which overlap: fetching pages, and indexing the texts that are new."""

    page_limit: int
    fetching: Phase = field(default_factory=Phase)
    indexing: Phase = field(default_factory=Phase)
    _found: int = 0
    _fetched_at_growth: int = 0

    def look(self, job: CrawlJob, now: float) -> None:
        """Take note of how the crawl stands, at a moment in seconds."""
        self.fetching.look(job.fetched_pages, now)
        self.indexing.look(self._indexed(job), now)
        if job.total_pages != self._found:
            self._found, self._fetched_at_growth = job.total_pages, job.fetched_pages

    def seconds_left(self, job: CrawlJob) -> float | None:
        """A guess, where the page limit or a complete frontier allows one: the slower phase decides."""
        to_fetch = self._to_fetch(job)
        if to_fetch is None:
            return None
        guesses = [self.fetching.seconds_for(to_fetch)] if to_fetch else []
        if job.pending_pages:
            guesses.append(self.indexing.seconds_for(job.pending_pages + to_fetch))
        known = [guess for guess in guesses if guess is not None]
        return max(known) if known and len(known) == len(guesses) else None

    def _to_fetch(self, job: CrawlJob) -> int | None:
        """Pages still to be fetched; None while more may be found than the limit can tell."""
        room = self.page_limit - job.new_pages - job.updated_pages - job.unchanged_pages - job.not_due_pages
        if job.waiting_pages >= room:
            return max(room, 0)
        quiet = job.fetched_pages - self._fetched_at_growth
        is_complete = not job.waiting_pages or quiet >= QUIET_SHARE * job.fetched_pages > 0
        return job.waiting_pages if is_complete else None

    @staticmethod
    def _indexed(job: CrawlJob) -> int:
        return max(0, job.new_pages + job.updated_pages - job.pending_pages)
