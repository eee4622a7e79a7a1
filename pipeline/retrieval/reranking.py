"""Reranking: candidates in the order of a model that reads question and passage together, if it was in time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.model import Hit, Vector

LEAST_LOGIT = -700.0
"""Below it the exponential of a float is nothing."""


class Outcome(StrEnum):
    """What became of it."""

    RERANKED = "reranked"
    OVER_BUDGET = "over_budget"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Reranking:
    """Candidates, best first, and the logits of those that were read; as fused, where none were."""

    ranked: Sequence[Hit]
    outcome: Outcome | None = None
    """None where no reranker is set."""
    model: str | None = None
    scores: Mapping[UUID, float] = field(default_factory=dict)

    def confidence(self, calibration: tuple[float, float] | None) -> float | None:
        """How sure the best score makes that there is an answer, 0 to 1; None without scores or a calibration."""
        if calibration is None or not self.scores:
            return None
        slope, constant = calibration
        return share(slope * max(self.scores.values()) + constant)

    def told(self) -> dict[str, Any] | None:
        """As a trace has it."""
        if self.outcome is None:
            return None
        return {"outcome": self.outcome.value, "model": self.model, "read": len(self.scores)}


def reorder(ranked: Sequence[Hit], scores: Vector, *, model: str | None) -> Reranking:
    """The first `len(scores)` candidates by their scores, the others behind them as they were.

    The new score is between 0 and 1; of equals, the one that was first stays first.
    """
    read = ranked[: len(scores)]
    logits = {hit.id: float(score) for hit, score in zip(read, scores, strict=True)}
    best_first = sorted((Hit(id_, share(logit)) for id_, logit in logits.items()), key=lambda hit: -hit.score)
    least = best_first[-1].score if best_first else 1.0
    rest = [Hit(hit.id, least * hit.score) for hit in ranked[len(scores) :]]
    return Reranking([*best_first, *rest], Outcome.RERANKED, model, logits)


def share(logit: float) -> float:
    """The logistic function, for any number."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    grown = math.exp(max(logit, LEAST_LOGIT))
    return grown / (1 + grown)
