"""Scenarios: which of the org's instructions apply to this message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np

from pipeline.db.scenarios import ActiveScenario
from pipeline.model import Behavior, FiredScenario, ScenarioType, Vector


def behaviors(active: Sequence[ActiveScenario]) -> tuple[Behavior, ...]:
    """Every BEHAVIORAL scenario in force, in the order given: they are not ranked and not cut."""
    return tuple(
        Behavior(id=scenario.id, title=scenario.title, content=scenario.content, version=scenario.number)
        for scenario in active
        if scenario.type == ScenarioType.BEHAVIORAL
    )


def fired(
    active: Sequence[ActiveScenario], triggers: Mapping[UUID, Vector], query: Vector, *, threshold: float
) -> tuple[FiredScenario, ...]:
    """The SCENARIO_SPECIFIC scenarios one of whose triggers means the same as the message, strongest first.

    Args:
        active: Scenarios in force.
        triggers: For each published version, its trigger vectors of shape `(count, dimension)`.
        query: The message's vector, of length 1.
        threshold: Least cosine between message and trigger.
    """
    found = [
        FiredScenario(
            id=scenario.id,
            title=scenario.title,
            content=scenario.content,
            version=scenario.number,
            score=score,
            threshold=threshold,
        )
        for scenario in active
        if scenario.type == ScenarioType.SCENARIO_SPECIFIC
        and (score := _closest(triggers.get(scenario.version_id), query)) >= threshold
    ]
    return tuple(sorted(found, key=lambda scenario: -scenario.score))


def _closest(vectors: Vector | None, query: Vector) -> float:
    return -1.0 if vectors is None or not len(vectors) else float(np.max(vectors @ query))
