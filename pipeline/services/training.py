"""Training: the scenarios an org writes. What is published is retrieved from the commit on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import numpy as np

from pipeline.adapters.embedder.port import Embedder
from pipeline.db import orgs, scenarios
from pipeline.db.engine import Database
from pipeline.db.scenarios import Scenario, ScenarioVersion, TriggerVector
from pipeline.errors import InvalidScenario
from pipeline.model import OrgScope, ScenarioType
from pipeline.services.clock import Clock

TITLE_LIMIT, CONTENT_LIMIT, TRIGGER_LIMIT, TRIGGER_LENGTH = 300, 20_000, 50, 500


@dataclass(frozen=True, slots=True)
class NewScenario:
    """A scenario as somebody writes it; bounds are those of the HTTP contract."""

    title: str
    content: str
    type: ScenarioType = ScenarioType.SCENARIO_SPECIFIC
    triggers: tuple[str, ...] = ()
    is_draft: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class ScenarioView:
    """A scenario as the outside sees it."""

    id: UUID
    title: str
    content: str
    type: str
    triggers: tuple[str, ...]
    is_draft: bool
    priority: int
    current_version: int | None


class TrainingService:
    """Stores and lists scenarios."""

    def __init__(self, database: Database, clock: Clock, *, embedder: Callable[[], Embedder]) -> None:
        """Work on this database; the model is opened when a trigger needs its vector."""
        self._database = database
        self._clock = clock
        self._embedder = embedder

    def add(self, new: NewScenario, *, scope: OrgScope) -> ScenarioView:
        """Store a scenario and, unless it is a draft, publish it as version 1.

        Raises:
            InvalidScenario: If a field is empty, too long, or does not fit the type.
            OrgNotFound: If there is no such org.
        """
        check(new)
        now = self._clock()
        published = None if new.is_draft else 1
        vectors = self._trigger_vectors(new) if published and new.type is ScenarioType.SCENARIO_SPECIFIC else None
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            scenario = scenarios.add(
                session,
                Scenario(
                    id=uuid4(),
                    org_id=scope.org_id,
                    type=new.type,
                    title=new.title,
                    content=new.content,
                    triggers=list(new.triggers),
                    is_draft=new.is_draft,
                    priority=new.priority,
                    current_version=published,
                    published_at=now if published else None,
                    created_at=now,
                    updated_at=now,
                ),
            )
            if published:
                version = ScenarioVersion(
                    id=uuid4(),
                    scenario_id=scenario.id,
                    number=published,
                    title=new.title,
                    content=new.content,
                    triggers=list(new.triggers),
                    created_at=now,
                )
                session.add(version)
                session.flush()
                session.add_all(_rows(version.id, *vectors) if vectors else [])
            return _view(scenario)

    def list_scenarios(self, *, scope: OrgScope, kind: ScenarioType | None = None) -> list[ScenarioView]:
        """The org's scenarios, oldest first."""
        with self._database.read() as session:
            return [_view(scenario) for scenario in scenarios.listing(session, org_id=scope.org_id, kind=kind)]

    def _trigger_vectors(self, new: NewScenario) -> tuple[str, list[bytes]]:
        embedder = self._embedder()
        vectors = [embedder.encode_query(text) for text in (new.title, *new.triggers)]
        return embedder.identity.fingerprint, [np.asarray(vector, np.float32).tobytes() for vector in vectors]


def check(new: NewScenario) -> None:
    """Refuse a scenario that cannot be stored.

    Raises:
        InvalidScenario: Naming the field, and what is allowed.
    """
    bounds = (("title", new.title, TITLE_LIMIT), ("content", new.content, CONTENT_LIMIT))
    for field, text, limit in bounds:
        if not text.strip() or len(text) > limit:
            raise InvalidScenario(field=field, given=f"{len(text)} characters", allowed=f"1 to {limit}")
    if new.triggers and new.type is ScenarioType.BEHAVIORAL:
        raise InvalidScenario(field="triggers", problem="a BEHAVIORAL scenario always applies and has no triggers")
    if len(new.triggers) > TRIGGER_LIMIT:
        raise InvalidScenario(field="triggers", given=len(new.triggers), allowed=f"at most {TRIGGER_LIMIT}")
    if any(not trigger.strip() or len(trigger) > TRIGGER_LENGTH for trigger in new.triggers):
        raise InvalidScenario(field="triggers", problem=f"each needs 1 to {TRIGGER_LENGTH} characters")


def _rows(version_id: UUID, model: str, vectors: list[bytes]) -> list[TriggerVector]:
    return [
        TriggerVector(version_id=version_id, model=model, position=position, vector=vector)
        for position, vector in enumerate(vectors)
    ]


def _view(scenario: Scenario) -> ScenarioView:
    return ScenarioView(
        id=scenario.id,
        title=scenario.title,
        content=scenario.content,
        type=scenario.type,
        triggers=tuple(scenario.triggers),
        is_draft=scenario.is_draft,
        priority=scenario.priority,
        current_version=scenario.current_version,
    )
