"""The audit: who did what to which object, when, with what result and from where. Rows are only ever added."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base
from pipeline.db.paging import Listed, Place, fetch


class AuditEntry(Base):
    """One act. It names things by id: no text of a page, a scenario or a question, and no secret, is here."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_org_id", "org_id", "at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    org_id: Mapped[UUID | None] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"), index=True)
    key_id: Mapped[UUID | None]
    """The key it was done with; none for an operator at the machine."""
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[str | None]
    result: Mapped[str]
    source: Mapped[str | None]
    request_id: Mapped[str | None]


def of_org(session: Session, org_id: UUID, *, limit: int, after: Place | None) -> Listed[AuditEntry]:
    """What was done in an org, newest first."""
    statement = select(AuditEntry).where(AuditEntry.org_id == org_id)
    return fetch(session, statement, AuditEntry.at, AuditEntry.id, limit=limit, after=after, newest_first=True)


def when(session: Session, *, action: str, object_id: str, partner_id: UUID) -> datetime | None:
    """When this was last done to an object, under a partner."""
    where = (AuditEntry.partner_id == partner_id, AuditEntry.action == action, AuditEntry.object_id == object_id)
    return session.scalar(select(func.max(AuditEntry.at)).where(*where))
