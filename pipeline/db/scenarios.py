"""Training scenarios, their published versions and the vectors of their triggers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, Select, Text, UniqueConstraint, bindparam, event, func, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from pipeline.db.base import Base, columns, insert_new
from pipeline.db.orgs import Org
from pipeline.db.paging import Listed, Place, fetch
from pipeline.errors import ScenarioNotFound, VersionNotFound
from pipeline.model import ScenarioType


class Scenario(Base):
    """An instruction of the org. Readers see its current version only, and nothing of it while it is a draft.

    `title`, `content` and `triggers` are what was published last, or the first draft of what never was;
    `draft_title` and its fellows are an edit that waits to be published, all null when none does.
    """

    __tablename__ = "scenarios"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    directory_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("scenario_directories.id", ondelete="SET NULL"), index=True
    )
    type: Mapped[str]
    title: Mapped[str]
    content: Mapped[str] = mapped_column(Text)
    triggers: Mapped[list[str]] = mapped_column(default=list)
    is_draft: Mapped[bool] = mapped_column(default=False)
    draft_title: Mapped[str | None]
    draft_content: Mapped[str | None] = mapped_column(Text)
    draft_triggers: Mapped[list[str] | None]
    restricted_to_channels: Mapped[list[str]] = mapped_column(default=list)
    restricted_to_segments: Mapped[list[str]] = mapped_column(default=list)
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(default=0)
    notes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What callers call `metadata`, a name SQLAlchemy keeps for itself."""
    current_version: Mapped[int | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ScenarioVersion(Base):
    """What was published, when and by whom. Never changed."""

    __tablename__ = "scenario_versions"
    __table_args__ = (UniqueConstraint("scenario_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    scenario_id: Mapped[UUID] = mapped_column(ForeignKey("scenarios.id", ondelete="CASCADE"))
    number: Mapped[int]
    type: Mapped[str]
    title: Mapped[str]
    content: Mapped[str] = mapped_column(Text)
    triggers: Mapped[list[str]] = mapped_column(default=list)
    published_by: Mapped[str]
    created_at: Mapped[datetime]


@event.listens_for(ScenarioVersion, "before_update")
def _refuse_change(*changed: object) -> None:
    """A version is history."""
    del changed
    message = "a published version cannot be changed"
    raise TypeError(message)


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
    channels: list[str]
    segments: list[str]
    start_time: datetime | None
    end_time: datetime | None

    def reaches(self, *, channel: str | None, segments: Collection[str]) -> bool:
        """Whether it is meant for a contact of these segments on this channel; no channel is none of them."""
        on_channel = not self.channels or channel in self.channels
        return on_channel and (not self.segments or not set(self.segments).isdisjoint(segments))

    def is_in_force(self, now: datetime) -> bool:
        """Whether `now` lies in its time, the start included, the end not."""
        return (self.start_time is None or self.start_time <= now) and (self.end_time is None or now < self.end_time)


def add(session: Session, scenario: Scenario) -> Scenario:
    """Store a new scenario."""
    session.add(scenario)
    session.flush()
    return scenario


def get(session: Session, scenario_id: UUID, *, org_id: UUID, to_change: bool = False) -> Scenario:
    """The org's scenario; `to_change` keeps others from changing it until the transaction ends.

    Raises:
        ScenarioNotFound: If the org has none of this id.
    """
    statement = select(Scenario).where(Scenario.id == scenario_id, Scenario.org_id == org_id)
    found = session.scalars(statement.with_for_update() if to_change else statement).one_or_none()
    if found is None:
        raise ScenarioNotFound(scenario=scenario_id)
    return found


def is_taken(session: Session, scenario_id: UUID) -> bool:
    """Whether any org has a scenario of this id."""
    return session.get(Scenario, scenario_id) is not None


def delete(session: Session, scenario: Scenario) -> None:
    """Remove it with its versions and their vectors."""
    session.delete(scenario)
    session.flush()


def listing(
    session: Session,
    *,
    org_id: UUID,
    kind: ScenarioType | None = None,
    directory_id: UUID | None = None,
    words: str = "",
) -> list[Scenario]:
    """The org's scenarios, oldest first; `words` stand in the title, the instruction or a draft of them."""
    statement = _chosen(org_id, kind=kind, directory_id=directory_id, words=words)
    return list(session.scalars(statement.order_by(Scenario.created_at, Scenario.id)))


def page(
    session: Session,
    *,
    org_id: UUID,
    kind: ScenarioType | None = None,
    directory_id: UUID | None = None,
    words: str = "",
    limit: int,
    after: Place | None,
) -> Listed[Scenario]:
    """One piece of `listing`."""
    statement = _chosen(org_id, kind=kind, directory_id=directory_id, words=words)
    return fetch(session, statement, Scenario.created_at, Scenario.id, limit=limit, after=after)


def count(session: Session, *, org_id: UUID) -> int:
    """How many the org has."""
    return session.scalar(select(func.count()).select_from(Scenario).where(Scenario.org_id == org_id)) or 0


def _chosen(org_id: UUID, *, kind: ScenarioType | None, directory_id: UUID | None, words: str) -> Select[Scenario]:
    statement = select(Scenario).where(Scenario.org_id == org_id)
    if kind is not None:
        statement = statement.where(Scenario.type == kind)
    if directory_id is not None:
        statement = statement.where(Scenario.directory_id == directory_id)
    if words:
        texts = (Scenario.title, Scenario.content, Scenario.draft_title, Scenario.draft_content)
        statement = statement.where(_any_contains(texts, words))
    return statement


def versions(session: Session, scenario_id: UUID) -> list[ScenarioVersion]:
    """Everything that was published of it, newest first."""
    statement = select(ScenarioVersion).where(ScenarioVersion.scenario_id == scenario_id)
    return list(session.scalars(statement.order_by(ScenarioVersion.number.desc())))


def version_page(session: Session, scenario_id: UUID, *, limit: int, after: Place | None) -> Listed[ScenarioVersion]:
    """One piece of `versions`."""
    statement = select(ScenarioVersion).where(ScenarioVersion.scenario_id == scenario_id)
    at, row_id = ScenarioVersion.created_at, ScenarioVersion.id
    return fetch(session, statement, at, row_id, limit=limit, after=after, newest_first=True)


def version(session: Session, scenario_id: UUID, number: int) -> ScenarioVersion:
    """One published version.

    Raises:
        VersionNotFound: If it was never published under this number.
    """
    statement = select(ScenarioVersion).where(
        ScenarioVersion.scenario_id == scenario_id, ScenarioVersion.number == number
    )
    found = session.scalars(statement).one_or_none()
    if found is None:
        raise VersionNotFound(scenario=scenario_id, version=number)
    return found


_CURRENT: Select[*tuple[Any, ...]] = (
    select(
        Scenario.id,
        Scenario.type,
        ScenarioVersion.id,
        ScenarioVersion.number,
        ScenarioVersion.title,
        ScenarioVersion.content,
        ScenarioVersion.triggers,
        Scenario.priority,
        Scenario.restricted_to_channels,
        Scenario.restricted_to_segments,
        Scenario.start_time,
        Scenario.end_time,
    )
    .join(
        ScenarioVersion,
        (ScenarioVersion.scenario_id == Scenario.id) & (ScenarioVersion.number == Scenario.current_version),
    )
    .where(Scenario.is_draft.is_(False))
)
_IN_ORDER = (Scenario.priority.desc(), Scenario.created_at, Scenario.id)

_PUBLISHED = _CURRENT.where(Scenario.org_id == bindparam("org_id")).order_by(*_IN_ORDER)
"""Every scenario in the words of its current version. Built once, as every answer reads it."""

_DRAFTS = (
    select(Scenario.id, Scenario.title, Scenario.type)
    .where(Scenario.org_id == bindparam("org_id"), Scenario.is_draft)
    .order_by(Scenario.created_at, Scenario.id)
)


def published(session: Session, *, org_id: UUID, kind: ScenarioType | None = None) -> list[ActiveScenario]:
    """What the org has published, in force or not, strongest priority first, then oldest: always the same order."""
    statement = _PUBLISHED if kind is None else _PUBLISHED.where(Scenario.type == kind)
    return [ActiveScenario(*row) for row in columns(session, statement, {"org_id": org_id})]


def behaviors_of_heirs(session: Session, partner_id: UUID) -> Iterator[tuple[UUID, list[ActiveScenario]]]:
    """What always applies in each org that has such scenarios and answers by its partner's instructions."""
    statement = (
        _CURRENT.add_columns(Scenario.org_id)
        .join(Org, Org.id == Scenario.org_id)
        .where(Org.partner_id == partner_id, Org.ai_instructions == "", Org.erased_at.is_(None))
        .where(Scenario.type == ScenarioType.BEHAVIORAL)
        .order_by(Scenario.org_id, *_IN_ORDER)
    )
    for org_id, rows in groupby(columns(session, statement, {}), key=lambda row: row[-1]):
        yield org_id, [ActiveScenario(*row[:-1]) for row in rows]


def drafts(session: Session, *, org_id: UUID) -> list[tuple[UUID, str, str]]:
    """Id, title and type of the org's scenarios that are drafts, oldest first."""
    return [(row[0], row[1], row[2]) for row in columns(session, _DRAFTS, {"org_id": org_id})]


def active(
    session: Session, *, org_id: UUID, now: datetime, channel: str | None = None, segments: Collection[str] = ()
) -> list[ActiveScenario]:
    """Published scenarios in force now for this contact, in the order of `published`."""
    return [
        scenario
        for scenario in published(session, org_id=org_id)
        if scenario.is_in_force(now) and scenario.reaches(channel=channel, segments=segments)
    ]


def _any_contains(texts: Sequence[Any], words: str) -> Any:  # noqa: ANN401 - columns of two kinds
    return or_(*(text.icontains(words, autoescape=True) for text in texts))


def trigger_vectors(session: Session, version_ids: Sequence[UUID], *, model: str) -> dict[UUID, list[bytes]]:
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


def keep_trigger_vectors(session: Session, version_id: UUID, vectors: Sequence[tuple[str, bytes]]) -> None:
    """Store the vectors of a published version, by their models, beside those of others; what is there stays."""
    rows = [
        {"version_id": version_id, "model": model, "position": position, "vector": vector}
        for position, (model, vector) in enumerate(vectors)
        if session.get(ScenarioVersion, version_id) is not None
    ]
    insert_new(session, TriggerVector, rows)


def forget_trigger_vectors(session: Session, *, model: str, limit: int) -> int:
    """Delete the trigger vectors of a model, of up to `limit` versions. Returns of how many."""
    some = select(TriggerVector.version_id).where(TriggerVector.model == model).distinct().limit(limit)
    ids = list(session.scalars(some))
    gone = (TriggerVector.model == model, TriggerVector.version_id.in_(ids))
    session.execute(sql_delete(TriggerVector).where(*gone))
    return len(ids)
