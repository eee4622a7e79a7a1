"""A small disk of its own for an embedded Sitewise, filled to the last byte and emptied again. Root may mount one."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from pipeline.errors import SitewiseError
from pipeline.services.crawls import NewDatasource
from tests.chaos.deployment import knowledge, settings_for
from tests.lab.embedded import Embedded
from tests.lab.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.services.crawls import CrawlJob

MEGABYTES = 250
FULL_SECONDS = 20.0


def full(url: str, *, pages: int) -> dict[str, object]:
    """Crawl, fill the disk mid-way, wait, make room; what was said meanwhile, and how it ended."""
    with _disk() as folder, tempfile.TemporaryDirectory(prefix="chaos-logs-") as logs:
        settings = settings_for(folder)
        with Embedded(Path(logs), settings) as sitewise:
            added = sitewise.services.crawls.add(NewDatasource(url=url, page_limit=pages), scope=sitewise.scope)
            crawl = sitewise.services.crawls.start(added.id, scope=sitewise.scope)
            eventually(
                lambda: sitewise.job(crawl).fetched_pages >= pages // 5, seconds=300, what="a fifth of the pages"
            )
            filler = folder / "filler"
            _fill(filler)
            said: set[str] = set()
            for _ in range(int(FULL_SECONDS / 0.5)):
                Event().wait(0.5)
                said.add(_said(sitewise, crawl))
            at = sitewise.job(crawl).fetched_pages
            filler.unlink()
            ended = sitewise.until_ended(crawl, seconds=600)
            report = sitewise.services.verification.verify(scope=sitewise.scope)
            known = knowledge(sitewise.services, sitewise.scope)
            return {
                "status": ended.status,
                "attempts": ended.attempts,
                "full_at": at,
                "said": sorted(said),
                "lost": pages - len([1 for status, _ in known.pages.values() if status == "synced"]),
                "clean": report.is_clean,
            }


@contextmanager
def _disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chaos-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=700", "tmpfs", folder]
        subprocess.run(mount, check=True)  # noqa: S603 - constants
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S603, S607 - constants


def _fill(path: Path) -> None:
    piece = bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(piece)
        except OSError:
            pass


def _said(sitewise: Embedded, crawl: CrawlJob) -> str:
    try:
        job = sitewise.job(crawl)
    except SitewiseError as error:
        return type(error).__name__
    return f"{job.status}: {job.error_message}"
