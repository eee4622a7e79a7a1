"""Directories: the folders an org sorts its scenarios into."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, insert_into
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import DirectoryNotFound


class ScenarioDirectory(Base):
    """A folder. Scenarios in it are as good as any other: it sorts, it does not switch."""

    __tablename__ = "scenario_directories"
    __table_args__ = (UniqueConstraint("org_id", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def ensure(session: Session, name: str, *, org_id: UUID, now: datetime) -> ScenarioDirectory:
    """The org's directory of this name, stored if there is none."""
    row = {"id": uuid4(), "org_id": org_id, "name": name, "created_at": now, "updated_at": now}
    session.execute(insert_into(session, ScenarioDirectory).values(**row).on_conflict_do_nothing())
    found = find(session, name, org_id=org_id)
    if found is None:
        raise DirectoryNotFound(directory=name)
    return found


def find(session: Session, name: str, *, org_id: UUID) -> ScenarioDirectory | None:
    """The org's directory of this name."""
    statement = select(ScenarioDirectory).where(ScenarioDirectory.org_id == org_id, ScenarioDirectory.name == name)
    return session.scalars(statement).one_or_none()


def get(session: Session, directory_id: UUID, *, org_id: UUID) -> ScenarioDirectory:
    """The org's directory.

    Raises:
        DirectoryNotFound: If the org has none of this id.
    """
    statement = select(ScenarioDirectory).where(
        ScenarioDirectory.id == directory_id, ScenarioDirectory.org_id == org_id
    )
    found = session.scalars(statement).one_or_none()
    if found is None:
        raise DirectoryNotFound(directory=directory_id)
    return found


def listing(session: Session, *, org_id: UUID) -> list[ScenarioDirectory]:
    """The org's directories, by name."""
    statement = select(ScenarioDirectory).where(ScenarioDirectory.org_id == org_id).order_by(ScenarioDirectory.name)
    return list(session.scalars(statement))


def page(session: Session, *, org_id: UUID, limit: int, after: Place | None) -> Listed[ScenarioDirectory]:
    """Some of the org's directories, oldest first."""
    statement = select(ScenarioDirectory).where(ScenarioDirectory.org_id == org_id)
    at, row_id = ScenarioDirectory.created_at, ScenarioDirectory.id
    return fetch(session, statement, at, row_id, limit=limit, after=after)


def delete(session: Session, directory: ScenarioDirectory) -> None:
    """Remove the folder; what was in it stays, in none."""
    session.delete(directory)
    session.flush()
