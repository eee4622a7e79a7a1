"""A Sitewise in server mode: real workers on real servers, started and killed one process at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self
from uuid import uuid4

import psutil
from sqlalchemy import func, select

from pipeline.bootstrap import Services, open_services
from pipeline.db.chunks import ChunkRow, VersionChunk
from pipeline.db.engine import Database
from pipeline.db.pages import Page
from pipeline.db.revision import upgrade
from pipeline.owner.environment import environment_of
from pipeline.services.crawls import CrawlJob, NewDatasource
from pipeline.settings import Settings, read_settings
from tests.lab.tiny_bert import write_tiny_bert
from tests.lab.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from pipeline.model import OrgScope

LEASE_SECONDS = 5
LEASE = f"PT{LEASE_SECONDS}S"


class Knowledge(NamedTuple):
    """What every page stands at, and every chunk of the live versions: its page, its place, its text."""

    pages: dict[str, tuple[str, str]]
    chunks: Counter[tuple[str, int, str]]


def settings_for(folder: Path, servers: Mapping[str, str] | None = None, **work: object) -> Settings:
    """Short leases, a model of a few kilobytes, and these servers; without them, embedded."""
    servers = servers or {}
    model = folder / "model"
    if not model.exists():
        write_tiny_bert(model, max_tokens=512)
    return read_settings(
        data_dir=folder / "data",
        cache_dir=folder / "cache",
        log_format="plain",
        database={"url": servers.get("postgres")},
        broker={"url": servers.get("redis")},
        upsert={"qdrant_url": servers.get("qdrant"), "collection": f"chaos-{uuid4().hex}", "timeout": "PT3S"},
        crawl={"allowed_addresses": "127.0.0.0/8", "lease": LEASE, "frontier_batch": 16, "commit_batch": 16},
        embed={"model": str(model), "backend": "openvino", "precision": "fp32"},
        extract={"processes": 1, "timeout": "PT2S"},
        work={
            "tick": "PT1S",
            "index_lease": LEASE,
            "hint_delays": ["PT1S", "PT2S", "PT4S"],
            "index_processes": 1,
        }
        | work,
    )


class DeploymentLeft(Exception):
    """Nobody works with it any more: no worker is started again."""


class Deployment:
    """Groups of workers on shared servers. Left, none of their processes is there any more."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Workers' lines go to `workers.log` in this folder."""
        self.folder = folder
        self.settings = settings
        self._groups: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._has_ended = False
        self._log = (folder / "workers.log").open("ab")

    def __enter__(self) -> Self:
        database = Database(self.settings.database, data_dir=self.settings.data_dir)
        upgrade(database)
        database.close()
        self.services: Services = open_services(self.settings)
        self.scope: OrgScope = self.services.orgs.ensure()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._has_ended = True
        for group in self._groups:
            end_all(group)
        self._log.close()
        self.services.close()

    def start_workers(self, *options: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """One `python -m workers.run`, as on one machine."""
        command = [sys.executable, "-m", "workers.run", *options]
        with self._lock:
            if self._has_ended:
                raise DeploymentLeft
            group = subprocess.Popen(  # noqa: S603 - our own module
                command,
                env=environment_of(self.settings) | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                start_new_session=True,
            )
            self._groups.append(group)
        return group

    def processes(self) -> dict[str, list[psutil.Process]]:
        """What runs now, by role: `workers` (supervisors), the queues (`upkeep` beats), `spider` and `parser`."""
        found: dict[str, list[psutil.Process]] = {}
        for group in self._groups:
            if group.poll() is None:
                found.setdefault("workers", []).append(psutil.Process(group.pid))
                for child in _children(group.pid):
                    if role := _role(child):
                        found.setdefault(role, []).append(child)
        return found

    def start_crawl(self, url: str, *, scope: OrgScope | None = None, pages: int = 5_000) -> CrawlJob:
        """Add a website and start a crawl of it."""
        scope = scope or self.scope
        added = self.services.crawls.add(NewDatasource(url=url, page_limit=pages), scope=scope)
        return self.services.crawls.start(added.id, scope=scope)

    def job(self, crawl: CrawlJob, *, scope: OrgScope | None = None) -> CrawlJob:
        """How the crawl stands now."""
        return self.services.crawls.job(crawl.id, scope=scope or self.scope)

    def until_ended(self, crawl: CrawlJob, *, seconds: float, scope: OrgScope | None = None) -> CrawlJob:
        """The crawl, ended."""

        def ended() -> CrawlJob | None:
            job = self.job(crawl, scope=scope)
            return job if job.has_ended else None

        return eventually(ended, seconds=seconds, what="crawl ended") or crawl

    def knowledge(self) -> Knowledge:
        """What is known now."""
        return knowledge(self.services, self.scope)

    def points(self) -> int:
        """How many points the store has of the org."""
        return self.services.store().count(scope=self.scope)


def knowledge(services: Services, scope: OrgScope) -> Knowledge:
    """What every page of an org stands at, and what the live versions consist of."""
    with services.database.read() as session:
        mine = select(Page).where(Page.org_id == scope.org_id)
        pages = {page.url: (page.status, page.reason) for page in session.scalars(mine)}
        live = (
            select(Page.url, VersionChunk.position, ChunkRow.text)
            .join(VersionChunk, VersionChunk.version_id == Page.live_version)
            .join(ChunkRow, ChunkRow.id == VersionChunk.chunk_id)
            .where(Page.org_id == scope.org_id)
        )
        return Knowledge(pages, Counter((url, position, text) for url, position, text in session.execute(live)))


def reasons(services: Services) -> dict[str, str]:
    """Why each URL is, or is not, known, by its path."""
    with services.database.read() as session:
        found = session.execute(select(Page.url, Page.reason))
        return {"/" + url.partition("//")[2].partition("/")[2]: reason for url, reason in found}


def live_chunks(services: Services) -> int:
    """How many different chunks the live versions consist of."""
    with services.database.read() as session:
        live = select(func.count(VersionChunk.chunk_id.distinct())).join(
            Page, Page.live_version == VersionChunk.version_id
        )
        return session.scalar(live) or 0


def end_all(group: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and whatever it started, frozen or not."""
    with suppress(psutil.NoSuchProcess):
        for one in [*_children(group.pid), psutil.Process(group.pid)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
    group.wait()


def _children(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        yield from psutil.Process(pid).children(recursive=True)


def _role(process: psutil.Process) -> str | None:
    try:
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None
    if "spiders.run" in words:
        return "spider"
    if any("parser_child" in word for word in words):
        return "parser"
    queues = [word.removeprefix("--queues=") for word in words if word.startswith("--queues=")]
    return queues[0] if queues and "," not in queues[0] else None
