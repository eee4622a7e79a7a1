"""What is done to a running Sitewise, and what is measured meanwhile. Each storm leaves the figures it found."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

from pipeline.adapters.celery import CeleryHints, broker_url
from pipeline.errors import BrokerUnavailable, SitewiseError
from tests.chaos.deployment import LEASE_SECONDS, Deployment, DeploymentLeft, live_chunks
from tests.chaos.recovery import Recovery
from tests.lab.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random
    from subprocess import Popen

    from pipeline.services.crawls import CrawlJob
    from tests.chaos.deployment import Knowledge
    from tests.chaos.servers import Server

VICTIMS = ("spider", "crawl", "index", "upkeep", "workers", "parser")
ALL_QUEUES = ("--queues=crawl,index,upkeep", "--beat")
Figures = dict[str, object]


class Machines:
    """Some `workers.run`, each kept alive as systemd would: one that died is started again."""

    def __init__(self, deployment: Deployment, count: int, options: Sequence[str] = ALL_QUEUES) -> None:
        self._deployment = deployment
        self._options = options
        self.groups: list[Popen[bytes]] = [deployment.start_workers(*options) for _ in range(count)]
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="machines", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Start none again from here on."""
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.wait(0.2):
            for place, group in enumerate(self.groups):
                if group.poll() is not None and not self._stop.is_set():
                    try:
                        self.groups[place] = self._deployment.start_workers(*self._options)
                    except DeploymentLeft:
                        return


def kills(deployment: Deployment, crawl: CrawlJob, random: Random, *, every: float, seconds: float) -> Figures:
    """Kill a random process every so often until the crawl has ended."""
    killed: Counter[str] = Counter()
    with Recovery(deployment.services) as recovery:
        next_kill = time.monotonic() + every
        deadline = time.monotonic() + seconds
        while not (job := deployment.job(crawl)).has_ended:
            if time.monotonic() > deadline:
                break
            if time.monotonic() >= next_kill:
                killed[_kill_one(deployment, random)] += 1
                next_kill += every
            threading.Event().wait(0.1)
        ended = deployment.job(crawl)
        with suppress(TimeoutError):
            eventually(lambda: recovery.still_orphaned == 0, seconds=4 * LEASE_SECONDS)
    return {
        "kills": dict(killed),
        "status": job.status,
        "attempts": ended.attempts,
        "still_orphaned": recovery.still_orphaned,
        "recovered": recovery.figures(most_seconds=LEASE_SECONDS + 5),
    }


def freeze(deployment: Deployment, crawl: CrawlJob, random: Random, *, times: int) -> Figures:
    """Stop a worker with all it started for three leases, and let it go on: its lease has long been another's."""
    frozen = []
    for _ in range(times):
        role = random.choice(("crawl", "index"))
        victims = _alive(deployment, role)
        if not victims or deployment.job(crawl).has_ended:
            break
        victim = random.choice(victims)
        everything = [victim, *victim.children(recursive=True)]
        _signal(everything, signal.SIGSTOP)
        threading.Event().wait(3 * LEASE_SECONDS)
        _signal(everything, signal.SIGCONT)
        frozen.append(role)
        threading.Event().wait(2)
    return {"frozen": frozen}


def server_stop(deployment: Deployment, crawl: CrawlJob, server: Server, *, seconds: float) -> Figures:
    """Freeze a server, kill it, start it again; how long until the crawl goes on, and what publishing took."""
    before = deployment.job(crawl)
    publishing = _Publishing(deployment)
    with publishing.measured():
        server.freeze()
        threading.Event().wait(seconds / 2)
        server.kill()
        threading.Event().wait(seconds / 2)
    server.start()
    returned = time.monotonic()
    eventually(lambda: _has_moved(deployment, crawl, before), seconds=120, what=f"progress after {server.name}")
    return {
        "server": server.name,
        "was_at": before.fetched_pages,
        "progress_after_seconds": round(time.monotonic() - returned, 1),
        "slowest_publish_seconds": round(publishing.slowest, 2),
        "publishes": publishing.count,
    }


def rolling_restarts(deployment: Deployment, crawl: CrawlJob, machines: Machines, *, rounds: int) -> Figures:
    """SIGTERM to one machine's workers after the other."""
    took = []
    for turn in range(rounds):
        if deployment.job(crawl).has_ended:
            break
        group = machines.groups[turn % len(machines.groups)]
        eventually(lambda group=group: len(psutil.Process(group.pid).children()) >= 3, seconds=30)  # type: ignore[misc]
        threading.Event().wait(2.0)
        began = time.monotonic()
        group.terminate()
        group.wait(60)
        took.append(round(time.monotonic() - began, 1))
    return {"restarts": len(took), "slowest_end_seconds": max(took, default=0.0)}


def verdict(deployment: Deployment, crawl: CrawlJob, *, expected: Knowledge | None = None, pages: int) -> Figures:
    """How everything stands: nothing lost, nothing doubled."""
    job = deployment.job(crawl)
    known = deployment.knowledge()
    report = deployment.services.verification.verify(scope=deployment.scope)
    figures: Figures = {
        "status": job.status,
        "attempts": job.attempts,
        "pages": len([1 for status, _ in known.pages.values() if status == "synced"]),
        "lost": pages - len([1 for status, _ in known.pages.values() if status == "synced"]),
        "live_chunks": live_chunks(deployment.services),
        "points": deployment.points(),
        "clean": report.is_clean,
        "refusals": job.refusals,
        "died": Counter(
            f"{one.kind}: {one.cause}" for one in deployment.services.dead_letters.list_letters(scope=deployment.scope)
        ),
    }
    if expected is not None:
        figures["same_rows"] = _without_host(known) == _without_host(expected)
    return figures


def _without_host(known: Knowledge) -> tuple[object, object]:
    """The rows of one site, wherever it was served."""
    pages = {url.partition("//")[2].partition("/")[2]: state for url, state in known.pages.items()}
    chunks = sorted((url.partition("//")[2].partition("/")[2], *rest) for (url, *rest) in known.chunks.elements())
    return pages, chunks


def _kill_one(deployment: Deployment, random: Random) -> str:
    roles = deployment.processes()
    role = random.choice([role for role in VICTIMS if roles.get(role)] or ["none"])
    if role == "none":
        return role
    victim = random.choice(sorted(roles[role], key=lambda process: process.pid))
    with suppress(psutil.NoSuchProcess):
        victim.kill()
    return role


def _alive(deployment: Deployment, role: str) -> list[psutil.Process]:
    return sorted(deployment.processes().get(role, []), key=lambda process: process.pid)


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            os.kill(one.pid, number)


def _has_moved(deployment: Deployment, crawl: CrawlJob, before: CrawlJob) -> bool:
    try:
        job = deployment.job(crawl)
    except SitewiseError:
        return False
    done = (job.fetched_pages, job.completed_pages)
    return job.has_ended or done > (before.fetched_pages, before.completed_pages)


class _Publishing:
    """Publishes hints as a process of the deployment does, and keeps the longest time one took."""

    def __init__(self, deployment: Deployment) -> None:
        self._hints = CeleryHints(broker_url(deployment.settings), deployment.settings.broker.publish_timeout)
        self.slowest = 0.0
        self.count = 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Publish meanwhile, over and over."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join()
        self._hints.close()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            began = time.monotonic()
            with suppress(BrokerUnavailable):
                self._hints.index(uuid4())
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1
