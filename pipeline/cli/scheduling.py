"""`sitewise schedule`: when websites are crawled by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table, say
from pipeline.cli.session import opened

if TYPE_CHECKING:
    from pipeline.services.schedules import ScheduleView

schedule_app = typer.Typer(help="See and change when websites are crawled.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Website = Annotated[str, typer.Argument(help="A website's URL or id.")]


@schedule_app.command("list")
def list_schedules(*, as_json: Json = False) -> None:
    """List every website with its interval."""
    with opened() as (services, scope):
        views = services.schedules.list_schedules(scope=scope)
    _show(views, as_json=as_json, empty="No website yet; `sitewise crawl URL --every HOURS` adds one.")


@schedule_app.command("next")
def upcoming(
    *, limit: Annotated[int, typer.Option(min=1, max=10_000, help="Websites at most.")] = 20, as_json: Json = False
) -> None:
    """List what is crawled next, the first one first."""
    with opened() as (services, scope):
        views = services.schedules.upcoming(scope=scope, limit=limit)
    _show(views, as_json=as_json, empty="Nothing is crawled by the clock.")


@schedule_app.command("pause")
def pause(website: Website, *, as_json: Json = False) -> None:
    """Start no crawl of a website by the clock until it is resumed."""
    with opened() as (services, scope):
        view = services.schedules.pause(website, scope=scope)
    _show([view], as_json=as_json, empty="")


@schedule_app.command("resume")
def resume(website: Website, *, as_json: Json = False) -> None:
    """Crawl a website by the clock again."""
    with opened() as (services, scope):
        view = services.schedules.resume(website, scope=scope)
    _show([view], as_json=as_json, empty="")


@schedule_app.command("run")
def run_now(website: Website, *, as_json: Json = False) -> None:
    """Crawl a website now; workers do it."""
    with opened() as (services, scope):
        job = services.schedules.run(website, scope=scope)
        queues = services.org_overview.overview(scope=scope).queues
    if as_json:
        print_json(job)
    else:
        print_line(f"{job.id} {job.status}")
    if not any(queue.is_heard for queue in queues if queue.name == "crawl"):
        say("No worker listens now: the crawl waits until `sitewise up` or `python -m workers.run` starts one.")


def _show(views: Sequence[ScheduleView], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json({"items": views})
        return
    print_table(
        ["website", "every", "next", "", "last ended", "id"],
        [
            [
                view.url,
                f"{view.every_hours} h" if view.every_hours else "by hand",
                moment(view.next_crawl_at),
                _state(view),
                moment(view.last_crawl_completed_at),
                view.datasource_id,
            ]
            for view in views
        ],
        empty=empty,
    )


def _state(view: ScheduleView) -> str:
    if view.is_paused:
        return "paused"
    if view.running_crawl:
        return "runs"
    return "overdue" if view.is_overdue else ""
