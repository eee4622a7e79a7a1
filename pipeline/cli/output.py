"""How results are shown: tables for people, JSON for machines, always on stdout; words about them on stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.text import Text

UNLIMITED = 10_000
"""Columns of a pipe: what reads it wants whole lines."""

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def plain(value: object) -> object:
    """What JSON cannot hold as it can: times in ISO 8601, spans in seconds, ids and paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, UUID | Path):
        return str(value)
    raise TypeError(type(value).__name__)


def print_json(value: object) -> None:
    """One JSON value on stdout."""
    sys.stdout.write(json.dumps(value, default=plain, ensure_ascii=False, indent=2) + "\n")


def print_line(line: str) -> None:
    """A line of a result, on stdout; whatever a page put into it is shown, not obeyed."""
    out.print(Text(line))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table on stdout, or a word on stderr when there is nothing to show."""
    from rich.table import Table  # noqa: PLC0415 - most commands show none

    if not rows:
        say(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    (out if out.is_terminal else Console(width=UNLIMITED, soft_wrap=True, highlight=False)).print(table)


def styled(*parts: str | tuple[str, str]) -> Text:
    """A line of parts, some with a style; without one, text is shown as it is."""
    return Text.assemble(*parts)


def say(message: str) -> None:
    """A line for a person, on stderr."""
    err.print(Text(message))


def moment(value: datetime | None) -> str:
    """A moment in local time, to the minute; a dash for never."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M") if value else "-"
