"""`sitewise crawl`: read a website now, and show how it goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import typer

from pipeline.bootstrap import Services
from pipeline.cli.output import print_json, say
from pipeline.cli.session import chosen as options
from pipeline.cli.session import opened, prepare_directory
from pipeline.cli.watching import watch
from pipeline.errors import CrawlAlreadyRunning
from pipeline.model import CrawlStatus
from pipeline.owner.lock import owner_of
from pipeline.services.crawls import CrawlJob, NewDatasource
from pipeline.settings import Settings

NOTHING_KEPT = 3


def crawl(
    url: Annotated[str, typer.Argument(help="The website, such as https://www.example.com/.")],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it [default: its host].")] = None,
    page_limit: Annotated[int, typer.Option(help="Pages to keep at most.")] = 100,
    include: Annotated[list[str] | None, typer.Option(help="Only paths like /docs/* or re:EXPRESSION; repeat.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No paths like these; repeat. Exclude wins.")] = None,
    every: Annotated[
        int | None, typer.Option(metavar="HOURS", help="Crawl again by itself, under `sitewise up`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as JSON.")] = False,
) -> None:
    """Crawl a website into the knowledge base, now. Crawling it again fetches only what changed.

    Exit status: 0 done, 3 nothing kept, 2 bad input, 1 failure.
    """
    settings = options.settings()
    new = NewDatasource(
        url=url,
        display_name=name,
        page_limit=page_limit,
        include_paths=tuple(include or ()),
        exclude_paths=tuple(exclude or ()),
        crawl_interval_hours=every,
    )
    with opened(settings) as (services, scope):
        datasource = services.crawls.add(new, scope=scope)
        with working(settings, services):
            try:
                crawl_id = services.crawls.start(datasource.id, scope=scope).id
            except CrawlAlreadyRunning as running:
                crawl_id = UUID(str(running.facts["crawl"]))
                say("A crawl of this website was under way; it goes on.")
            job, seconds = watch(services.crawls, crawl_id, scope=scope)
    report(job, seconds, as_json=as_json)
    raise typer.Exit(exit_status(job))


@contextmanager
def working(settings: Settings, services: Services) -> Iterator[None]:
    """Workers, for as long as this command runs: those that run already, else children of this process."""
    from pipeline.owner.owner import Owner, needs_owner  # noqa: PLC0415 - starts processes; most commands do not

    if not needs_owner(settings) or owner_of(settings.data_dir) is not None:
        yield
        return
    prepare_directory(settings)
    logs = settings.data_dir / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    with Owner(settings, log_dir=logs):
        if settings.database.url is None:
            services.upkeep.take_over()
        yield


def report(job: CrawlJob, seconds: float, *, as_json: bool) -> None:
    """Show how a crawl ended."""
    if as_json:
        print_json({**dataclasses.asdict(job), "seconds": round(seconds, 3)})
        return
    kept = job.new_pages + job.updated_pages + job.unchanged_pages
    summary = (
        f"{job.status.capitalize()} in {seconds:.1f} s: {kept} pages kept"
        f" ({job.new_pages} new, {job.updated_pages} updated, {job.unchanged_pages} unchanged),"
        f" {job.removed_pages} removed, {job.refused_pages} refused, {job.failed_pages} failed;"
        f" {job.chunks} chunks, {job.embedded_chunks} embedded."
    )
    lines = [summary]
    lines += [f"  {reason}: {count}" for reason, count in sorted(job.refusals.items())]
    lines += [f"  {failure.url}: {failure.detail or failure.reason}" for failure in job.failures]
    if job.limit_reached:
        lines.append("The page limit was reached; --page-limit raises it.")
    if job.error_message:
        lines.append(job.error_message)
    typer.echo("\n".join(lines))


def exit_status(job: CrawlJob) -> int:
    """What the command's exit status says of this crawl."""
    if job.status != CrawlStatus.COMPLETED:
        return 1
    kept = job.new_pages + job.updated_pages + job.unchanged_pages
    return 0 if kept else NOTHING_KEPT
