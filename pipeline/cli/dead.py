"""`sitewise dead`: work that died, why, and how it is put back."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table
from pipeline.cli.session import opened
from pipeline.errors import DeadLetterNotFound, InvalidInput

dead_app = typer.Typer(help="Look at work that is not tried again by itself, and put it back.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Cause = Annotated[str | None, typer.Option(help="Only of this cause, or of this fingerprint.")]
SHOWN = 100
"""Characters of a problem in a list."""


@dead_app.command("list")
def list_letters(
    *,
    cause: Cause = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Dead letters at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List dead letters, the latest first."""
    with opened() as (services, scope):
        letters = services.dead_letters.list_letters(scope=scope, cause=cause, limit=limit)
    if as_json:
        print_json({"items": letters})
        return
    rows = [
        [
            letter.id,
            letter.kind,
            letter.url,
            letter.cause,
            letter.fingerprint,
            letter.deaths,
            moment(letter.first_seen_at),
            moment(letter.last_seen_at),
            (letter.problem or "").replace("\n", " ")[:SHOWN],
        ]
        for letter in letters
    ]
    columns = ["id", "kind", "about", "cause", "fingerprint", "deaths", "first seen", "last seen", "problem"]
    print_table(columns, rows, empty="No dead letter.")


@dead_app.command("show")
def show_letter(letter: Annotated[str, typer.Argument(help="A dead letter's id.")], *, as_json: Json = False) -> None:
    """Show one dead letter whole."""
    with opened() as (services, scope):
        found = services.dead_letters.show(_id(letter), scope=scope)
    if as_json:
        print_json(found)
        return
    for name, value in dataclasses.asdict(found).items():
        if value is not None:
            print_line(f"{name:<15} {moment(value) if isinstance(value, datetime) else value}")


@dead_app.command("redrive")
def redrive(
    letter: Annotated[str | None, typer.Argument(help="A dead letter's id.", show_default=False)] = None,
    *,
    cause: Cause = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter of the org.")] = False,
    as_json: Json = False,
) -> None:
    """Put work back: one letter, those of a cause, or all."""
    if (letter is not None) + (cause is not None) + everything != 1:
        raise InvalidInput(needs="one of: an id, --cause, --all")
    with opened() as (services, scope):
        letters = services.dead_letters
        if letter is not None:
            done = letters.redrive(_id(letter), scope=scope)
        else:
            done = letters.redrive_all(scope=scope, cause=cause)
    if as_json:
        print_json(done)
    else:
        print_line(f"{done.pages} pages and {done.crawls} crawls put back, {done.passed_over} passed over.")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise DeadLetterNotFound(letter=text) from error
