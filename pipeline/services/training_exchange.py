"""Scenarios in and out of files. A file may come back as often as it likes: nothing is added twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from pipeline.errors import InvalidScenario
from pipeline.model import OrgScope, ScenarioType
from pipeline.services.training import TrainingService
from pipeline.services.training_directories import DirectoryService
from pipeline.services.training_files import Entry, Format, read, write
from pipeline.services.training_text import NewScenario, ScenarioText, ScenarioView, check, check_text
from pipeline.services.training_vectors import Vectors

DRAFT = ("draft_title", "draft_content", "draft_triggers")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do: titles in the order of the file."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """One scenario of a file beside the one it is, if it is there; its vectors, where they are computed already."""

    before: ScenarioView | None
    new: NewScenario
    directory: str | None
    draft: ScenarioText | None
    id: UUID | None
    is_same: bool = False
    vectors: Vectors | None = None

    @property
    def has_new_words(self) -> bool:
        """Whether carrying it out publishes something."""
        before = self.before
        if self.new.is_draft:
            return False
        return before is None or before.is_draft or self.new.text != _text(before)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file asks for, beside what was there when it was read."""

    steps: tuple[_Step, ...]

    @property
    def changed(self) -> tuple[_Step, ...]:
        """What is not so already."""
        return tuple(step for step in self.steps if not step.is_same)

    @property
    def created(self) -> int:
        """How many scenarios are new."""
        return sum(step.before is None for step in self.steps)

    @property
    def report(self) -> ImportReport:
        """What carrying it out does."""
        return ImportReport(
            created=tuple(step.new.title for step in self.changed if step.before is None),
            updated=tuple(step.new.title for step in self.changed if step.before is not None),
            unchanged=tuple(step.new.title for step in self.steps if step.is_same),
        )


class ExchangeService:
    """Exports all scenarios of an org, and imports a file of them."""

    def __init__(self, training: TrainingService, directories: DirectoryService) -> None:
        """Work through these."""
        self._training = training
        self._directories = directories

    def export(self, form: Format, *, scope: OrgScope) -> str:
        """Every scenario of the org, drafts included, oldest first."""
        names = {directory.id: directory.name for directory in self._directories.list_all(scope=scope)}
        return write([_as_entry(view, names) for view in self._training.list_scenarios(scope=scope)], form)

    def import_file(
        self, text: str, form: Format, *, scope: OrgScope, by: str, is_rehearsal: bool = False
    ) -> ImportReport:
        """Make the org's scenarios what the file says; those it does not name stay as they are.

        A scenario is the one of its `id`, else the one of its title and type; what the file leaves out of it is kept.
        The whole file is checked before anything is stored.

        Raises:
            InvalidScenario: If the file cannot be read or a scenario cannot be stored, naming which.
            InstructionsTooLong: If what always applies would no longer fit into a briefing; what came before is stored.
        """
        plan = self.plan(text, form, scope=scope)
        if not is_rehearsal and plan.changed:
            self.carry_out(plan, scope=scope, by=by)
        return plan.report

    def plan(self, text: str, form: Format, *, scope: OrgScope, computes: bool = False) -> Plan:
        """Check a whole file, and see what it would change.

        Args:
            text: The file.
            form: What it is.
            scope: Whose scenarios.
            computes: Whether vectors are computed now, so that carrying it out waits for no model.

        Raises:
            InvalidScenario: If the file cannot be read or a scenario cannot be stored, naming which.
        """
        known = self._training.list_scenarios(scope=scope)
        folders = self._folders(scope)
        read_now = _plan(read(text, form), known, {number: name for name, number in folders.items()})
        steps = [replace(step, is_same=_is_same(step, folders)) for step in read_now]
        if computes:
            steps = [replace(step, vectors=self._vectors(step)) for step in steps]
        return Plan(tuple(steps))

    def carry_out(self, plan: Plan, *, scope: OrgScope, by: str) -> None:
        """Store what a plan changes, and learn matching from it.

        Raises:
            InstructionsTooLong: If what always applies would no longer fit into a briefing; what came before is
                stored, unless the whole is one transaction.
            ScenarioChanged: If somebody else changed a scenario meanwhile.
        """
        folders = self._folders(scope)
        for name in {step.directory for step in plan.changed if step.directory} - folders.keys():
            folders[name] = self._directories.add(name, scope=scope).id
        for step in plan.changed:
            self._carry_out(step, folders, scope=scope, by=by)
        self._training.learn_once_committed(scope=scope)

    def _folders(self, scope: OrgScope) -> dict[str, UUID]:
        return {directory.name: directory.id for directory in self._directories.list_all(scope=scope)}

    def _vectors(self, step: _Step) -> Vectors | None:
        return self._training.vectors(step.new) if step.has_new_words and not step.is_same else None

    def _carry_out(self, step: _Step, folders: Mapping[str, UUID], *, scope: OrgScope, by: str) -> None:
        new = replace(step.new, directory_id=folders[step.directory] if step.directory else None)
        if step.before is None:
            view = self._training.add(new, scope=scope, by=by, learns=False, scenario_id=step.id, vectors=step.vectors)
        else:
            view = self._training.replace(step.before.id, new, scope=scope, by=by, learns=False, vectors=step.vectors)
        if step.draft is not None and step.draft != _waiting(view):
            self._training.put_draft(view.id, step.draft, scope=scope)
        if step.draft is None and _waiting(view) is not None:
            self._training.discard_draft(view.id, scope=scope)


