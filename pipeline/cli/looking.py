"""`sitewise status`, `page`, `why` and `verify`: what is known, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table, say
from pipeline.cli.reembedding import told as told_of_models
from pipeline.cli.session import chosen, opened, opened_with_store
from pipeline.errors import InvalidInput
from pipeline.model import DatasourceStatus, PageStatus

if TYPE_CHECKING:
    from pipeline.bootstrap import Services
    from pipeline.model import OrgScope
    from pipeline.owner.lock import OwnerFacts
    from pipeline.services.crawls import CrawlJob
    from pipeline.services.datasources import DatasourceView
    from pipeline.services.org_overview import OrgOverview
    from pipeline.services.pages import PageDetail, PageView
    from pipeline.settings import Settings

page_app = typer.Typer(help="Look at the pages of the knowledge base.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SHOWN_JOBS, AT_ONCE = 5, 100


def status(
    *,
    live: Annotated[bool, typer.Option("--live", help="Show it again every two seconds, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show websites, crawls, queues, and what is running."""
    from pipeline.cli.operating import again_and_again  # noqa: PLC0415 - nothing is loaded to show help
    from pipeline.owner.lock import owner_of  # noqa: PLC0415

    settings = chosen.settings()
    with opened(settings) as (services, scope):

        def show() -> None:
            if chosen.server is not None:
                _status_elsewhere(services, scope, as_json=as_json)
            else:
                _status(services, scope, owner_of(settings.data_dir), as_json=as_json)

        again_and_again(show) if live else show()


def _status(services: Services, scope: OrgScope, owner: OwnerFacts | None, *, as_json: bool) -> None:
    from pipeline.cli.operating import print_overview  # noqa: PLC0415 - nothing is loaded to show help
    from pipeline.owner.owner import needs_owner  # noqa: PLC0415

    sources, jobs = _websites(services, scope), services.crawls.list_jobs(scope=scope, limit=SHOWN_JOBS)
    own = services.org_overview.overview(scope=scope)
    waiting = services.pages.count_waiting()
    seen = services.operations.overview(scope=scope)
    if as_json:
        shown = dataclasses.asdict(owner) if owner else None
        print_json(_told(sources, jobs, own) | {"owner": shown, "waiting_pages": waiting, "operations": seen})
        return
    _show_websites(sources, jobs)
    print_overview(seen, own.running, is_asleep=owner is None and needs_owner(services.settings))
    print_line("")
    print_line(_running(services.settings, owner))
    if waiting:
        print_line(f"{waiting} pages wait to be indexed.")
    for line in told_of_models(services.reembedding.under_way()):
        print_line(line)


def _status_elsewhere(services: Services, scope: OrgScope, *, as_json: bool) -> None:
    """What an org's key shows: nothing of the machines, nor of other orgs."""
    from pipeline.cli.operating import print_own  # noqa: PLC0415 - nothing is loaded to show help
    from pipeline.cli.remote.standing import RemoteOverview  # noqa: PLC0415

    sources, jobs = _websites(services, scope), services.crawls.list_jobs(scope=scope, limit=SHOWN_JOBS)
    elsewhere = cast("RemoteOverview", services.org_overview)
    own, parts = elsewhere.overview(scope=scope), elsewhere.parts()
    if as_json:
        print_json(_told(sources, jobs, own) | {"owner": None, "waiting_pages": None, "operations": {"stores": parts}})
        return
    _show_websites(sources, jobs)
    print_own(own, parts)


def _websites(services: Services, scope: OrgScope) -> list[DatasourceView]:
    """All of the org's, oldest first."""
    found = services.datasources.page_through(scope=scope, limit=AT_ONCE)
    sources = list(found.items)
    while found.next is not None:
        found = services.datasources.page_through(scope=scope, limit=AT_ONCE, after=found.next)
        sources += found.items
    return sources


def _told(sources: Sequence[DatasourceView], jobs: Sequence[CrawlJob], own: OrgOverview) -> dict[str, object]:
    """What both views of an installation have."""
    items = [_datasource(source) for source in sources]
    return {"datasources": items, "crawls": jobs, "running": own.running, "org": own}


def _show_websites(sources: Sequence[DatasourceView], jobs: Sequence[CrawlJob]) -> None:
    print_table(
        ["website", *(kind.value for kind in PageStatus), "last crawl", "next"],
        [
            [
                source.url,
                *(getattr(source.page_stats, kind) for kind in PageStatus),
                moment(source.last_crawl_completed_at),
                "paused" if source.status == DatasourceStatus.PAUSED else moment(source.next_crawl_at),
            ]
            for source in sources
        ],
        empty="No website yet; `sitewise crawl URL` adds one.",
    )
    if jobs:
        print_line("")
        print_table(["crawl", "kept", "failed", "started", "ended"], [_crawl(job, sources) for job in jobs], empty="")
    for job in jobs:
        if job.held_pages and job.error_message:
            print_line(job.error_message)
    print_line("")


