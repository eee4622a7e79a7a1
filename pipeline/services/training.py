"""Training: the scenarios an org writes. What is published is retrieved from the commit on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid4

from pipeline.adapters.embedder.port import Embedder
from pipeline.db import orgs, scenario_directories, scenarios
from pipeline.db.engine import Database, Session
from pipeline.db.paging import Listed, Place
from pipeline.db.scenarios import Scenario, ScenarioVersion, TriggerVector
from pipeline.errors import InvalidScenario, ScenarioChanged
from pipeline.model import OrgScope, ScenarioType
from pipeline.services.clock import Clock
from pipeline.services.training_budget import check_room
from pipeline.services.training_matchers import Matchers
from pipeline.services.training_text import (
    NewScenario,
    ScenarioText,
    ScenarioView,
    VersionView,
    check,
    check_text,
    version_view,
    view_of,
    waiting_text,
)
from pipeline.services.training_vectors import Ahead, Vectors, vectors_of
from pipeline.settings import Settings

__all__ = ["NewScenario", "ScenarioText", "ScenarioView", "TrainingService", "VersionView", "check"]

SOMEBODY = "unknown"
PATIENCE = 5
"""How often publishing begins anew because the draft was changed while its vectors were computed."""


class TrainingService:
    """The life of a scenario: written, drafted, published, rolled back, deleted."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        *,
        embedder: Callable[[], Embedder],
        matchers: Matchers,
    ) -> None:
        """Work on this database; the model is opened when a trigger needs its vector."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._embedder = embedder
        self._matchers = matchers
        self._ahead = Ahead()

    def add(
        self,
        new: NewScenario,
        *,
        scope: OrgScope,
        by: str = SOMEBODY,
        learns: bool = True,
        scenario_id: UUID | None = None,
        vectors: Vectors | None = None,
    ) -> ScenarioView:
        """Store a scenario and, unless it is a draft, publish it as version 1.

        Args:
            new: What somebody wrote.
            scope: Whose scenario it is.
            by: Who publishes it.
            learns: Whether matching is learnt anew at once. Who adds many calls `learn` after the last;
                a question that comes first learns for itself.
            scenario_id: The id it had in another database, taken over unless somebody has it here.
            vectors: Those of its words, where they are computed already.

        Raises:
            InvalidScenario: If a field is empty, too long, or does not fit the type.
            InstructionsTooLong: If what always applies would no longer fit into a briefing.
            DirectoryNotFound: If it is to be kept in a directory that is not there.
            OrgNotFound: If there is no such org.
        """
        check(new)
        now = self._clock()
        if vectors is None:
            vectors = self.vectors(new)
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            known = scenario_id is not None and scenarios.is_taken(session, scenario_id)
            number = uuid4() if scenario_id is None or known else scenario_id
            scenario = Scenario(id=number, org_id=scope.org_id, type=new.type, is_draft=True, created_at=now)
            self._set_text(scenario, new.text, now=now)
            self._apply(session, scenario, new, now=now)
            scenarios.add(session, scenario)
            if not new.is_draft:
                self._publish(session, scenario, new.text, vectors, by=by, now=now)
        if learns and vectors:
            self.learn_once_committed(scope=scope)
        return view_of(scenario)

    def compute_ahead(self, new: NewScenario) -> None:
        """Compute what adding or replacing with `new` will need, so that its transaction waits for no model.

        Raises:
            InvalidScenario: If a field is empty, too long, or does not fit the type.
        """
        check(new)
        self._ahead.keep(new.text, self.vectors(new))

    def vectors(self, new: NewScenario) -> Vectors:
        """Vectors of the words that storing `new` publishes; none of a draft, or of what always applies."""
        return [] if new.is_draft else self._vectors(new.text, kind=new.type)

    def compute_ahead_of_publishing(self, scenario_id: UUID, *, scope: OrgScope) -> None:
        """The same for publishing.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.read() as session:
            scenario = scenarios.get(session, scenario_id, org_id=scope.org_id)
            text, kind = waiting_text(scenario), scenario.type
        if text is not None:
            self._ahead.keep(text, self._vectors(text, kind=kind))

    def learn(self, *, scope: OrgScope) -> None:
        """Learn matching from what is published now, so that no question has to wait for it."""
        self._matchers.refresh(scope=scope, embedder=self._embedder())

    def get(self, scenario_id: UUID, *, scope: OrgScope) -> ScenarioView:
        """One scenario.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.read() as session:
            return view_of(scenarios.get(session, scenario_id, org_id=scope.org_id))

    def list_scenarios(
        self,
        *,
        scope: OrgScope,
        kind: ScenarioType | None = None,
        directory_id: UUID | None = None,
        words: str = "",
    ) -> list[ScenarioView]:
        """The org's scenarios, oldest first; `words` are looked for in titles and instructions."""
        with self._database.read() as session:
            found = scenarios.listing(session, org_id=scope.org_id, kind=kind, directory_id=directory_id, words=words)
            return [view_of(scenario) for scenario in found]

    def list_page(
        self,
        *,
        scope: OrgScope,
        kind: ScenarioType | None = None,
        directory_id: UUID | None = None,
        words: str = "",
        limit: int = 20,
        after: Place | None = None,
    ) -> Listed[ScenarioView]:
        """One piece of `list_scenarios`."""
        with self._database.read() as session:
            found = scenarios.page(
                session,
                org_id=scope.org_id,
                kind=kind,
                directory_id=directory_id,
                words=words,
                limit=limit,
                after=after,
            )
            return found.each(view_of)

    def count(self, *, scope: OrgScope) -> int:
        """How many scenarios the org has, drafts included."""
        with self._database.read() as session:
            return scenarios.count(session, org_id=scope.org_id)

    def replace(
        self,
        scenario_id: UUID,
        new: NewScenario,
        *,
        scope: OrgScope,
        by: str = SOMEBODY,
        learns: bool = True,
        vectors: Vectors | None = None,
    ) -> ScenarioView:
        """Make a scenario what `new` says; new words are a new version, unless it is to be a draft.

        Whom it is for, when, and its priority are no part of a version: they hold from this commit on.
        Another type makes it a draft, whatever `new` says: what it means has changed, so somebody publishes it again.

        Raises:
            InvalidScenario: If a field is empty, too long, or does not fit the type.
            InstructionsTooLong: If what always applies would no longer fit into a briefing.
            ScenarioNotFound: If the org has no such scenario.
            ScenarioChanged: If somebody else changed it meanwhile.
            DirectoryNotFound: If it is to be kept in a directory that is not there.
        """
        check(new)
        before = self.get(scenario_id, scope=scope)
        after = self._replace(before, new, vectors, scope=scope, by=by)
        if ScenarioType.SCENARIO_SPECIFIC in {before.type, new.type} and learns:
            self.learn_once_committed(scope=scope)
        return after

    def delete(self, scenario_id: UUID, *, scope: OrgScope) -> None:
        """Remove a scenario with all its versions; it applies to nothing from this commit on.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.write() as session:
            scenario = scenarios.get(session, scenario_id, org_id=scope.org_id, to_change=True)
            was_matched = scenario.type == ScenarioType.SCENARIO_SPECIFIC and not scenario.is_draft
            scenarios.delete(session, scenario)
        if was_matched:
            self.learn_once_committed(scope=scope)

    def put_draft(self, scenario_id: UUID, text: ScenarioText, *, scope: OrgScope) -> ScenarioView:
        """Keep an edit for later; what is published goes on as it is.

        Raises:
            InvalidScenario: If the words do not fit the type, or its bounds.
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.write() as session:
            scenario = scenarios.get(session, scenario_id, org_id=scope.org_id, to_change=True)
            check_text(text, kind=scenario.type)
            self._keep_draft(scenario, text)
            return view_of(scenario)

    def discard_draft(self, scenario_id: UUID, *, scope: OrgScope) -> ScenarioView:
        """Forget the edit that waits, if one does.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.write() as session:
            scenario = scenarios.get(session, scenario_id, org_id=scope.org_id, to_change=True)
            self._keep_draft(scenario, None)
            return view_of(scenario)

    def publish(self, scenario_id: UUID, *, scope: OrgScope, by: str = SOMEBODY) -> ScenarioView:
        """Make the draft the next version; without one, nothing changes.

        Raises:
            InstructionsTooLong: If what always applies would no longer fit into a briefing.
            ScenarioNotFound: If the org has no such scenario.
            InvalidScenario: If the draft changes faster than it can be published.
        """
        for _ in range(PATIENCE):
            with self._database.read() as session:
                scenario = scenarios.get(session, scenario_id, org_id=scope.org_id)
                text, kind = waiting_text(scenario), scenario.type
                if text is None:
                    return view_of(scenario)
            vectors = self._vectors(text, kind=kind)
            now = self._clock()
            with self._database.write() as session:
                scenario = scenarios.get(session, scenario_id, org_id=scope.org_id, to_change=True)
                if (waiting_text(scenario), scenario.type) == (text, kind):
                    self._publish(session, scenario, text, vectors, by=by, now=now)
                    break
        else:
            raise InvalidScenario(scenario=scenario_id, problem="its draft changes faster than it can be published")
        if vectors:
            self.learn_once_committed(scope=scope)
        return view_of(scenario)

    def versions(self, scenario_id: UUID, *, scope: OrgScope) -> list[VersionView]:
        """Everything that was published of a scenario, newest first.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.read() as session:
            scenarios.get(session, scenario_id, org_id=scope.org_id)
            return [version_view(version) for version in scenarios.versions(session, scenario_id)]

    def version_page(
        self, scenario_id: UUID, *, scope: OrgScope, limit: int = 20, after: Place | None = None
    ) -> Listed[VersionView]:
        """One piece of `versions`.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
        """
        with self._database.read() as session:
            scenarios.get(session, scenario_id, org_id=scope.org_id)
            return scenarios.version_page(session, scenario_id, limit=limit, after=after).each(version_view)

    def roll_back(self, scenario_id: UUID, number: int, *, scope: OrgScope) -> ScenarioView:
        """Fill the draft with an old version's words; publishing it is another step.

        Raises:
            ScenarioNotFound: If the org has no such scenario.
            VersionNotFound: If it has no such version.
        """
        with self._database.write() as session:
            scenario = scenarios.get(session, scenario_id, org_id=scope.org_id, to_change=True)
            version = scenarios.version(session, scenario_id, number)
            has_triggers = scenario.type == ScenarioType.SCENARIO_SPECIFIC
            triggers = tuple(version.triggers) if has_triggers else ()
            self._keep_draft(scenario, ScenarioText(version.title, version.content, triggers))
            return view_of(scenario)

    def _replace(
        self, before: ScenarioView, new: NewScenario, known: Vectors | None, *, scope: OrgScope, by: str
    ) -> ScenarioView:
        """Make a scenario what `new` says, unless it is no longer what it was before."""
        now = self._clock()
        is_new = before.is_draft or new.text != ScenarioText(before.title, before.content, before.triggers)
        wants_vectors = is_new and not new.is_draft and before.type == new.type
        vectors: Vectors = []
        if wants_vectors:
            vectors = self._vectors(new.text, kind=new.type) if known is None else known
        with self._database.write() as session:
            scenario = scenarios.get(session, before.id, org_id=scope.org_id, to_change=True)
            if view_of(scenario) != before:
                raise ScenarioChanged(scenario=before.id)
            turns = scenario.type != new.type
            scenario.type = new.type
            self._apply(session, scenario, new, now=now)
            if turns or new.is_draft:
                scenario.is_draft = True
                self._set_text(scenario, new.text, now=now)
            elif is_new:
                self._publish(session, scenario, new.text, vectors, by=by, now=now)
            self._check_room(session, scenario, now=now)
            return view_of(scenario)

    def learn_once_committed(self, *, scope: OrgScope) -> None:
        """Learn once the change is committed: now, or aside when it is a part of a transaction that others wait for."""
        if not self._database.after_commit(lambda: self._matchers.refresh_aside(scope=scope, embedder=self._embedder)):
            self.learn(scope=scope)

    def _publish(
        self,
        session: Session,
        scenario: Scenario,
        text: ScenarioText,
        vectors: Vectors,
        *,
        by: str,
        now: datetime,
    ) -> None:
        self._set_text(scenario, text, now=now)
        number = max((version.number for version in scenarios.versions(session, scenario.id)), default=0) + 1
        version = ScenarioVersion(
            id=uuid4(),
            scenario_id=scenario.id,
            number=number,
            type=scenario.type,
            title=text.title,
            content=text.content,
            triggers=list(text.triggers),
            published_by=by,
            created_at=now,
        )
        session.add(version)
        scenario.is_draft, scenario.current_version, scenario.published_at = False, number, now
        session.flush()
        session.add_all(
            TriggerVector(version_id=version.id, model=model, position=position, vector=vector)
            for position, (model, vector) in enumerate(vectors)
        )
        self._check_room(session, scenario, now=now)

    def _set_text(self, scenario: Scenario, text: ScenarioText, *, now: datetime) -> None:
        scenario.title, scenario.content, scenario.triggers = text.title, text.content, list(text.triggers)
        scenario.draft_title = scenario.draft_content = scenario.draft_triggers = None
        scenario.updated_at = now

    def _keep_draft(self, scenario: Scenario, text: ScenarioText | None) -> None:
        scenario.draft_title = text.title if text else None
        scenario.draft_content = text.content if text else None
        scenario.draft_triggers = list(text.triggers) if text else None
        scenario.updated_at = self._clock()

    def _apply(self, session: Session, scenario: Scenario, new: NewScenario, *, now: datetime) -> None:
        """Take over everything that is not words."""
        if new.directory_id is not None:
            scenario_directories.get(session, new.directory_id, org_id=scenario.org_id)
        scenario.directory_id = new.directory_id
        scenario.restricted_to_channels = list(new.restricted_to_channels)
        scenario.restricted_to_segments = list(new.restricted_to_segments)
        scenario.start_time, scenario.end_time = new.start_time, new.end_time
        scenario.priority = new.priority
        scenario.notes = dict(new.metadata)
        scenario.updated_at = now

    def _check_room(self, session: Session, scenario: Scenario, *, now: datetime) -> None:
        if scenario.type != ScenarioType.BEHAVIORAL or scenario.is_draft:
            return
        session.flush()
        check_room(
            session,
            org_id=scenario.org_id,
            now=now,
            max_tokens=self._settings.retrieve.max_tokens,
            count=lambda texts: self._embedder().tokenizer.count(texts),  # noqa: PLW0108 - the model is opened only if asked
        )

    def _vectors(self, text: ScenarioText, *, kind: str) -> Vectors:
        if kind != ScenarioType.SCENARIO_SPECIFIC:
            return []
        if (known := self._ahead.take(text)) is not None:
            return known
        return vectors_of((text.title, *text.triggers), self._embedder())
