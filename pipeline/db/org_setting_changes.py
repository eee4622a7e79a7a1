"""What an org's settings were before: every change, who made it and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base
from pipeline.db.paging import Listed, Place, fetch


class OrgSettingChange(Base):
    """One setting, changed once. `change` is {"before": …, "after": …}."""

    __tablename__ = "org_setting_changes"
    __table_args__ = (Index("ix_org_setting_changes_org_id", "org_id", "at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    key_id: Mapped[UUID | None]
    name: Mapped[str]
    change: Mapped[dict[str, Any]]


def note(
    session: Session, org_id: UUID, name: str, *, before: object, after: object, key_id: UUID | None, now: datetime
) -> None:
    """Write a change down."""
    change = {"before": before, "after": after}
    session.add(OrgSettingChange(id=uuid4(), org_id=org_id, at=now, key_id=key_id, name=name, change=change))


def of_org(session: Session, org_id: UUID, *, limit: int, after: Place | None) -> Listed[OrgSettingChange]:
    """The org's changes, newest first."""
    statement = select(OrgSettingChange).where(OrgSettingChange.org_id == org_id)
    columns = (OrgSettingChange.at, OrgSettingChange.id)
    return fetch(session, statement, *columns, limit=limit, after=after, newest_first=True)
