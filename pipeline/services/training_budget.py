"""Room for what always applies: it is never cut, so it has to fit before it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from pipeline.adapters.embedder.shared import SharedEmbedder
from pipeline.db import orgs, partners, scenarios
from pipeline.db.engine import Session
from pipeline.db.partners import Partner
from pipeline.db.scenarios import ActiveScenario
from pipeline.errors import InstructionsTooLong
from pipeline.model import Channel, ScenarioType
from pipeline.retrieval import prompt
from pipeline.retrieval.scenarios import behaviors
from pipeline.services.clock import Clock
from pipeline.settings import Settings

SPECIAL_TOKENS = 16
"""More than any model puts around a text."""


Count = Callable[[Sequence[str]], list[int]]
"""Tokens of each text."""


class RoomCheck:
    """Raises `InstructionsTooLong` where what always applies does not fit into a briefing any more."""

    def __init__(self, settings: Settings, clock: Clock, embedder: Callable[[], SharedEmbedder]) -> None:
        """Check by these settings; the model is opened only where texts are not plainly short."""
        self._max_tokens = settings.retrieve.max_tokens
        self._clock = clock
        self._embedder = embedder

    def of_org(self, session: Session, org_id: UUID) -> None:
        """Check an org as it is in this transaction."""
        check_room(session, org_id=org_id, now=self._clock(), max_tokens=self._max_tokens, count=self._count)

    def of_default(self, instructions: str) -> None:
        """Check what a partner's orgs are to answer by, beside nothing else."""
        _check_together(instructions, (), now=self._clock(), max_tokens=self._max_tokens, count=self._count)

    def of_heirs(self, session: Session, partner: Partner) -> None:
        """Check every org that answers by its partner's instructions; the first that lacks room is named."""
        self.of_default(partner.default_instructions)
        now = self._clock()
        for org_id, always in scenarios.behaviors_of_heirs(session, partner.id):
            try:
                _check_together(
                    partner.default_instructions, always, now=now, max_tokens=self._max_tokens, count=self._count
                )
            except InstructionsTooLong as error:
                raise InstructionsTooLong(org=org_id, **error.facts) from error

    def _count(self, texts: Sequence[str]) -> list[int]:
        return self._embedder().tokenizer.count(texts)


def check_room(session: Session, *, org_id: UUID, now: datetime, max_tokens: int, count: Count) -> None:
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
    _check_together(profile, always, now=now, max_tokens=max_tokens, count=count)


def _check_together(
    profile: str, always: Sequence[ActiveScenario], *, now: datetime, max_tokens: int, count: Count
) -> None:
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
