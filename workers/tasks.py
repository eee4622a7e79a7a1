"""The tasks: each looks at rows its message speaks of, calls one service, and ends."""

from __future__ import annotations

from uuid import UUID

from pipeline import tracing
from pipeline.adapters.celery import ADD_WEBSITE_TASK, CRAWL_TASK, INDEX_TASK, START_CRAWL_TASK, UPKEEP_TASK
from pipeline.holders import this_process
from workers import spider_process
from workers.app import Hint, app
from workers.services import services, settings


@app.task(name=CRAWL_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def run_crawl(*, crawl_id: str, org_id: str | None = None) -> None:
    """Run a spider over this crawl, if it needs one and nobody has it."""
    del org_id
    spider_process.run(UUID(crawl_id), crawls=services().crawls, owner=this_process())


@app.task(name=INDEX_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def index_pages(*, org_id: str, limit: int | None = None) -> None:
    """Index up to `limit` waiting pages, of the org whose turn it is; where none wait, stored ones are read again."""
    report = services().index.index_waiting(
        UUID(org_id), limit=limit or settings().work.index_batch, owner=this_process()
    )
    services().gatekeeper.judge_waiting(UUID(org_id), owner=this_process())
    if report.more or (not report.pages and _work_in_the_background()):
        index_pages.again(org_id=org_id, limit=limit)


def _work_in_the_background() -> bool:
    """Read stored pages again for some seconds, embed again until a page waits. Whether more is left."""
    is_more = services().rereading.work(owner=this_process())
    return services().reembedding.work(owner=this_process(), until=services().index.is_waiting) or is_more


@app.task(name=UPKEEP_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def tick(*, schedules: bool = True) -> None:
    """Start what is due, take back what is orphaned, end what is done."""
    services().upkeep.tick(schedules=schedules)
    services().rereading.hint()
    services().reembedding.hint()
    services().webhook_sender.start()
    services().reembedding.settle(lasting=settings().work.tick / 4)


@app.task(name=ADD_WEBSITE_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def add_website(**fields: object) -> None:
    """Another service adds a website, as `POST /crawl` would."""
    with tracing.span("order", parent=tracing.woken_by()):
        services().orders.add_website(fields)


@app.task(name=START_CRAWL_TASK, base=Hint)  # type: ignore[untyped-decorator] # Celery has no types
def start_crawl(**fields: object) -> None:
    """Another service starts a crawl, as `POST /crawl/{id}/crawls` would."""
    with tracing.span("order", parent=tracing.woken_by()):
        services().orders.start_crawl(fields)
