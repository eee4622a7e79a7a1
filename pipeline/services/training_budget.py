"""Room for what always applies: it is never cut, so it has to fit before it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from pipeline.adapters.embedder.shared import SharedEmbedder
from pipeline.db import orgs, partners, scenarios
from pipeline.db.engine import Session
from pipeline.db.scenarios import ActiveScenario
from pipeline.errors import InstructionsTooLong
from pipeline.model import Channel, ScenarioType
from pipeline.retrieval import prompt
from pipeline.retrieval.scenarios import behaviors
from pipeline.services.clock import Clock
from pipeline.settings import Settings

SPECIAL_TOKENS = 16
"""More than any model puts around a text."""


RoomCheck = Callable[[Session, UUID], None]
"""Raises `InstructionsTooLong` if what always applies in an org does not fit into a briefing any more."""


def room_check(settings: Settings, clock: Clock, embedder: Callable[[], SharedEmbedder]) -> RoomCheck:
    """The check for these settings; the model is opened only where texts are not plainly short."""

    def check(session: Session, org_id: UUID) -> None:
        check_room(
            session,
            org_id=org_id,
            now=clock(),
            max_tokens=settings.retrieve.max_tokens,
            count=lambda texts: embedder().tokenizer.count(texts),  # noqa: PLW0108 - the model is opened only if asked
        )

    return check


def check_room(
    session: Session, *, org_id: UUID, now: datetime, max_tokens: int, count: Callable[[Sequence[str]], list[int]]
) -> None:
    """Refuse a state in which some contact's briefing could not hold its instructions.

    The worst case counts: a contact in every segment, on each channel, now and whenever a scenario begins.

    Args:
        session: The transaction that changed something; raising undoes it.
        org_id: Whose instructions.
        now: The moment of the change.
        max_tokens: Tokens of a briefing.
        count: The model's tokenizer; not called where the texts are plainly short.

    Raises:
        InstructionsTooLong: Naming how many tokens they need.
    """
    profile = partners.instructions(session, orgs.get(session, org_id))
    always = scenarios.published(session, org_id=org_id, kind=ScenarioType.BEHAVIORAL)
    for together in _worst_cases(always, now):
        text = _counted(profile, together, max_tokens=max_tokens)
        if len(text.encode("utf-8", "replace")) + SPECIAL_TOKENS <= max_tokens:
            continue
        needed = count([text])[0]
        if needed > max_tokens:
            raise InstructionsTooLong(tokens=needed, allowed=max_tokens, scenarios=len(together))


def _counted(profile: str, together: Sequence[ActiveScenario], *, max_tokens: int) -> str:
    """What the prompt itself counts before it has room for a passage."""
    asked: list[str] = []

    def note(texts: Sequence[str]) -> list[int]:
        asked.extend(texts)
        return [0] * len(texts)

    prompt.Frame(profile=profile, behaviors=behaviors(together), scenarios=(), max_tokens=max_tokens, count=note)
    return "\n\n".join(asked)


def _worst_cases(always: Sequence[ActiveScenario], now: datetime) -> Iterator[list[ActiveScenario]]:
    """Each set of scenarios that can meet in one briefing, once; perhaps none at all, beside the profile."""
    starts = {scenario.start_time for scenario in always if scenario.start_time and scenario.start_time > now}
    everyone = {segment for scenario in always for segment in scenario.segments}
    seen: set[frozenset[UUID]] = set()
    for moment in (now, *sorted(starts)):
        for channel in (None, *Channel):
            together = [
                scenario
                for scenario in always
                if scenario.is_in_force(moment) and scenario.reaches(channel=channel, segments=everyone)
            ]
            ids = frozenset(scenario.id for scenario in together)
            if ids not in seen:
                seen.add(ids)
                yield together
