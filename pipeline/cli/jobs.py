"""`sitewise jobs`: the crawls that were started, by hand or by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table
from pipeline.cli.session import opened, opened_with_store
from pipeline.errors import CrawlNotFound

if TYPE_CHECKING:
    from pipeline.services.crawls import CrawlJob

jobs_app = typer.Typer(help="Look at crawls, and end them.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CrawlId = Annotated[str, typer.Argument(help="A crawl's id.")]


@jobs_app.command("list")
def list_jobs(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Crawls at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List crawls, newest first."""
    with opened() as (services, scope):
        jobs = services.crawls.list_jobs(scope=scope, limit=limit)
        names = {source.id: source.display_name for source in services.crawls.list_datasources(scope=scope)}
    if as_json:
        print_json({"items": jobs})
        return
    print_table(
        ["crawl", "website", "now", "started by", "found", "kept", "failed", "held", "started", "ended"],
        [_row(job, names) for job in jobs],
        empty="No crawl yet.",
    )


@jobs_app.command("show")
def show_job(crawl: CrawlId, *, as_json: Json = False) -> None:
    """Show how one crawl stands."""
    with opened() as (services, scope):
        job = services.crawls.job(crawl_id(crawl), scope=scope)
    if as_json:
        print_json(job)
        return
    from pipeline.cli.watching import counts, phase  # noqa: PLC0415 - nothing is loaded to show help

    lines = [f"{job.id} {phase(job)}", counts(job)]
    lines += [f"started {moment(job.started_at)}, ended {moment(job.completed_at)}, attempts {job.attempts}"]
    lines += [f"{job.chunks} chunks, {job.embedded_chunks} embedded, {job.pending_pages} pages to index"]
    lines += [f"at {job.current_url}"] if job.current_url else []
    lines += [job.error_message] if job.error_message else []
    lines += [f"refused: {number} {reason}" for reason, number in sorted(job.refusals.items())]
    lines += [f"failed: {one.url} ({one.reason}, HTTP {one.http_status or '-'})" for one in job.failures]
    print_line("\n".join(lines))


@jobs_app.command("cancel")
def cancel_job(crawl: CrawlId, *, as_json: Json = False) -> None:
    """End a crawl; what it kept so far stays."""
    with opened() as (services, scope):
        job = services.crawls.cancel(crawl_id(crawl), scope=scope)
    if as_json:
        print_json(job)
    else:
        print_line(f"{job.id} {job.status}")


@jobs_app.command("approve")
def approve(crawl: CrawlId) -> None:
    """Carry out what a crawl holds."""
    with opened() as (services, scope):
        count = services.history.approve(crawl_id(crawl), scope=scope)
    print_line(f"{count} pages changed.")


@jobs_app.command("reject")
def reject(crawl: CrawlId) -> None:
    """Keep what serves instead of what a crawl holds."""
    with opened() as (services, scope):
        count = services.history.reject(crawl_id(crawl), scope=scope)
    print_line(f"{count} pages kept as they were.")


@jobs_app.command("rollback")
def rollback(crawl: CrawlId) -> None:
    """Answer as when this crawl ended, for every page of its website."""
    from pipeline.cli.history import say_rolled_back  # noqa: PLC0415 - nothing is loaded to show help

    with opened_with_store() as (services, scope):
        told = services.history.roll_back_to(crawl_id(crawl), scope=scope)
    say_rolled_back(told)


def crawl_id(text: str) -> UUID:
    """An id as it was typed.

    Raises:
        CrawlNotFound: If it is none.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise CrawlNotFound(crawl=text) from error


def _row(job: CrawlJob, names: Mapping[UUID, str]) -> list[object]:
    from pipeline.cli.watching import phase  # noqa: PLC0415 - nothing is loaded to show help

    kept = job.new_pages + job.updated_pages + job.unchanged_pages
    numbers = [job.total_pages, kept, job.failed_pages, job.held_pages]
    who = [str(job.id), names.get(job.datasource_id, ""), phase(job), job.trigger]
    return [*who, *numbers, moment(job.started_at), moment(job.completed_at)]
