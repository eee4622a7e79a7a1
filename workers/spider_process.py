"""A crawl's spider: a child process, watched while its crawl's lease is kept.

Twisted's reactor runs once per process, so every crawl has a process of its own. The child reads its
standard input and ends when that closes: it never outlives the worker that holds its lease.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from pipeline import metrics, tracing
from pipeline.adapters.process_template import Copy
from pipeline.errors import DatabaseUnavailable, DiskFull, LeaseLost
from pipeline.logs import get_logger
from pipeline.owner.processes import kill_group, wait_without_reaping
from pipeline.services.crawls import CrawlClaim
from pipeline.tracing import Facts
from workers.spider_template import template

FINISHED, TEMPORARY, LEASE_LOST = 0, os.EX_TEMPFAIL, os.EX_PROTOCOL
"""What a spider's exit status means; any other is a death."""

GRACE_SECONDS = 4.0
"""A spider told to end may write what it has; after this it is killed, and fetches it again later."""

FAREWELL_SECONDS = 5.0
"""A spider that finished has no lease either: it may end by itself. One that lost it writes nothing meanwhile."""

Spider = subprocess.Popen[bytes] | Copy

log = get_logger(__name__)


class Crawls(Protocol):
    """What is needed of the crawl service."""

    def claim_in_turn(self, hinted: UUID, *, owner: str) -> CrawlClaim | None:
        """Hold a crawl that needs a spider and that nobody has: this one, or of an org that waited longer."""
        ...

    def renew(self, claim: CrawlClaim) -> None:
        """Keep holding it. Raises `LeaseLost`."""
        ...

    def release(self, claim: CrawlClaim, *, burn: bool, detail: str | None = None, soon: bool = False) -> None:
        """Give it back unfinished; `soon` asks for the next spider at once."""
        ...


class End(Enum):
    """Why the watch over a spider ended."""

    BY_ITSELF = "by itself"
    LEASE_LOST = "lease lost"
    WORKER_STOPS = "worker stops"


class Shutdown:
    """Says to every watch of this process that the worker stops. Safe to call from a signal handler's thread."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._lock = threading.Lock()
        self._is_on = False

    def begin(self) -> None:
        """End every spider; new ones end at once."""
        with self._lock:
            self._is_on = True
            for watch in self._watches:
                watch.wake.set()

    def enter(self, watch: Watch) -> None:
        """Wake this watch when the worker stops."""
        with self._lock:
            self._watches.add(watch)
            if self._is_on:
                watch.wake.set()

    def leave(self, watch: Watch) -> None:
        """This watch is over."""
        with self._lock:
            self._watches.discard(watch)


shutdown = Shutdown()


def run(crawl_id: UUID, *, crawls: Crawls, owner: str, start: Callable[[CrawlClaim], Spider] | None = None) -> None:
    """Claim the crawl, and hold it until its spider ended, it was lost, or the worker stops.

    A crawl that ends unfinished is given back at once; where its worker stops, another spider is asked for. It counts
    as an attempt only if its spider died: a restart of the worker, or a server that was away, is not the crawl's fault.
    """
    if start is None:
        template().loaded()
    claim = crawls.claim_in_turn(crawl_id, owner=owner)
    if claim is None:
        return
    facts: Facts = {"crawl": claim.crawl_id, "org": claim.org_id, "attempt": claim.attempt}
    began = time.monotonic()
    with (
        tracing.span("crawl", parent=claim.traceparent, **facts) as span,
        Watch((start or start_spider)(claim)) as watch,
    ):
        end = watch.until_end(lambda: crawls.renew(claim), every=claim.lease.total_seconds() / 3)
        if end is End.LEASE_LOST and watch.wait(FAREWELL_SECONDS):
            end = End.BY_ITSELF
        status = watch.stop(grace=0 if end is End.LEASE_LOST else GRACE_SECONDS)
        span.say(end=_told_apart(end, status))
    metrics.SPIDERS.add(end=_told_apart(end, status))
    if status == LEASE_LOST or end is End.LEASE_LOST:
        metrics.LEASES_LOST.add(work="crawl")
    log.info(
        "spider ended",
        crawl=str(claim.crawl_id),
        status=status,
        end=end.value,
        seconds=round(time.monotonic() - began, 1),
    )
    if status in {FINISHED, LEASE_LOST} or end is End.LEASE_LOST:
        return
    burns = end is End.BY_ITSELF and status != TEMPORARY
    crawls.release(claim, burn=burns, detail=_told(status) if burns else None, soon=end is End.WORKER_STOPS)


def start_spider(claim: CrawlClaim) -> Spider:
    """The spider that works under this claim: a copy of this process's template, or one that begins from nothing."""
    command = spider_command(claim)
    copied = template().start(command[command.index("spiders.run") + 1 :], _environment())
    return copied or started(command)


