"""`sitewise crawl`: read a website now, and show how it goes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pipeline.cli.output import print_json, print_line, say
from pipeline.cli.session import chosen as options
from pipeline.cli.session import database_exists, opened, prepare_directory

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.cli.watching import Watched
    from pipeline.model import OrgScope
    from pipeline.services.crawls import CrawlJob
    from pipeline.services.reasons import Why
    from pipeline.services.websites import NewDatasource
    from pipeline.settings import Settings

NOTHING_KEPT = 3


def crawl(
    url: Annotated[str, typer.Argument(help="The website, such as https://www.example.com/.", show_default=False)],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it [default: its host].", show_default=False)] = None,
    page_limit: Annotated[int, typer.Option(help="Pages to keep at most, 1 to 5000.")] = 100,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only paths like /docs/* or re:EXPRESSION; repeat.", show_default=False),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="No paths like these; repeat. Exclude wins.", show_default=False),
    ] = None,
    subdomains: Annotated[bool, typer.Option("--subdomains", help="Take in every host under its own.")] = False,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Take in this host, or *.HOST; repeat.", show_default=False),
    ] = None,
    render_js: Annotated[
        str, typer.Option(metavar="WHEN", help="Run pages' scripts in a browser: never, auto or always.")
    ] = "never",
    documents: Annotated[bool, typer.Option("--documents", help="Take linked PDF documents as pages.")] = False,
    every: Annotated[
        int | None,
        typer.Option(metavar="HOURS", help="Crawl again by itself under `sitewise up`.", show_default=False),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what a crawl would do, and store nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as JSON.")] = False,
) -> None:
    """Crawl a website now; again, only what changed.

    Exit status: 0 done, 3 nothing kept, 2 bad input, 1 failure, 130 interrupted. Interrupted or failed,
    the same command goes on from where it was.
    """
    from pipeline.services.websites import (  # noqa: PLC0415 - what crawls is not loaded to show help
        NewDatasource,
        check_datasource,
    )

    settings = options.settings()
    new = NewDatasource(
        url=url,
        display_name=name,
        page_limit=page_limit,
        include_paths=tuple(include or ()),
        exclude_paths=tuple(exclude or ()),
        crawl_interval_hours=every,
        render_js=render_js,
        documents=documents,
        subdomains=subdomains,
        extra_hosts=tuple(host or ()),
    )
    client = options.client()
    if client is None:
        check_datasource(new, settings)
    if preview:
        from pipeline.cli.previewing import preview as show_preview  # noqa: PLC0415 - as above

        raise typer.Exit(show_preview(new, settings, as_json=as_json))
    if client is not None:
        from pipeline.cli.remote.crawling import crawl_there  # noqa: PLC0415 - as above

        with client:
            raise typer.Exit(crawl_there(client, new, as_json=as_json))
    from pipeline.cli.watching import watch  # noqa: PLC0415 - nor for what is no website

    _vet(new, settings)
    with opened(settings, makes_org=True) as (services, scope):
        datasource = services.crawls.add(new, scope=scope)
        with working(settings, services) as begins:
            crawl_id = _started(services, datasource.id, scope, hints=not begins)
            watched = watch(services.crawls, crawl_id, scope=scope, page_limit=page_limit, settings=settings)
        start = None if kept_pages(watched.job) else services.pages.why(url, scope=scope, datasource_id=datasource.id)
    report(watched, start, as_json=as_json)
    raise typer.Exit(exit_status(watched.job))


@contextmanager
def working(settings: Settings, services: Services) -> Iterator[bool]:
    """Workers, for as long as this command runs: those that run already while they do, else children of this process.

    Whether they only begin now: then they ask for what is due by themselves. To send a hint costs more than to
    start a crawl, as Celery has to be loaded for it, while they load.

    Raises:
        GuardBypassed: If the environment names a proxy.
        ModelNotFound: If the embedding model is not there.
        ModelMismatch: If the knowledge base was embedded with another.
        VectorStoreUnavailable: If the vector store does not answer.
    """
    from pipeline.addresses import refuse_proxies  # noqa: PLC0415 - what crawls is not loaded to show help
    from pipeline.cli.session import is_served  # noqa: PLC0415
    from pipeline.owner.owner import Owner, needs_owner  # noqa: PLC0415
    from pipeline.owner.standby import Standby  # noqa: PLC0415

    services.generations.find()
    take_over = services.upkeep.take_over if settings.database.url is None else None
    if not needs_owner(settings):
        services.generations.prepare()
        yield False
        return
    if is_served(settings):
        services.generations.prepare()
        with Standby(settings, log_dir=log_directory(settings), on_taken=take_over):
            yield False
        return
    refuse_proxies(os.environ)  # the spiders would inherit them, and not start
    prepare_directory(settings, grows=True)
    with Owner(settings, log_dir=log_directory(settings), indexes_at_once=services.index.is_needed):
        services.generations.prepare()
        if take_over is not None:
            take_over()
        yield True


def log_directory(settings: Settings) -> Path:
    """Where the workers of a crawl write their lines."""
    return settings.data_dir / "logs"


def report(watched: Watched, start: Why | None = None, *, as_json: bool) -> None:
    """Show how a crawl ended, and what was said of its start page, where that may be why."""
    job, seconds = watched.job, watched.seconds
    if as_json:
        print_json(
            {
                **dataclasses.asdict(job),
                "seconds": round(seconds, 3),
                "pages_per_second": watched.pages_per_second and round(watched.pages_per_second, 2),
            }
        )
        return
    print_line(f"{job.status.capitalize()} in {seconds:.1f} s.")
    for line in _counts(watched):
        print_line(f"  {line}")
    for failure in (failure for failure in job.failures if failure.url not in (job.error_message or "")):
        print_line(f"  failed: {failure.url}  {failure.detail or failure.reason}")
    if job.limit_reached:
        say("The page limit was reached; --page-limit raises it.")
    if job.error_message:
        say(f"{job.error_message}. What was kept before is kept; `sitewise why URL` tells of each address.")
    elif not kept_pages(job):
        told = f" {start.url}: {start.detail or start.meaning}." if start is not None else ""
        say(f"Nothing was kept.{told} `sitewise why URL` tells of each address.")


def kept_pages(job: CrawlJob) -> int:
    """Pages in the knowledge base after this crawl."""
    return job.new_pages + job.updated_pages + job.unchanged_pages + job.not_due_pages


def exit_status(job: CrawlJob) -> int:
    """What the command's exit status says of this crawl."""
    if job.status != "completed":
        return 1
    return 0 if kept_pages(job) else NOTHING_KEPT


