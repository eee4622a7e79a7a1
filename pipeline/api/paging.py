"""Lists, one page at a time: `?limit=&cursor=` gives {"items": […], "next": "…" or null}."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from pipeline.db.paging import Listed, Place
from pipeline.errors import InvalidCursor

Item = TypeVar("Item")
View = TypeVar("View")

DEFAULT, MOST = 20, 100
LONGEST_CURSOR = 200
ID_BYTES, MOMENT_BYTES, CHECK_BYTES = 16, 8, 4
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item] = Field(description="The objects, at most `limit`.")
    next: str | None = Field(description="The cursor of the next page; null at the end.", examples=[None])


@dataclass(frozen=True, slots=True)
class Piece:
    """Which piece of a list is asked for."""

    limit: int
    after: Place | None


def write_cursor(place: Place) -> str:
    """A place in a list as text. Opaque: only this module reads it."""
    moment = (place.at - BEGINNING) // timedelta(microseconds=1)
    body = place.id.bytes + moment.to_bytes(MOMENT_BYTES, signed=True)
    return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(CHECK_BYTES)).rstrip(b"=").decode()


def read_cursor(cursor: str) -> Place:
    """The place a cursor stands for. Every place is in a list of the caller's own: a made-up one shows nothing more.

    Raises:
        InvalidCursor: If it was not written by `write_cursor`.
    """
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor from error
    body, check = packed[:-CHECK_BYTES], packed[-CHECK_BYTES:]
    if len(body) != ID_BYTES + MOMENT_BYTES or zlib.crc32(body).to_bytes(CHECK_BYTES) != check:
        raise InvalidCursor
    try:
        at = BEGINNING + timedelta(microseconds=int.from_bytes(body[ID_BYTES:], signed=True))
    except OverflowError as error:
        raise InvalidCursor from error
    return Place(at, UUID(bytes=body[:ID_BYTES]))


async def asked_piece(
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = DEFAULT,
    cursor: Annotated[
        str | None, Query(max_length=LONGEST_CURSOR, description="`next` of the page before; none: from the start.")
    ] = None,
) -> Piece:
    """The piece that the query asks for.

    Raises:
        InvalidCursor: If the cursor is none.
    """
    return Piece(limit, None if cursor is None else read_cursor(cursor))


def page_of(listed: Listed[Item], show: Callable[[Item], View]) -> Page[View]:
    """A piece of a list as it is answered."""
    return Page(
        items=[show(item) for item in listed.items], next=None if listed.next is None else write_cursor(listed.next)
    )


APiece = Annotated[Piece, Depends(asked_piece)]
