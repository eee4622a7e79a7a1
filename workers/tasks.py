"""The tasks: each looks at rows its message speaks of, calls one service, and ends."""

from __future__ import annotations

from uuid import UUID

from pipeline.adapters.celery import CRAWL_TASK, INDEX_TASK, UPKEEP_TASK
from workers import spider_process
from workers.app import Hint, app
from workers.services import identity, services, settings


@app.task(name=CRAWL_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def run_crawl(*, crawl_id: str, org_id: str | None = None) -> None:
    """Run a spider over this crawl, if it needs one and nobody has it."""
    del org_id
    spider_process.run(UUID(crawl_id), crawls=services().crawls, owner=identity())


@app.task(name=INDEX_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def index_pages(*, org_id: str, limit: int | None = None) -> None:
    """Index up to `limit` waiting pages, of the org whose turn it is."""
    report = services().index.index_waiting(UUID(org_id), limit=limit or settings().work.index_batch, owner=identity())
    services().gatekeeper.judge_waiting(UUID(org_id), owner=identity())
    if report.more:
        index_pages.delay(org_id=org_id, limit=limit)


@app.task(name=UPKEEP_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def tick(*, schedules: bool = True) -> None:
    """Start what is due, take back what is orphaned, end what is done."""
    services().upkeep.tick(schedules=schedules)
    services().webhook_sender.start()
