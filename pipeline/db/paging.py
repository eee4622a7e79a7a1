"""Lists in pieces: each piece goes on after the last row of the one before, so rows added meanwhile shift nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")
View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list stopped: the last row's moment and id."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """One piece of a list. `next` is None where the list ends."""

    items: tuple[Row, ...]
    next: Place | None = None

    def each(self, view: Callable[[Row], View]) -> Listed[View]:
        """The same piece, its rows shown otherwise."""
        return Listed(tuple(view(item) for item in self.items), self.next)


def fetch(
    session: Session,
    statement: Select[Row],
    at: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[UUID],
    *,
    limit: int,
    after: Place | None,
    newest_first: bool = False,
) -> Listed[Row]:
    """At most `limit` rows of a statement, by moment and id, after a place."""
    if after is not None:
        here = tuple_(literal(after.at, at.type), literal(after.id, row_id.type))
        there = tuple_(at, row_id)
        statement = statement.where(there < here if newest_first else there > here)
    order: tuple[Any, ...] = (at.desc(), row_id.desc()) if newest_first else (at, row_id)
    rows = list(session.scalars(statement.order_by(*order).limit(limit + 1)))
    if len(rows) <= limit:
        return Listed(tuple(rows))
    last = rows[limit - 1]
    return Listed(tuple(rows[:limit]), Place(getattr(last, at.key), getattr(last, row_id.key)))
