"""`sitewise status`, `page`, `why` and `verify`: what is known, and why."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from pipeline.cli.output import moment, out, print_json, print_table, say
from pipeline.cli.session import chosen, opened, opened_with_store
from pipeline.owner.lock import owner_of
from pipeline.services.pages import PageView

page_app = typer.Typer(help="Look at the pages of the knowledge base.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(*, as_json: Json = False) -> None:
    """Show websites, running crawls, waiting work and who owns the data directory."""
    settings = chosen.settings()
    owner = owner_of(settings.data_dir)
    with opened(settings) as (services, scope):
        datasources = services.crawls.list_datasources(scope=scope)
        counts = {source.id: services.pages.count(scope=scope, datasource_id=source.id) for source in datasources}
        jobs = services.crawls.list_jobs(scope=scope, limit=5)
        waiting = services.pages.count_waiting()
    if as_json:
        sources = [
            {
                "id": source.id,
                "url": source.url,
                "display_name": source.display_name,
                "status": source.status,
                "next_crawl_at": source.next_crawl_at,
                "last_crawl_completed_at": source.last_crawl_completed_at,
                "page_stats": {"total": sum(counts[source.id].values()), **counts[source.id]},
            }
            for source in datasources
        ]
        shown = dataclasses.asdict(owner) if owner else None
        print_json({"owner": shown, "datasources": sources, "crawls": jobs, "waiting_pages": waiting})
        return
    say(f"Running: {owner.command} (pid {owner.pid})" if owner else "Nothing is running; `sitewise up` starts it.")
    print_table(
        ["website", "synced", "pending", "error", "excluded", "last crawl", "next crawl"],
        [
            [
                source.url,
                *counts[source.id].values(),
                moment(source.last_crawl_completed_at),
                moment(source.next_crawl_at),
            ]
            for source in datasources
        ],
        empty="No website yet; `sitewise crawl URL` adds one.",
    )
    print_table(
        ["crawl", "status", "trigger", "kept", "failed", "started", "ended"],
        [
            [
                job.id,
                job.status,
                job.trigger,
                job.new_pages + job.updated_pages + job.unchanged_pages,
                job.failed_pages,
                moment(job.started_at),
                moment(job.completed_at),
            ]
            for job in jobs
        ],
        empty="No crawl yet.",
    )
    if waiting:
        say(f"{waiting} pages wait to be indexed.")


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
    with opened() as (services, scope):
        pages = services.pages.list_pages(scope=scope, search=search, status=status, limit=limit)
    if as_json:
        print_json({"items": pages, "next": None})
        return
    print_table(["url", "status", "reason", "chunks", "title"], [_row(page) for page in pages], empty="No page.")


@page_app.command("show")
def show_page(url: Annotated[str, typer.Argument(help="A page's URL or id.")], *, as_json: Json = False) -> None:
    """Show one page: its text, its versions, and what was kept out of the text."""
    with opened() as (services, scope):
        detail = services.pages.show(url, scope=scope)
    if as_json:
        print_json(detail)
        return
    page = detail.page
    print_table(["", ""], [[name, value] for name, value in dataclasses.asdict(page).items()], empty="")
    print_table(
        ["version", "state", "live", "chunks", "embedded", "fetched", "extractor"],
        [
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
        ],
        empty="No version: the page was never kept.",
    )
    for reason, text in detail.dropped:
        say(f"kept out ({reason}): {text[:200]}")
    if detail.markdown:
        out.print("")
        out.print(detail.markdown, markup=False)


def why(url: Annotated[str, typer.Argument(help="Any URL.")], *, as_json: Json = False) -> None:
    """Say why a URL is, or is not, in the knowledge base."""
    with opened() as (services, scope):
        answer = services.pages.why(url, scope=scope)
    if as_json:
        print_json(answer)
        return
    lines = [f"{answer.url}", f"{answer.reason}: {answer.meaning}"]
    lines += [f"It leads to {answer.target}"] if answer.target else []
    lines += [f"Seen {moment(answer.seen_at)}"] if answer.seen_at else []
    lines += [f"HTTP status {answer.http_status}"] if answer.http_status else []
    lines += [f"Found on {answer.found_on}"] if answer.found_on else []
    lines += [answer.detail] if answer.detail else []
    typer.echo("\n".join(lines))


def verify(*, as_json: Json = False) -> None:
    """Compare the database with the vector store. Exit status 1 if they differ."""
    with opened_with_store() as (services, scope):
        found = services.verification.verify(scope=scope)
    if as_json:
        print_json(found)
    else:
        print_table(["difference", "count"], list(dataclasses.asdict(found).items()), empty="")
    raise typer.Exit(0 if found.is_clean else 1)


def _row(page: PageView) -> list[object]:
    return [page.url, page.status, page.reason, page.chunks or "", page.title]
