"""How near an org's knowledge is to whatever is asked, measured once and kept for every process."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into


class NearnessScale(Base):
    """What was measured of an org under one model, by which version of the measure, when it had so many live pages."""

    __tablename__ = "nearness_scales"

    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    usual: Mapped[float]
    apart: Mapped[float]
    alike: Mapped[float]
    pages: Mapped[int]
    measured_at: Mapped[datetime]


def get(session: Session, *, org_id: UUID, model: str, version: str) -> NearnessScale | None:
    """What was measured by this version."""
    return session.scalars(
        select(NearnessScale).where(
            NearnessScale.org_id == org_id, NearnessScale.model == model, NearnessScale.version == version
        )
    ).one_or_none()


def keep(
    session: Session,
    *,
    org_id: UUID,
    model: str,
    version: str,
    usual: float,
    apart: float,
    alike: float,
    pages: int,
    now: datetime,
) -> None:
    """Store what was measured in the place of what was before."""
    fresh = {"version": version, "usual": usual, "apart": apart, "alike": alike, "pages": pages, "measured_at": now}
    insert = insert_into(session, NearnessScale).values(org_id=org_id, model=model, **fresh)
    session.execute(insert.on_conflict_do_update(index_elements=["org_id", "model"], set_=fresh))


def forget(session: Session, *, model: str) -> None:
    """Delete what was measured under a model."""
    session.execute(delete(NearnessScale).where(NearnessScale.model == model))
