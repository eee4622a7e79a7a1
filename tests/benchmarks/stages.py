"""One stage alone, in this process: what the whole can at best be as fast as.

`python -m tests.benchmarks.stages crawl DATA_DIR URL PAGES` fetches, extracts and stores pages without indexing them;
`python -m tests.benchmarks.stages index DATA_DIR` then indexes what waits. Each prints JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from pipeline.adapters.process_template import ProcessTemplate
from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.opening import edge_path
from pipeline.bootstrap import Services
from pipeline.errors import LeaseLost
from pipeline.services.crawls import NewDatasource
from pipeline.settings import Settings, read_settings
from workers.spider_template import template_of


class NoHints:
    """Nobody listens."""

    def crawl(self, crawl_id: UUID) -> None:
        """Say nothing."""

    def index(self, org_id: UUID) -> None:
        """Say nothing."""

    def index_waits(self) -> bool:
        """Nothing was said."""
        return False


def crawl(data_dir: Path, url: str, pages: int) -> dict[str, float]:
    """Run the real spider over a site, and nothing else.

    `seconds` are those of the spider, from being asked for to its exit; what it is copied from was loaded before:
    that took `loading_seconds`. CPU is that of both.
    """
    data_dir.mkdir(parents=True)
    with Services(read_settings(data_dir=data_dir), hints=NoHints()) as services:
        scope = services.orgs.ensure()
        source = services.crawls.add(NewDatasource(url, page_limit=pages), scope=scope)
        job = services.crawls.start(source.id, scope=scope)
        claim = services.crawls.claim(job.id, owner="benchmark")
        if claim is None:
            raise RuntimeError(job.id)
        ids = [f"--crawl-id={claim.crawl_id}", f"--org-id={claim.org_id}", f"--token={claim.token}"]
        began = time.monotonic()
        with prepared(read_settings(data_dir=data_dir)) as template:
            loaded = time.monotonic()
            spider = template.start(ids, {**os.environ, "SITEWISE_DATA_DIR": str(data_dir)})
            if spider is None:
                raise RuntimeError(ids)
            ended = threading.Thread(target=spider.wait)
            ended.start()
            while ended.is_alive():
                with suppress(LeaseLost):  # it ends in the moment between its last write and its exit
                    services.crawls.renew(claim)
                ended.join(timeout=5)
            seconds = time.monotonic() - loaded
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        job = services.crawls.job(job.id, scope=scope)
        return {
            "seconds": seconds,
            "loading_seconds": loaded - began,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "pages": job.new_pages,
        }


@contextmanager
def prepared(settings: Settings) -> Iterator[ProcessTemplate]:
    """What spiders are copied from, loaded."""
    template = template_of(settings.extract)
    template.prepare()
    if not template.loaded():
        raise RuntimeError(template)
    try:
        yield template
    finally:
        template.close()


def index(data_dir: Path) -> dict[str, float]:
    """Chunk, embed and store whatever waits; loading the model is not counted."""
    settings = read_settings(data_dir=data_dir)
    store = EdgeStore(edge_path(settings))
    with Services(settings, hints=NoHints(), store=store) as services:
        services.answers.warm_up()
        began, chunks, embedded = time.monotonic(), 0, 0
        more = True
        while more:
            report = services.index.index_waiting(limit=settings.work.index_batch, owner="benchmark")
            chunks, embedded, more = chunks + report.chunks, embedded + report.embedded, report.more
        seconds = time.monotonic() - began
    store.close()
    return {"seconds": seconds, "chunks": chunks, "embedded": embedded}


def main(stage: str, data_dir: str, *rest: str) -> None:
    """Run the stage that is named."""
    done = index(Path(data_dir)) if stage == "index" else crawl(Path(data_dir), rest[0], int(rest[1]))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
