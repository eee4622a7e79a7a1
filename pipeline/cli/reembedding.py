"""`sitewise reembed`: stored texts get vectors of another model, which then answers in the place of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table
from pipeline.cli.session import opened_with_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.services.reembedding import GenerationView

reembed_app = typer.Typer(
    help="Change to another embedding model while the old one answers.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@reembed_app.command("start")
def start(*, as_json: Json = False) -> None:
    """Embed all stored texts with the model that is set, then use it."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.start(), as_json=as_json)


@reembed_app.command("status")
def status(*, as_json: Json = False) -> None:
    """Tell which model answers, and how far another one is."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.status(), as_json=as_json)


@reembed_app.command("pause")
def pause(*, as_json: Json = False) -> None:
    """Embed nothing for the other model for now; what is done stays."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.pause(is_paused=True), as_json=as_json)


@reembed_app.command("resume")
def resume(*, as_json: Json = False) -> None:
    """Go on, and try again the pages that failed too often."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.pause(is_paused=False), as_json=as_json)


@reembed_app.command("cancel")
def cancel(*, as_json: Json = False) -> None:
    """Change to no other model; its vectors are removed."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.cancel(), as_json=as_json)


@reembed_app.command("rollback")
def rollback(*, as_json: Json = False) -> None:
    """Go back to the model that answered before, while it is kept."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.roll_back(), as_json=as_json)


@reembed_app.command("finish")
def finish(*, as_json: Json = False) -> None:
    """Remove the model that answered before now; no way back is left."""
    with opened_with_store() as (services, _):
        _print(services.reembedding.finish(), as_json=as_json)


def told(views: Sequence[GenerationView]) -> list[str]:
    """What is under way, in lines; none where one model answers and that is all."""
    return [line for view in views for line in _lines(view)]


def _lines(view: GenerationView) -> list[str]:
    if view.state == "filling":
        done = view.pages - view.missing
        paused = ", paused" if view.is_paused else ""
        lines = [f"{view.model}: {done} of {view.pages} pages embedded, {view.orgs_missing} orgs to go{paused}"]
        if view.left:
            lines.append(f"{view.left} pages failed too often; `sitewise reembed resume` tries them again")
        return [*lines, f"waits: {view.problem}"] if view.problem else lines
    if view.state == "kept":
        return [f"{view.model} is kept until {moment(view.until)}; `sitewise reembed rollback` goes back to it"]
    return [f"{view.model} is being removed"] if view.state == "dropping" else []


def _print(views: Sequence[GenerationView], *, as_json: bool) -> None:
    if as_json:
        print_json({"items": views})
        return
    rows = [[view.number, view.model, view.state, moment(view.since)] for view in views]
    print_table(["number", "model", "state", "since"], rows, empty="Nothing is embedded yet.")
    for line in told(views):
        print_line(line)
