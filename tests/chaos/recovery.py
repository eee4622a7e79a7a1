"""Watches work while things are killed: how long it is with nobody, or with a holder that is dead."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, Self

import psutil
from sqlalchemy import select

from pipeline.db.crawls import RUNNING, Crawl
from pipeline.db.page_versions import PageVersion
from pipeline.errors import SitewiseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from uuid import UUID

    from sqlalchemy import Select

    from pipeline.bootstrap import Services

LOOK_EVERY_SECONDS = 0.1
CRAWL, SPIDER, PAGE = "crawl of a dead worker", "crawl of a dead spider", "page of a dead worker"
"""What can be orphaned. The crawl of a spider that died alone was given back by its worker, and has no holder."""


class Holding(NamedTuple):
    """Work that was begun and is not done: under which token, and whose."""

    token: UUID | None
    owner: str | None
    kind: str

    @property
    def is_orphaned(self) -> bool:
        """Whether nobody who lives holds it, as this machine sees it."""
        return self.owner is None or not psutil.pid_exists(int(self.owner.rpartition(":")[2]))


class Orphan(NamedTuple):
    """Work of somebody dead, and since when, by this machine's clock."""

    holding: Holding
    since: float


class Recovery:
    """Looks at all work ten times a second while it is entered. It is recovered when somebody who lives took it up."""

    def __init__(self, services: Services) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._services = services
        self._orphans: dict[UUID, Orphan] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def still_orphaned(self) -> int:
        """Work that nobody has taken up by the end."""
        return len(self._orphans)

    def figures(self, *, most_seconds: float) -> dict[str, dict[str, float]]:
        """By kind: how many were orphaned, and for how long; how many for longer than `most_seconds`."""
        return {
            kind: {
                "orphans": len(seconds),
                "median_seconds": round(statistics.median(seconds), 1),
                "slowest_seconds": round(max(seconds), 1),
                "too_late": sum(one > most_seconds for one in seconds),
            }
            for kind, seconds in sorted(self.seconds.items())
        }

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            try:
                self._look(time.monotonic())
            except SitewiseError:
                continue

    def _look(self, now: float) -> None:
        begun = dict(self._begun())
        for work, orphan in list(self._orphans.items()):
            holding = begun.get(work)
            if holding is None or (holding.token != orphan.holding.token and not holding.is_orphaned):
                self.seconds[orphan.holding.kind].append(now - orphan.since)
                del self._orphans[work]
        for work, holding in begun.items():
            if work not in self._orphans and holding.is_orphaned:
                self._orphans[work] = Orphan(holding, now)

    def _begun(self) -> Iterator[tuple[UUID, Holding]]:
        fetching = (Crawl.status.in_(RUNNING), Crawl.scraped_at.is_(None), Crawl.attempts > 0)
        begun = (PageVersion.state == "waiting", PageVersion.lease_token.is_not(None))
        with self._services.database.read() as session:
            for work, token, owner in session.execute(_leases(Crawl).where(*fetching)):
                yield work, Holding(token, owner, SPIDER if token is None else CRAWL)
            for work, token, owner in session.execute(_leases(PageVersion).where(*begun)):
                yield work, Holding(token, owner, PAGE)


def _leases(table: type[Crawl | PageVersion]) -> Select[UUID, UUID | None, str | None]:
    return select(table.id, table.lease_token, table.lease_owner)
