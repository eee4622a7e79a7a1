"""Training scenarios, their published versions and the vectors of their triggers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base
from pipeline.model import ScenarioType


class Scenario(Base):
    """An instruction of the org. Readers see its current version only."""

    __tablename__ = "scenarios"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    type: Mapped[str]
    title: Mapped[str]
    content: Mapped[str] = mapped_column(Text)
    triggers: Mapped[list[str]] = mapped_column(default=list)
    is_draft: Mapped[bool] = mapped_column(default=False)
    restricted_to_channels: Mapped[list[str]] = mapped_column(default=list)
    restricted_to_segments: Mapped[list[str]] = mapped_column(default=list)
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(default=0)
    notes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    current_version: Mapped[int | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ScenarioVersion(Base):
    """What was published, when. Never changed."""

    __tablename__ = "scenario_versions"
    __table_args__ = (UniqueConstraint("scenario_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    scenario_id: Mapped[UUID] = mapped_column(ForeignKey("scenarios.id", ondelete="CASCADE"))
    number: Mapped[int]
    title: Mapped[str]
    content: Mapped[str] = mapped_column(Text)
    triggers: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]


class TriggerVector(Base):
    """The vector of one trigger of one published version, under one model: float32, normalised."""

    __tablename__ = "trigger_vectors"

    version_id: Mapped[UUID] = mapped_column(ForeignKey("scenario_versions.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class ActiveScenario(NamedTuple):
    """A published scenario as retrieval reads it."""

    id: UUID
    type: str
    version_id: UUID
    number: int
    title: str
    content: str
    triggers: list[str]
    priority: int


def add(session: Session, scenario: Scenario) -> Scenario:
    """Store a new scenario."""
    session.add(scenario)
    session.flush()
    return scenario


def listing(session: Session, *, org_id: UUID, kind: ScenarioType | None = None) -> list[Scenario]:
    """The org's scenarios, oldest first."""
    statement = select(Scenario).where(Scenario.org_id == org_id).order_by(Scenario.created_at, Scenario.id)
    return list(session.scalars(statement.where(Scenario.type == kind) if kind else statement))


def active(session: Session, *, org_id: UUID, now: datetime) -> list[ActiveScenario]:
    """Published scenarios in force now, strongest priority first, then oldest: the same order every time."""
    statement = (
        select(
            Scenario.id,
            Scenario.type,
            ScenarioVersion.id,
            ScenarioVersion.number,
            ScenarioVersion.title,
            ScenarioVersion.content,
            ScenarioVersion.triggers,
            Scenario.priority,
        )
        .join(
            ScenarioVersion,
            (ScenarioVersion.scenario_id == Scenario.id) & (ScenarioVersion.number == Scenario.current_version),
        )
        .where(
            Scenario.org_id == org_id,
            Scenario.is_draft.is_(False),
            (Scenario.start_time.is_(None)) | (Scenario.start_time <= now),
            (Scenario.end_time.is_(None)) | (Scenario.end_time > now),
        )
        .order_by(Scenario.priority.desc(), Scenario.created_at, Scenario.id)
    )
    return [ActiveScenario(*row) for row in session.execute(statement)]


def trigger_vectors(session: Session, version_ids: list[UUID], *, model: str) -> dict[UUID, list[bytes]]:
    """The trigger vectors of published versions, in trigger order."""
    statement = (
        select(TriggerVector.version_id, TriggerVector.vector)
        .where(TriggerVector.version_id.in_(version_ids), TriggerVector.model == model)
        .order_by(TriggerVector.version_id, TriggerVector.position)
    )
    found: dict[UUID, list[bytes]] = {}
    for version_id, vector in session.execute(statement):
        found.setdefault(version_id, []).append(vector)
    return found
