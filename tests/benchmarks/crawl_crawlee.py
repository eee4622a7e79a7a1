"""The same crawl by crawlee's Parsel crawler. Runs in an environment of its own and imports nothing of this project.

`PYTHON crawl_crawlee.py START PAGES FOLDER` prints JSON; links are followed, nothing is extracted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta

from crawlee import ConcurrencySettings, service_locator  # type: ignore[import-not-found] # only where this runs
from crawlee.crawlers import ParselCrawler, ParselCrawlingContext  # type: ignore[import-not-found] # likewise
from crawlee.storage_clients import MemoryStorageClient  # type: ignore[import-not-found] # likewise


async def crawl(start: str, limit: int, folder: str) -> dict[str, float]:
    """Follow every link of the host, up to `limit` pages, eight at a time."""
    began = time.monotonic()

    service_locator.get_configuration().storage_dir = folder
    crawler = ParselCrawler(
        max_requests_per_crawl=limit,
        concurrency_settings=ConcurrencySettings(min_concurrency=8, desired_concurrency=8, max_concurrency=8),
        request_handler_timeout=timedelta(seconds=60),
        storage_client=MemoryStorageClient(),
        configure_logging=False,
        statistics_log_format="inline",
    )
    pages, first, last = 0, 0.0, 0.0

    @crawler.router.default_handler  # type: ignore[untyped-decorator] # for the same reason
    async def page(context: ParselCrawlingContext) -> None:
        nonlocal pages, first, last
        pages, first = pages + 1, first or time.monotonic()
        await context.enqueue_links(strategy="same-hostname")
        last = time.monotonic()

    await crawler.run([start])
    return {"pages": pages, "seconds": time.monotonic() - began, "steady_seconds": last - first}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(crawl(sys.argv[1], int(sys.argv[2]), sys.argv[3]))) + "\n")