def _vet(new: NewDatasource, settings: Settings) -> None:
    """Refuse a website of which nothing could be kept before anything is stored; one that is known had its vetting.

    Raises:
        InvalidInput: Saying which part, and what would be right.
    """
    from pipeline.bootstrap import open_services  # noqa: PLC0415 - as above
    from pipeline.errors import OrgNotFound  # noqa: PLC0415

    with open_services(settings) as services:
        if database_exists(settings):
            with suppress(OrgNotFound):
                if services.crawls.is_settled(new, scope=services.orgs.find(options.org)):
                    return
        services.previews.vet(new)


def _started(services: Services, datasource_id: UUID, scope: OrgScope, *, hints: bool) -> UUID:
    """The crawl to watch: a new one, or the one under way, whose workers are told again."""
    from pipeline.errors import BrokerUnavailable, CrawlAlreadyRunning  # noqa: PLC0415 - as above

    try:
        return services.crawls.start(datasource_id, scope=scope, hints=hints).id
    except CrawlAlreadyRunning as running:
        say("A crawl of this website was under way; it goes on.")
        crawl_id = UUID(str(running.facts["crawl"]))
    with suppress(BrokerUnavailable):  # upkeep tells them later
        services.hints.crawl(crawl_id)
        services.hints.index(scope.org_id)
    return crawl_id


def _counts(watched: Watched) -> list[str]:
    job = watched.job
    pace = f" at {watched.pages_per_second:.1f} pages/s" if watched.pages_per_second else ""
    lines = [
        f"{job.total_pages} found, {job.fetched_pages} fetched{pace}",
        f"{kept_pages(job)} kept: {job.new_pages} new, {job.updated_pages} updated, {job.unchanged_pages} unchanged",
    ]
    if job.not_due_pages:
        lines.append(f"{job.not_due_pages} not due: they were not asked for")
    if job.removed_pages:
        lines.append(f"{job.removed_pages} removed")
    if job.refused_pages or job.failed_pages:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(job.refusals.items()))
        lines.append(f"{job.refused_pages} refused, {job.failed_pages} failed: {reasons}")
    lines.append(f"{job.chunks} chunk{'s' if job.chunks != 1 else ''}, {job.embedded_chunks} embedded now")
    return lines