@page_app.command("list")
def list_pages(
    *,
    search: Annotated[
        str | None, typer.Option("--search", "-q", help="Only URLs and titles with this in them.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="synced, pending, error or excluded.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Pages at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List pages in URL order."""
    if status is not None and status not in set(PageStatus):
        raise InvalidInput(option="--status", given=status, allowed=", ".join(PageStatus))
    with opened() as (services, scope):
        found = services.pages.page_through(scope=scope, search=search, status=status, limit=limit)
    if as_json:
        print_json({"items": found.items, "next": found.next})
        return
    rows = [_row(page) for page in found.items]
    print_table(["url", "status", "reason", "chunks", "title"], rows, empty="No page.")
    if found.next is not None:
        say("There are more; --limit raises how many are shown.")


@page_app.command("show")
def show_page(url: Annotated[str, typer.Argument(help="A page's URL or id.")], *, as_json: Json = False) -> None:
    """Show one page: its text and its versions.

    And what was kept out of the text.
    """
    with opened() as (services, scope):
        detail = services.pages.show(url, scope=scope)
    if as_json:
        print_json(detail)
        return
    for name, value in dataclasses.asdict(detail.page).items():
        if value is not None:
            print_line(f"{name:<15} {moment(value) if isinstance(value, datetime) else value}")
    print_line("")
    print_table(
        ["version", "state", "live", "chunks", "embedded", "fetched", "extractor"],
        _versions(detail),
        empty="No version: the page was never kept.",
    )
    for reason, text in detail.dropped:
        print_line(f"kept out ({reason}): {text[:200]}")
    if detail.markdown:
        print_line(f"\n{detail.markdown}")


def why(url: Annotated[str, typer.Argument(help="Any URL.")], *, as_json: Json = False) -> None:
    """Say why a URL is, or is not, in the knowledge base."""
    with opened() as (services, scope):
        answer = services.pages.why(url, scope=scope)
    if as_json:
        print_json(answer)
        return
    lines = [f"{answer.url}", f"{answer.reason}: {answer.meaning}"]
    lines += [f"Known as {answer.known_as}"] if answer.known_as else []
    lines += [f"It leads to {answer.target}"] if answer.target else []
    lines += [f"Seen {moment(answer.seen_at)}"] if answer.seen_at else []
    lines += [f"HTTP status {answer.http_status}"] if answer.http_status else []
    lines += [f"Found on {answer.found_on}"] if answer.found_on else []
    lines += [answer.detail] if answer.detail else []
    print_line("\n".join(lines))


def verify(*, as_json: Json = False) -> None:
    """Compare the database with the vector store. Exit status 1 if they differ."""
    with opened_with_store() as (services, scope):
        found = services.verification.verify(scope=scope)
    if as_json:
        print_json(found)
    else:
        print_table(["difference", "count"], list(dataclasses.asdict(found).items()), empty="")
    raise typer.Exit(0 if found.is_clean else 1)


def _running(settings: Settings, owner: OwnerFacts | None) -> str:
    from pipeline.owner.owner import needs_owner  # noqa: PLC0415 - nothing is loaded to show help

    if owner is not None:
        return f"Running: {owner.command} (process {owner.pid})"
    if needs_owner(settings):
        return "Nothing is running; `sitewise up` starts it."
    return "Everything is on servers; `sitewise up` or `python -m workers.run` add workers."


def _datasource(source: DatasourceView) -> dict[str, object]:
    return {
        "id": source.id,
        "url": source.url,
        "display_name": source.display_name,
        "status": source.status,
        "page_limit": source.page_limit,
        "include_paths": source.include_paths,
        "exclude_paths": source.exclude_paths,
        "crawl_interval_hours": source.crawl_interval_hours,
        "next_crawl_at": source.next_crawl_at,
        "last_crawl_completed_at": source.last_crawl_completed_at,
        "error_message": source.error_message,
        "page_stats": source.page_stats,
    }


def _crawl(job: CrawlJob, sources: Sequence[DatasourceView]) -> list[object]:
    name = next((source.display_name for source in sources if source.id == job.datasource_id), "")
    kept = job.new_pages + job.updated_pages + job.unchanged_pages + job.not_due_pages
    return [f"{name} {job.status}", kept, job.failed_pages, moment(job.started_at), moment(job.completed_at)]


def _versions(detail: PageDetail) -> list[list[object]]:
    return [
        [
            row.number,
            row.state,
            "yes" if row.is_live else "",
            row.chunks,
            row.embedded,
            moment(row.fetched_at),
            row.extractor,
        ]
        for row in detail.versions
    ]


def _row(page: PageView) -> list[object]:
    return [page.url, page.status, page.reason, page.chunks or "", page.title]
