"""Watches leases while things are killed: how long work stays with a holder that is dead."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Self
from uuid import UUID

import psutil
from sqlalchemy import select

from pipeline.db.crawls import Crawl
from pipeline.db.page_versions import PageVersion
from pipeline.errors import SitewiseError

if TYPE_CHECKING:
    from types import TracebackType

    from pipeline.bootstrap import Services

LOOK_EVERY_SECONDS = 0.1


class Orphan(NamedTuple):
    """Work whose holder is dead, and since when, by this machine's clock."""

    token: UUID
    since: float


class Recovery:
    """Looks at every lease ten times a second while it is entered. `seconds` are how long each orphan waited."""

    def __init__(self, services: Services) -> None:
        self.seconds: list[float] = []
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

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            try:
                self._look(time.monotonic())
            except SitewiseError:
                continue

    def _look(self, now: float) -> None:
        held = self._held()
        for work, orphan in list(self._orphans.items()):
            if work not in held or held[work][0] != orphan.token:
                self.seconds.append(now - orphan.since)
                del self._orphans[work]
        for work, (token, owner) in held.items():
            if work not in self._orphans and not psutil.pid_exists(int(owner.rpartition(":")[2])):
                self._orphans[work] = Orphan(token, now)

    def _held(self) -> dict[UUID, tuple[UUID, str]]:
        found: dict[UUID, tuple[UUID, str]] = {}
        with self._services.database.read() as session:
            for table in (Crawl, PageVersion):
                statement = select(table.id, table.lease_token, table.lease_owner)
                for work, token, owner in session.execute(statement.where(table.lease_token.is_not(None))):
                    if token is not None and owner is not None:
                        found[work] = token, owner
        return found
