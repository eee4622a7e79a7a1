"""`python -m tests.chaos`: a crawl of a large website through every storm, with figures, a line of JSON each."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from tests.chaos import disk, schedules, storms
from tests.chaos.deployment import Deployment, reasons, settings_for
from tests.chaos.proxy import Proxy
from tests.chaos.servers import own_servers
from tests.chaos.site import poisoned, site
from tests.lab.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.services.crawls import CrawlJob
    from tests.chaos.servers import Server

CRAWL_SECONDS = 900.0
STOPS = (signal.SIGINT, signal.SIGTERM)
BROKEN = os.pathsep.join([str(Path(__file__).parent / "broken"), str(Path(__file__).parents[2])])
"""A path on which Python finds parsers that die, and clocks that are ahead."""


class Run:
    """One storm: its servers, its site and its dice."""

    def __init__(self, name: str, options: argparse.Namespace, servers: dict[str, Server]) -> None:
        self.name, self.pages, self.seed, self.every = name, options.pages, options.seed, options.every
        self.random = Random(self.seed)  # noqa: S311 - dice, not secrets
        self.servers = servers

    @contextmanager
    def deployment(self, *, broker: str | None = None) -> Iterator[Deployment]:
        """Workers to come, on these servers, in a folder that is gone after."""
        with tempfile.TemporaryDirectory(prefix=f"chaos-{self.name}-") as folder:
            urls = {name: server.url for name, server in self.servers.items()}
            urls |= {"postgres": self._new_database(), "redis": broker or urls["redis"]}
            with Deployment(Path(folder), settings_for(Path(folder), urls)) as deployment:
                yield deployment

    def _new_database(self) -> str:
        url = self.servers["postgres"].url
        name = f"run_{uuid4().hex}"
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return url.rpartition("/")[0] + f"/{name}"

    @staticmethod
    def reaches(deployment: Deployment, crawl: CrawlJob, pages: int) -> None:
        """Wait until so many pages were fetched."""
        eventually(lambda: deployment.job(crawl).fetched_pages >= pages, seconds=300, what=f"{pages} pages")


def run_kills(run: Run) -> storms.Figures:
    """A random process is killed every so many seconds until the crawl has ended."""
    with site(run.pages) as running, run.deployment() as deployment:
        machines = storms.Machines(deployment, 2)
        crawl = deployment.start_crawl(running.url)
        figures = storms.kills(deployment, crawl, run.random, every=run.every, seconds=CRAWL_SECONDS)
        machines.stop()
        again = sum(count - 1 for path, count in running.counts().items() if path.startswith("/p/"))
        return figures | {"fetched_again": again} | storms.verdict(deployment, crawl, pages=run.pages)


def run_calm(run: Run) -> storms.Figures:
    """Nothing happens."""
    with site(run.pages) as running, run.deployment() as deployment:
        machines = storms.Machines(deployment, 2)
        crawl = deployment.until_ended(deployment.start_crawl(running.url), seconds=CRAWL_SECONDS)
        machines.stop()
        return storms.verdict(deployment, crawl, pages=run.pages)


def run_servers(run: Run) -> storms.Figures:
    """Each server is frozen for 10 seconds, killed for 10 more, and started again."""
    found: storms.Figures = {}
    with site(run.pages) as running, run.deployment() as deployment:
        machines = storms.Machines(deployment, 2)
        crawl = deployment.start_crawl(running.url)
        for turn, name in enumerate(("redis", "postgres", "qdrant"), start=1):
            run.reaches(deployment, crawl, turn * run.pages // 10)
            found[name] = storms.server_stop(deployment, crawl, run.servers[name], seconds=20.0)
        ended = deployment.until_ended(crawl, seconds=CRAWL_SECONDS)
        machines.stop()
        return found | storms.verdict(deployment, ended, pages=run.pages)


def run_freeze(run: Run) -> storms.Figures:
    """Workers are stopped for three leases, and go on."""
    with site(run.pages) as running, run.deployment() as calm:
        machines = storms.Machines(calm, 1)
        calm.until_ended(calm.start_crawl(running.url), seconds=CRAWL_SECONDS)
        machines.stop()
        expected = calm.knowledge()
    with site(run.pages) as running, run.deployment() as deployment:
        machines = storms.Machines(deployment, 2)
        crawl = deployment.start_crawl(running.url)
        run.reaches(deployment, crawl, run.pages // 10)
        found = storms.freeze(deployment, crawl, run.random, times=3)
        ended = deployment.until_ended(crawl, seconds=CRAWL_SECONDS)
        machines.stop()
        return found | storms.verdict(deployment, ended, expected=expected, pages=run.pages)


def run_restarts(run: Run) -> storms.Figures:
    """All workers are restarted by SIGTERM, one machine after the other."""
    with site(run.pages) as running, run.deployment() as deployment:
        machines = storms.Machines(deployment, 2)
        crawl = deployment.start_crawl(running.url)
        run.reaches(deployment, crawl, run.pages // 20)
        found = storms.rolling_restarts(deployment, crawl, machines, rounds=6)
        ended = deployment.until_ended(crawl, seconds=CRAWL_SECONDS)
        machines.stop()
        return found | storms.verdict(deployment, ended, pages=run.pages)


def run_poison(run: Run) -> storms.Figures:
    """One page in fifty kills whoever parses it; another org's website is crawled beside."""
    poison = run.pages // 50
    broken = {"PYTHONPATH": BROKEN}
    with site(run.pages, poison=poison) as running, site(50) as beside, run.deployment() as deployment:
        deployment.start_workers(*storms.ALL_QUEUES, environment=broken)
        crawl = deployment.start_crawl(running.url)
        other = deployment.services.orgs.ensure("other")
        began = time.monotonic()
        theirs = deployment.until_ended(deployment.start_crawl(beside.url, scope=other), seconds=300, scope=other)
        other_seconds = round(time.monotonic() - began)
        ended = deployment.until_ended(crawl, seconds=CRAWL_SECONDS)
        letters = deployment.services.dead_letters.list_letters(scope=deployment.scope)
        found = {path for path, reason in reasons(deployment.services).items() if reason == "poison"}
        return storms.verdict(deployment, ended, pages=run.pages - poison) | {
            "poison": len(found),
            "exactly_those": found == set(poisoned(run.pages, poison)),
            "letters": dict(Counter(letter.cause for letter in letters)),
            "other_org": [theirs.status, theirs.completed_pages, other_seconds],
        }


