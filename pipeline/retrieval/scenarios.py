"""Scenarios: which of the org's instructions apply to this message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pipeline.db.scenarios import ActiveScenario
from pipeline.model import Behavior, FiredScenario, ScenarioType, Vector
from pipeline.retrieval.matcher import Matcher

MOST = 3
"""Scenarios that fire at one message. One that means more is too vague to be told more."""

SCORE_DIGITS = 4


class Why(StrEnum):
    """Why a SCENARIO_SPECIFIC scenario is in a briefing, or is not."""

    FIRED = "fired"
    UNSURE = "unsure"
    BELOW_THRESHOLD = "below_threshold"
    BEHIND_ANOTHER = "behind_another"
    OUTRANKED = "outranked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one scenario in force. `behind` is what its score lacks to the best."""

    scenario: ActiveScenario
    score: float
    behind: float
    why: Why


def behaviors(active: Sequence[ActiveScenario]) -> tuple[Behavior, ...]:
    """Every BEHAVIORAL scenario in force, in the order given: they are not ranked and not cut."""
    return tuple(
        Behavior(id=scenario.id, title=scenario.title, content=scenario.content, version=scenario.number)
        for scenario in active
        if scenario.type == ScenarioType.BEHAVIORAL
    )


def judge(active: Sequence[ActiveScenario], matcher: Matcher, seen: Vector, text: str) -> tuple[Verdict, ...]:
    """Decide about every SCENARIO_SPECIFIC scenario in force, strongest first.

    The one with most evidence fires if that reaches the threshold, and with it those within the margin: the message may
    mean either. Of such, only the highest priority fires. A message that means a scenario not in force here fires none
    that is further behind it than the margin.

    Args:
        active: Scenarios in force for this contact now.
        matcher: Learnt from everything the org has published.
        seen: What the matcher sees in the message.
        text: Its words.
    """
    scores = dict(zip(matcher.versions, matcher.scores(seen, text).tolist(), strict=True))
    best = max(scores.values(), default=0.0)
    ranked = sorted(
        (scenario for scenario in active if scenario.version_id in scores),
        key=lambda scenario: -round(scores[scenario.version_id], SCORE_DIGITS),
    )
    told = [_look(scenario, scores, best, matcher) for scenario in ranked]
    firing = [verdict.scenario for verdict in told if verdict.why == Why.FIRED]
    priority = max((scenario.priority for scenario in firing), default=0)
    chosen = {scenario.id for scenario in [row for row in firing if row.priority == priority][:MOST]}
    return tuple(
        Verdict(verdict.scenario, verdict.score, verdict.behind, Why.OUTRANKED)
        if verdict.why == Why.FIRED and verdict.scenario.id not in chosen
        else verdict
        for verdict in told
    )


def fired(verdicts: Sequence[Verdict], *, threshold: float) -> tuple[FiredScenario, ...]:
    """The scenarios that apply, strongest first."""
    return tuple(
        FiredScenario(
            id=verdict.scenario.id,
            title=verdict.scenario.title,
            content=verdict.scenario.content,
            version=verdict.scenario.number,
            score=verdict.score,
            threshold=round(threshold, SCORE_DIGITS),
        )
        for verdict in verdicts
        if verdict.why == Why.FIRED
    )


def _look(scenario: ActiveScenario, scores: Mapping[UUID, float], best: float, matcher: Matcher) -> Verdict:
    """This scenario alone, before priorities."""
    score, where = scores[scenario.version_id], matcher.calibration
    behind = best - score
    if score < where.threshold:
        why = Why.UNSURE if score >= where.unsure_from else Why.BELOW_THRESHOLD
    else:
        why = Why.FIRED if behind <= where.margin else Why.BEHIND_ANOTHER
    return Verdict(scenario, round(score, SCORE_DIGITS), round(behind, SCORE_DIGITS), why)