def spider_command(claim: CrawlClaim) -> list[str]:
    """The command line of the spider that works under this claim."""
    return [
        sys.executable,
        "-m",
        "spiders.run",
        f"--crawl-id={claim.crawl_id}",
        f"--org-id={claim.org_id}",
        f"--token={claim.token}",
        "--watch-stdin",
    ]


def started(command: Sequence[str]) -> Spider:
    """This command as a child in a session of its own."""
    return subprocess.Popen(  # noqa: S603 - our own module, arguments are ids
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, env=_environment()
    )


class Watch:
    """One child in a session of its own, so that it can be ended with all its children. Left, it has ended."""

    def __init__(self, child: Spider) -> None:
        self.wake = threading.Event()
        self._has_ended = threading.Event()
        self._child = child
        self._waiter = threading.Thread(target=self._wait, name="spider-wait", daemon=True)
        self._waiter.start()

    def __enter__(self) -> Self:
        shutdown.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutdown.leave(self)
        if self._child.returncode is None:
            self.stop(grace=0)

    def until_end(self, renew: Callable[[], None], *, every: float) -> End:
        """Renew the lease every so many seconds while the child lives.

        A database that is away does not end the child: its writes are fenced, and the lease may still be ours.
        """
        while not self.wake.wait(every):
            try:
                renew()
            except LeaseLost:
                return End.LEASE_LOST
            except (DatabaseUnavailable, DiskFull) as error:
                log.warning("lease not renewed", problem=str(error))
        return End.BY_ITSELF if self._has_ended.is_set() else End.WORKER_STOPS

    def wait(self, seconds: float) -> bool:
        """Give the child time to end by itself; whether it did."""
        return self._has_ended.wait(seconds)

    def stop(self, *, grace: float) -> int:
        """End the child and all its children: asked first, killed after `grace` seconds. Its exit status."""
        if self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.close()
        self._has_ended.wait(grace)
        kill_group(self._child)
        self._waiter.join()
        return self._child.wait()

    def _wait(self) -> None:
        wait_without_reaping(self._child)
        self._has_ended.set()
        self.wake.set()


def _environment() -> dict[str, str]:
    """Ours, and what the child belongs to, if that is traced."""
    traceparent = tracing.traceparent()
    said = {} if traceparent is None else {tracing.TRACEPARENT.upper(): traceparent}
    return os.environ | said


def _told_apart(end: End, status: int) -> metrics.SpiderEnd:
    """How a spider ended, as it is counted."""
    if end is not End.BY_ITSELF:
        return "lease_lost" if end is End.LEASE_LOST else "stopped"
    ends: dict[int, metrics.SpiderEnd] = {FINISHED: "finished", TEMPORARY: "temporary", LEASE_LOST: "lease_lost"}
    return ends.get(status, "died")


def _told(status: int) -> str:
    if status < 0:
        return f"its spider was ended by {signal.Signals(-status).name}"
    if status == os.EX_CONFIG:
        return "its spider refused to start: it is not set up, or its address check would be by-passed (see its log)"
    return f"its spider ended with status {status}"
