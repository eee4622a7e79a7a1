"""An embedded Sitewise in a directory of its own: real broker, real workers, real spiders."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.bootstrap import Services, open_services
from pipeline.model import OrgScope
from pipeline.owner.owner import Owner
from pipeline.services.crawls import CrawlJob, NewDatasource
from pipeline.settings import Settings, read_settings
from tests.lab.waiting import eventually

CRAWL_SECONDS = 240


def quick_settings(folder: Path, **others: object) -> Settings:
    """Leases and delays of a second or so, and loopback allowed."""
    return read_settings(
        data_dir=folder / "data",
        crawl={"allowed_addresses": "127.0.0.0/8", "lease": "PT3S"},
        extract={"processes": 1},
        work={
            "tick": "PT0.5S",
            "index_lease": "PT4S",
            "hint_delays": ["PT0.5S", "PT1S", "PT2S"],
            "index_processes": 1,
        },
        **others,
    )


class Embedded:
    """Crawls and reads, from `with` to the end of the block. The children's lines are in `logs/`."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        """Own `data/` in this folder, once entered."""
        self.settings = settings or quick_settings(folder)
        self.owner = Owner(self.settings, log_dir=folder / "logs")

    def __enter__(self) -> Self:
        self.owner.__enter__()
        self.services: Services = open_services(self.settings)
        self.scope: OrgScope = self.services.orgs.ensure()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.services.close()
        self.owner.__exit__(kind, error, trace)

    def start(self, url: str, *, include: tuple[str, ...] = (), services: Services | None = None) -> CrawlJob:
        """Add a website and start a crawl of it, through these services."""
        used = services or self.services
        added = used.crawls.add(NewDatasource(url=url, include_paths=include), scope=self.scope)
        return used.crawls.start(added.id, scope=self.scope)

    def job(self, crawl: CrawlJob) -> CrawlJob:
        """How the crawl stands now."""
        return self.services.crawls.job(crawl.id, scope=self.scope)

    def until_ended(self, crawl: CrawlJob, *, seconds: float = CRAWL_SECONDS) -> CrawlJob:
        """The crawl, ended."""

        def ended() -> CrawlJob | None:
            job = self.job(crawl)
            return job if job.has_ended else None

        return eventually(ended, seconds=seconds, what="crawl ended") or crawl
