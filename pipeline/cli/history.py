"""`sitewise page history` and `rollback`: what a page said before, and the way back to it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import moment, print_json, print_line, print_table, say
from pipeline.cli.session import opened, opened_with_store
from pipeline.errors import InvalidInput

if TYPE_CHECKING:
    from pipeline.services.history import RolledBack, Said

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[str, typer.Argument(help="A page's URL or id.")]


def history(
    url: Url,
    *,
    on: Annotated[
        str | None, typer.Option("--on", help="Print what it said then: a date, its end in UTC, or a moment.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a page said before, or what it said on a date."""
    if on is not None:
        _said_on(url, _moment(on), as_json=as_json)
        return
    with opened() as (services, scope):
        found = services.history.of_page(url, scope=scope)
    if as_json:
        print_json(found)
        return
    print_table(
        ["version", "state", "words", "fetched", "served", "title"],
        [_row(said) for said in found.versions],
        empty="No version: the page was never kept.",
    )
    for address in found.moved_from:
        print_line(f"{address} leads here.")


def rollback(
    url: Url, version: Annotated[int, typer.Argument(min=1, help="A number that `page history` shows.")]
) -> None:
    """Answer with an earlier version of a page.

    Until its website says something new.
    """
    with opened_with_store() as (services, scope):
        told = services.history.roll_back_page(url, version, scope=scope)
    say_rolled_back(told)


def say_rolled_back(told: RolledBack) -> None:
    """Say what a roll-back changed."""
    say(f"{told.changed} pages answer with their earlier text, {told.left} answer no more.")
    if told.waiting:
        say(f"{told.waiting} more follow once they are indexed again.")


def _said_on(url: str, then: datetime, *, as_json: bool) -> None:
    with opened() as (services, scope):
        said = services.history.said_on(url, then, scope=scope)
    if as_json:
        print_json(said)
    elif said.markdown is None:
        print_line(f"{said.url} did not answer on {moment(then)}.")
    else:
        print_line(f"{said.url} as of {moment(then)}: version {said.number}, fetched {moment(said.fetched_at)}")
        print_line(f"\n{said.markdown}")


def _moment(given: str) -> datetime:
    """A moment; of a date alone, its end."""
    try:
        read = datetime.fromisoformat(given)
    except ValueError as error:
        allowed = "a date such as 2026-03-31, or a moment such as 2026-03-31T09:00+00:00"
        raise InvalidInput(option="--on", given=given, allowed=allowed) from error
    if read.tzinfo is None:
        read = read.replace(tzinfo=UTC)
    has_time = len(given) > len("2026-03-31")
    return read if has_time else datetime.combine(read.date(), time.max, tzinfo=UTC)


def _row(said: Said) -> list[object]:
    state = "live" if said.is_live else said.state
    return [said.number, state, said.words, moment(said.fetched_at), _served(said), said.title]


def _served(said: Said) -> str:
    spans = reversed(said.served)
    return ", ".join(f"{moment(since)} \N{EN DASH} {moment(until) if until else 'now'}" for since, until in spans)
