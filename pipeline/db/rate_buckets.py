"""Token buckets: how much a key or an org may still ask for, shared by every process."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class RateBucket(Base):
    """One bucket, as it was filled at `at`."""

    __tablename__ = "rate_buckets"

    subject: Mapped[str] = mapped_column(primary_key=True)
    tokens: Mapped[float]
    at: Mapped[datetime] = mapped_column(index=True)


def take(
    session: Session, subject: str, *, want: int, least: int = 1, capacity: float, per_second: float, now: datetime
) -> tuple[int, float]:
    """Take up to `want` tokens, as many as there are; none where there are fewer than `least`.

    Returns how many were had, and what is left. A bucket fills by the clock up to its capacity; a clock that
    is behind another machine's fills nothing.
    """
    fresh = {"subject": subject, "tokens": capacity, "at": now}
    session.execute(insert_into(session, RateBucket).values(**fresh).on_conflict_do_nothing())
    bucket = session.scalars(select(RateBucket).where(RateBucket.subject == subject).with_for_update()).one()
    passed = max(0.0, (now - bucket.at).total_seconds())
    tokens = min(capacity, bucket.tokens + passed * per_second)
    had = min(want, int(tokens)) if tokens >= least else 0
    bucket.tokens, bucket.at = tokens - had, max(now, bucket.at)
    return had, bucket.tokens


def forget(session: Session, *, before: datetime) -> None:
    """Drop buckets nobody used since; they would be full."""
    session.execute(delete(RateBucket).where(RateBucket.at < before))
