"""Days of orgs: how many pages each was given to ask for, where that is limited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class OrgDay(Base):
    """What one org has used of one day, which begins at midnight UTC."""

    __tablename__ = "org_days"

    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[datetime] = mapped_column(primary_key=True)
    pages: Mapped[int]


def left(session: Session, org_id: UUID, *, most: int, now: datetime) -> int | None:
    """How many pages the org may still ask for today; None without a limit.

    Until the commit nobody else is told: two crawls of the org cannot both use the last page.
    """
    if not most:
        return None
    row = {"org_id": org_id, "day": day_of(now)}
    session.execute(insert_into(session, OrgDay).values(**row, pages=0).on_conflict_do_nothing())
    mine = select(OrgDay.pages).where(OrgDay.org_id == org_id, OrgDay.day == day_of(now)).with_for_update()
    return max(most - session.execute(mine).scalar_one(), 0)


def spend(session: Session, org_id: UUID, *, pages: int, now: datetime) -> None:
    """Note that the org asks for so many pages."""
    mine = update(OrgDay).where(OrgDay.org_id == org_id, OrgDay.day == day_of(now))
    session.execute(mine.values(pages=OrgDay.pages + pages).execution_options(synchronize_session=False))


def forget(session: Session, *, before: datetime) -> None:
    """Forget days that began before then."""
    session.execute(delete(OrgDay).where(OrgDay.day < before))


def day_of(now: datetime) -> datetime:
    """When the day of a moment began."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_day(now: datetime) -> datetime:
    """When the next one begins."""
    return day_of(now) + timedelta(days=1)
