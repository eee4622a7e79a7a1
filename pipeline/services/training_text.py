"""A scenario as somebody writes it and as the outside sees it, and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pipeline.db.scenario_directories import ScenarioDirectory
from pipeline.db.scenarios import Scenario, ScenarioVersion
from pipeline.errors import InvalidScenario
from pipeline.model import Channel, ScenarioType
from pipeline.services.free_json import as_kept

TITLE_LIMIT, CONTENT_LIMIT, TRIGGER_LIMIT, TRIGGER_LENGTH = 300, 20_000, 50, 500
SEGMENT_LIMIT, SEGMENT_LENGTH, METADATA_LIMIT, PRIORITY_LIMIT = 100, 100, 20_000, 1_000_000
DIRECTORY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class ScenarioText:
    """What is published as a version: words, and nothing about whom they are for."""

    title: str
    content: str
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewScenario:
    """A scenario as somebody writes it; bounds are those of the HTTP contract.

    It is in force in `[start_time, end_time)`; empty restrictions mean every channel and every contact.
    """

    title: str
    content: str
    type: ScenarioType = ScenarioType.SCENARIO_SPECIFIC
    triggers: tuple[str, ...] = ()
    is_draft: bool = False
    priority: int = 0
    directory_id: UUID | None = None
    restricted_to_channels: tuple[str, ...] = ()
    restricted_to_segments: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> ScenarioText:
        """Its words."""
        return ScenarioText(self.title, self.content, self.triggers)


@dataclass(frozen=True, slots=True)
class ScenarioView:
    """A scenario as the outside sees it: what was published last, and the draft of what comes next.

    What was never published shows its words in both places.
    """

    id: UUID
    title: str
    content: str
    type: str
    triggers: tuple[str, ...]
    is_draft: bool
    directory_id: UUID | None
    restricted_to_channels: tuple[str, ...]
    restricted_to_segments: tuple[str, ...]
    start_time: datetime | None
    end_time: datetime | None
    priority: int
    metadata: dict[str, Any]
    draft_title: str | None
    draft_content: str | None
    draft_triggers: tuple[str, ...] | None
    current_version: int | None
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class VersionView:
    """One published version: what, when, and who published it."""

    number: int
    type: str
    title: str
    content: str
    triggers: tuple[str, ...]
    published_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DirectoryView:
    """A folder of scenarios."""

    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime


def check(new: NewScenario) -> None:
    """Refuse a scenario that cannot be stored.

    Raises:
        InvalidScenario: Naming the field, and what is allowed.
    """
    check_text(new.text, kind=new.type)
    _check_reach(new)
    if new.start_time and new.end_time and new.start_time >= new.end_time:
        raise InvalidScenario(field="end_time", problem="it must be later than start_time")
    if abs(new.priority) > PRIORITY_LIMIT:
        allowed = f"-{PRIORITY_LIMIT} to {PRIORITY_LIMIT}"
        raise InvalidScenario(field="priority", given=new.priority, allowed=allowed)
    try:
        length = len(as_kept(dict(new.metadata)))
    except ValueError as error:
        raise InvalidScenario(field="metadata", problem=str(error)) from error
    if length > METADATA_LIMIT:
        raise InvalidScenario(
            field="metadata", given=f"{length} characters of JSON", allowed=f"at most {METADATA_LIMIT}"
        )


def check_text(text: ScenarioText, *, kind: str) -> None:
    """Refuse words that cannot be stored for this type.

    Raises:
        InvalidScenario: Naming the field, and what is allowed.
    """
    bounds = (("title", text.title, TITLE_LIMIT), ("content", text.content, CONTENT_LIMIT))
    for name, value, limit in bounds:
        if not value.strip() or len(value) > limit:
            raise InvalidScenario(field=name, given=f"{len(value)} characters", allowed=f"1 to {limit}")
        _check_whole(name, value)
    for trigger in text.triggers:
        _check_whole("triggers", trigger)
    if text.triggers and kind == ScenarioType.BEHAVIORAL:
        raise InvalidScenario(field="triggers", problem="a BEHAVIORAL scenario always applies and has no triggers")
    if len(text.triggers) > TRIGGER_LIMIT:
        raise InvalidScenario(field="triggers", given=len(text.triggers), allowed=f"at most {TRIGGER_LIMIT}")
    if any(not trigger.strip() or len(trigger) > TRIGGER_LENGTH for trigger in text.triggers):
        raise InvalidScenario(field="triggers", problem=f"each needs 1 to {TRIGGER_LENGTH} characters")


def _check_whole(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidScenario(field=field, problem="it holds half a character (a lone surrogate)") from error


def _check_reach(new: NewScenario) -> None:
    channels = set(Channel)
    if unknown := [channel for channel in new.restricted_to_channels if channel not in channels]:
        raise InvalidScenario(field="restricted_to_channels", given=unknown[0], allowed=", ".join(Channel))
    segments = new.restricted_to_segments
    if len(segments) > SEGMENT_LIMIT:
        raise InvalidScenario(field="restricted_to_segments", given=len(segments), allowed=f"at most {SEGMENT_LIMIT}")
    if any(not segment.strip() or len(segment) > SEGMENT_LENGTH for segment in segments):
        raise InvalidScenario(field="restricted_to_segments", problem=f"each needs 1 to {SEGMENT_LENGTH} characters")
    for segment in segments:
        _check_whole("restricted_to_segments", segment)
    for name, moment in (("start_time", new.start_time), ("end_time", new.end_time)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidScenario(field=name, problem="it needs a time zone, such as 2027-01-31T09:00:00Z")


def waiting_text(scenario: Scenario) -> ScenarioText | None:
    """The words that publishing would publish, if there are any."""
    if scenario.draft_title is not None and scenario.draft_content is not None:
        return ScenarioText(scenario.draft_title, scenario.draft_content, tuple(scenario.draft_triggers or ()))
    return _text(scenario) if scenario.is_draft else None


def view_of(scenario: Scenario) -> ScenarioView:
    """A scenario as the outside sees it."""
    draft = waiting_text(scenario)
    return ScenarioView(
        id=scenario.id,
        title=scenario.title,
        content=scenario.content,
        type=scenario.type,
        triggers=tuple(scenario.triggers),
        is_draft=scenario.is_draft,
        directory_id=scenario.directory_id,
        restricted_to_channels=tuple(scenario.restricted_to_channels),
        restricted_to_segments=tuple(scenario.restricted_to_segments),
        start_time=scenario.start_time,
        end_time=scenario.end_time,
        priority=scenario.priority,
        metadata=dict(scenario.notes),
        draft_title=draft.title if draft else None,
        draft_content=draft.content if draft else None,
        draft_triggers=draft.triggers if draft else None,
        current_version=scenario.current_version,
        published_at=scenario.published_at,
        created_at=scenario.created_at,
        updated_at=scenario.updated_at,
    )


def version_view(version: ScenarioVersion) -> VersionView:
    """A version as the outside sees it."""
    return VersionView(
        number=version.number,
        type=version.type,
        title=version.title,
        content=version.content,
        triggers=tuple(version.triggers),
        published_by=version.published_by,
        created_at=version.created_at,
    )


def directory_view(directory: ScenarioDirectory) -> DirectoryView:
    """A directory as the outside sees it."""
    return DirectoryView(directory.id, directory.name, directory.created_at, directory.updated_at)


def _text(scenario: Scenario) -> ScenarioText:
    return ScenarioText(scenario.title, scenario.content, tuple(scenario.triggers))