def run_beats(run: Run) -> storms.Figures:
    """Two beats, five minutes apart, are killed over and over while websites come due."""
    ahead = {"PYTHONPATH": BROKEN, "CHAOS_CLOCK_SECONDS": "300"}
    with run.deployment() as deployment:
        return schedules.beats(deployment, run.random, websites=100, seconds=40, ahead=ahead)


def run_silence(run: Run) -> storms.Figures:
    """Every connection to Redis falls silent without being closed."""
    host, port = run.servers["redis"].url.removeprefix("redis://").split(":")
    with (
        Proxy(host, int(port)) as proxy,
        site(50) as running,
        run.deployment(broker=f"redis://127.0.0.1:{proxy.port}") as deployment,
    ):
        workers = deployment.start_workers(*storms.ALL_QUEUES)
        deployment.until_ended(deployment.start_crawl(running.url), seconds=120)
        before = {process.pid for process in psutil.Process(workers.pid).children()}
        proxy.silence()
        running.edit()
        began = time.monotonic()
        ended = deployment.until_ended(deployment.start_crawl(running.url), seconds=300)
        seconds = round(time.monotonic() - began)
        after = {process.pid for process in psutil.Process(workers.pid).children()}
        return storms.verdict(deployment, ended, pages=50) | {
            "ended_after_seconds": seconds,
            "workers_replaced": len(before - after),
        }


def run_disk(run: Run) -> storms.Figures:
    """The disk of an embedded Sitewise is full for a while."""
    with site(run.pages) as running:
        return disk.full(running.url, pages=run.pages)


STORMS: dict[str, Callable[[Run], storms.Figures]] = {
    "calm": run_calm,
    "kills": run_kills,
    "servers": run_servers,
    "freeze": run_freeze,
    "restarts": run_restarts,
    "poison": run_poison,
    "beats": run_beats,
    "silence": run_silence,
    "disk": run_disk,
}


def stop(number: int, frame: object) -> NoReturn:
    """End on the way through every block, so that no process of a storm stays behind; told again, go on with that."""
    del frame
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Run what was asked for; 1 when something was lost."""
    for number in STOPS:
        signal.signal(number, stop)
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("storms", nargs="*", choices=[*STORMS, []], help="which; none: all")
    parser.add_argument("--pages", type=int, default=2_000, help="of the website")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000), help="of the dice")
    options = parser.parse_args()
    is_well = True
    for name in options.storms or STORMS:
        began = time.monotonic()
        with own_servers() as servers:
            figures = STORMS[name](Run(name, options, servers))
        is_well = is_well and bool(figures["clean"]) and figures["lost"] == 0
        said = {"storm": name, "seed": options.seed, "seconds": round(time.monotonic() - began), **figures}
        sys.stdout.write(json.dumps(said, default=str) + "\n")
        sys.stdout.flush()
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
