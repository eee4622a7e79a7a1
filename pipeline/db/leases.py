"""Claim, keep, return: how one row of work is held by one worker at a time.

A claim is one conditional UPDATE. It sets a fresh token; every later write of the holder names
that token, so a holder that froze and woke writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, or_, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import count_changed


class Leased:
    """Columns of a row that is worked on under a lease."""

    id: Mapped[UUID]
    lease_token: Mapped[UUID | None] = mapped_column(default=None)
    lease_until: Mapped[datetime | None] = mapped_column(default=None)
    lease_owner: Mapped[str | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    hints: Mapped[int] = mapped_column(default=0)
    hint_at: Mapped[datetime | None] = mapped_column(default=None)


def next_counts(vanished: Mapped[int]) -> ColumnElement[int]:
    """Whether the next worker that vanishes with something in hand counts against it, 0 or 1: every second one does.

    A machine that is restarted vanishes with all it has in hand, and most of that is innocent.
    """
    return vanished % 2


def uncounted(vanished: int) -> int:
    """How many workers vanished with something in hand, and did not count against it."""
    return (vanished + 1) // 2


def free(table: type[Leased], *, now: datetime) -> ColumnElement[bool]:
    """Rows nobody holds: never claimed, returned, or claimed by a worker that fell silent."""
    return or_(table.lease_until.is_(None), table.lease_until < now)


def renew(session: Session, table: type[Leased], ids: Sequence[UUID], *, token: UUID, until: datetime) -> int:
    """Push the end of held leases away. Returns how many are still held."""
    statement = update(table).where(table.id.in_(ids), table.lease_token == token).values(lease_until=until)
    return count_changed(session, statement)


def release(session: Session, table: type[Leased], ids: Sequence[UUID], *, token: UUID, burn: bool) -> int:
    """Give leases back before their end. Without `burn` the attempt is not counted.

    Returns how many were still held.
    """
    values = {"lease_token": None, "lease_until": None, "lease_owner": None}
    statement = update(table).where(table.id.in_(ids), table.lease_token == token).values(**values)
    if not burn:
        statement = statement.values(attempts=table.attempts - 1)
    return count_changed(session, statement)


def end_all(session: Session, table: type[Leased]) -> int:
    """End every lease of a table, without counting the attempts. Returns how many there were."""
    statement = (
        update(table)
        .where(table.lease_until.is_not(None))
        .values(lease_token=None, lease_until=None, lease_owner=None, attempts=table.attempts - 1, hint_at=None)
    )
    return count_changed(session, statement)


def next_hint(hints: int, *, now: datetime, delays: Sequence[timedelta]) -> datetime:
    """When a row that was hinted `hints` times is hinted again: ever later, never more often."""
    return now + delays[min(hints, len(delays) - 1)]
