"""`sitewise rederive`: stored pages are read again by a newer extractor, without asking their website."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import moment, print_json, print_line
from pipeline.cli.session import opened

if TYPE_CHECKING:
    from pipeline.services.rereading import Rereading

rederive_app = typer.Typer(
    help="Make texts anew from stored pages.\n\nOf those that another version of Sitewise made; nothing is fetched.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@rederive_app.command("start")
def start(*, as_json: Json = False) -> None:
    """Let workers read the org's stored pages again.

    In the background. Old texts answer until the new are whole.
    """
    with opened() as (services, scope):
        _print(services.rereading.start(scope=scope), as_json=as_json)


@rederive_app.command("status")
def status(*, as_json: Json = False) -> None:
    """Tell how far it is."""
    with opened() as (services, scope):
        _print(services.rereading.status(scope=scope), as_json=as_json)


@rederive_app.command("cancel")
def cancel(*, as_json: Json = False) -> None:
    """Read no more pages again; what was read stays."""
    with opened() as (services, scope):
        _print(services.rereading.cancel(scope=scope), as_json=as_json)


def _print(found: Rereading, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_line(f"running since {moment(found.since)}" if found.is_running else "not running")
    print_line(f"{found.live} pages answer; of {found.outdated} another extractor made the text")
    print_line(f"{found.derived} texts were made from stored pages by {found.extractor}")
    if found.left:
        print_line(f"{found.left} could not be read again, or would say much less, and stay as they are")