def _as_entry(view: ScenarioView, names: Mapping[UUID, str]) -> dict[str, Any]:
    """A scenario as a file has it; the words of a first draft stand there once."""
    entry = asdict(view) | {"directory": names.get(view.directory_id) if view.directory_id else None}
    return entry if _waiting(view) is not None else entry | dict.fromkeys(DRAFT)


def _plan(entries: Sequence[Entry], known: Sequence[ScenarioView], names: Mapping[UUID, str]) -> list[_Step]:
    """Each entry beside the scenario it is. Of several alike, each is taken once."""
    by_id = {view.id: view for view in known}
    by_name: dict[tuple[str, str], list[ScenarioView]] = defaultdict(list)
    given = [_id(entry, place) for place, entry in enumerate(entries, start=1)]
    doubled = [place for place, number in enumerate(given, start=1) if number and number in given[: place - 1]]
    if doubled:
        raise InvalidScenario(scenario=doubled[0], field="id", problem="an earlier scenario of the file has it too")
    for view in known:
        if view.id not in given:
            by_name[view.title, view.type].append(view)
    before = [by_id.get(number) if number else None for number in given]
    for exactly in (True, False):
        for place, entry in enumerate(entries):
            if before[place] is None:
                before[place] = _take_alike(by_name[_name(entry)], entry, exactly=exactly)
    return [
        _step(entry, known_as, number, names, place=place)
        for place, (entry, known_as, number) in enumerate(zip(entries, before, given, strict=True), start=1)
    ]


def _name(entry: Entry) -> tuple[str, str]:
    return str(entry.get("title")), str(entry.get("type") or ScenarioType.SCENARIO_SPECIFIC)


def _take_alike(alike: list[ScenarioView], entry: Entry, *, exactly: bool) -> ScenarioView | None:
    """One of the scenarios of this name, which no other entry gets then; `exactly` one of the same instruction."""
    for place, view in enumerate(alike):
        if not exactly or view.content == entry.get("content"):
            return alike.pop(place)
    return None


def _step(
    entry: Entry, before: ScenarioView | None, number: UUID | None, names: Mapping[UUID, str], *, place: int
) -> _Step:
    whole = (_as_entry(before, names) if before else {}) | entry
    kind = whole.get("type") or ScenarioType.SCENARIO_SPECIFIC
    if kind not in set(ScenarioType):
        raise InvalidScenario(scenario=place, field="type", given=kind, allowed=", ".join(ScenarioType))
    new = NewScenario(
        title=whole.get("title") or "",
        content=whole.get("content") or "",
        type=ScenarioType(kind),
        triggers=tuple(whole.get("triggers") or ()),
        is_draft=bool(whole.get("is_draft")),
        priority=whole.get("priority") or 0,
        restricted_to_channels=tuple(whole.get("restricted_to_channels") or ()),
        restricted_to_segments=tuple(whole.get("restricted_to_segments") or ()),
        start_time=whole.get("start_time"),
        end_time=whole.get("end_time"),
        metadata=whole.get("metadata") or {},
    )
    draft = None
    if any(whole.get(field) is not None for field in DRAFT):
        triggers = tuple(whole.get("draft_triggers") or ())
        draft = ScenarioText(whole.get("draft_title") or new.title, whole.get("draft_content") or new.content, triggers)
    try:
        check(new)
        if draft is not None:
            check_text(draft, kind=new.type)
    except InvalidScenario as error:
        raise InvalidScenario(scenario=place, **error.facts) from error
    return _Step(before, new, whole.get("directory") or None, draft, number)


def _is_same(step: _Step, folders: Mapping[str, UUID]) -> bool:
    """Whether nothing would change. A directory that is not there yet is a change."""
    before = step.before
    if before is None or (step.directory and step.directory not in folders):
        return False
    now = NewScenario(
        title=before.title,
        content=before.content,
        type=ScenarioType(before.type),
        triggers=before.triggers,
        is_draft=before.is_draft,
        priority=before.priority,
        directory_id=before.directory_id,
        restricted_to_channels=before.restricted_to_channels,
        restricted_to_segments=before.restricted_to_segments,
        start_time=before.start_time,
        end_time=before.end_time,
        metadata=before.metadata,
    )
    wanted = replace(step.new, directory_id=folders[step.directory] if step.directory else None)
    return now == wanted and step.draft == _waiting(before)


def _text(view: ScenarioView) -> ScenarioText:
    return ScenarioText(view.title, view.content, view.triggers)


def _waiting(view: ScenarioView) -> ScenarioText | None:
    """The edit that waits beside the words; the words of a first draft are no edit of themselves."""
    if view.draft_title is None or view.draft_content is None:
        return None
    draft = ScenarioText(view.draft_title, view.draft_content, view.draft_triggers or ())
    return None if view.is_draft and draft == _text(view) else draft


def _id(entry: Entry, place: int) -> UUID | None:
    try:
        return UUID(entry["id"]) if entry.get("id") else None
    except ValueError as error:
        raise InvalidScenario(scenario=place, field="id", problem="it is no id; leave it out for a new one") from error
