"""Matchers: one for each org, learnt when its scenarios change, kept in memory and in the database."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from uuid import UUID
from weakref import WeakValueDictionary

import numpy as np

from pipeline.adapters.embedder.port import Embedder
from pipeline.db import page_versions, scenario_matchers, scenarios
from pipeline.db.engine import Database, Session
from pipeline.db.scenarios import ActiveScenario
from pipeline.errors import SitewiseError
from pipeline.logs import get_logger
from pipeline.model import OrgScope, ScenarioType, Vector
from pipeline.retrieval import background
from pipeline.retrieval.matcher import FORMAT, Background, Matcher, Taught, learn, load
from pipeline.services.aside import Aside
from pipeline.services.clock import Clock
from pipeline.services.training_vectors import vectors_of

TITLES = 100
"""Titles of pages looked at, spread over the alphabet; more only take longer."""

TITLES_HELD = 6_400
"""Titles whose vectors are kept in memory: 20 MB."""

HELD = 64
"""Matchers kept in memory, of the orgs that asked last: 3 MB for 50 scenarios of ten triggers."""

log = get_logger(__name__)


class _Turn:
    """Held by the one that learns; forgotten when nobody learns or waits."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = Lock()


class Matchers:
    """Hands out the matcher that belongs to exactly the versions published now. Safe to use from many threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Work on this database."""
        self._database = database
        self._clock = clock
        self._held: OrderedDict[tuple[UUID, str], tuple[str, Matcher]] = OrderedDict()
        self._lock = Lock()
        self._learning: WeakValueDictionary[tuple[UUID, str, str], _Turn] = WeakValueDictionary()
        self.aside = Aside()
        self._titles: OrderedDict[tuple[str, str], Vector] = OrderedDict()

    def current(
        self, session: Session, published: Sequence[ActiveScenario], *, scope: OrgScope, embedder: Embedder
    ) -> Matcher:
        """The matcher of what this transaction sees as published: held, stored, or learnt now.

        Args:
            session: A transaction that reads.
            published: Every published SCENARIO_SPECIFIC scenario of the org, in force or not.
            scope: The org.
            embedder: The model whose vectors are compared.
        """
        model = embedder.identity.fingerprint
        digest = _digest(published, embedder)
        key = (scope.org_id, model)
        if (matcher := self._at_hand(key, digest)) is not None:
            return matcher
        with self._lock:
            turn = self._learning.setdefault((*key, digest), _Turn())
        with turn.lock:  # whoever comes while one learns waits for it, and need not learn the same
            if (matcher := self._at_hand(key, digest)) is not None:
                return matcher
            state = scenario_matchers.state(session, org_id=scope.org_id, model=model, digest=digest)
            matcher = load(state) if state else self._learn(session, published, scope=scope, embedder=embedder)
            self._hold(key, digest, matcher)
            return matcher

    def refresh(self, *, scope: OrgScope, embedder: Embedder) -> None:
        """Learn from what is published now and store it, so that no question has to wait for it."""
        model = embedder.identity.fingerprint
        self._keep_background(embedder)
        with self._database.read() as session:
            published = scenarios.published(session, org_id=scope.org_id, kind=ScenarioType.SCENARIO_SPECIFIC)
            matcher = self.current(session, published, scope=scope, embedder=embedder)
            digest = _digest(published, embedder)
            if scenario_matchers.state(session, org_id=scope.org_id, model=model, digest=digest) is not None:
                return
        with self._database.write() as session:
            scenario_matchers.keep(
                session,
                org_id=scope.org_id,
                model=model,
                digest=digest,
                state=matcher.dump(),
                now=self._clock(),
            )

    def refresh_aside(self, *, scope: OrgScope, embedder: Callable[[], Embedder]) -> None:
        """The same soon, in a thread of its own: whoever published waits for nothing.

        A question that comes before is answered from what is published all the same: it learns for itself.
        """

        def learn_now() -> None:
            try:
                self.refresh(scope=scope, embedder=embedder())
            except SitewiseError as error:  # what was changed is changed: the next question learns for itself
                log.warning("matching not learnt", org=str(scope.org_id), problem=str(error))

        self.aside.soon(scope.org_id, learn_now)

    def close(self) -> None:
        """Learn no more aside; what is being learnt is finished."""
        self.aside.close()

    def _at_hand(self, key: tuple[UUID, str], digest: str) -> Matcher | None:
        with self._lock:
            held = self._held.get(key)
            if held is None or held[0] != digest:
                return None
            self._held.move_to_end(key)
            return held[1]

    def _hold(self, key: tuple[UUID, str], digest: str, matcher: Matcher) -> None:
        with self._lock:
            self._held[key] = (digest, matcher)
            self._held.move_to_end(key)
            while len(self._held) > HELD:
                self._held.popitem(last=False)

    def _learn(
        self, session: Session, published: Sequence[ActiveScenario], *, scope: OrgScope, embedder: Embedder
    ) -> Matcher:
        model = embedder.identity.fingerprint
        stored = scenarios.trigger_vectors(session, [row.version_id for row in published], model=model)
        taught = [
            Taught(row.version_id, (row.title, *row.triggers), _vectors(row, stored.get(row.version_id), embedder))
            for row in published
        ]
        far = self._background(session, embedder, scope=scope) if taught else _NOTHING
        return learn(taught, far, inner=embedder.inner)

    def _background(self, session: Session, embedder: Embedder, *, scope: OrgScope) -> Background:
        """Questions that belong to nobody, and what the org's pages are about: what is no scenario's message."""
        kept = scenario_matchers.background(session, model=embedder.identity.fingerprint, digest=_seen_as(embedder))
        texts = background.QUESTIONS
        vectors = (
            np.frombuffer(kept, np.float32).reshape(len(texts), -1)
            if kept is not None
            else embedder.encode_messages(texts)
        )
        titles = page_versions.live_titles(session, org_id=scope.org_id)
        titles = titles[:: max(math.ceil(len(titles) / TITLES), 1)]
        if not titles:
            return Background(texts, vectors)
        known = self._of_titles(titles, embedder)
        return Background((*texts, *titles), np.concatenate([vectors, known]))

    def _of_titles(self, titles: Sequence[str], embedder: Embedder) -> Vector:
        """Vectors of titles; those that were looked at before are not computed again."""
        model = embedder.identity.fingerprint
        with self._lock:
            known = {title: self._titles[model, title] for title in titles if (model, title) in self._titles}
        new = [title for title in dict.fromkeys(titles) if title not in known]
        known |= dict(zip(new, embedder.encode_messages(new), strict=True)) if new else {}
        with self._lock:
            for title in titles:
                self._titles[model, title] = known[title]
                self._titles.move_to_end((model, title))
            while len(self._titles) > TITLES_HELD:
                self._titles.popitem(last=False)
        return np.stack([known[title] for title in titles])

    def _keep_background(self, embedder: Embedder) -> None:
        """Store the vectors of the background questions once for each model: one or two seconds."""
        model = embedder.identity.fingerprint
        with self._database.read() as session:
            if scenario_matchers.background(session, model=model, digest=_seen_as(embedder)) is not None:
                return
        vectors = b"".join(vector for _, vector in vectors_of(background.QUESTIONS, embedder))
        with self._database.write() as session:
            scenario_matchers.keep_background(session, model=model, digest=_seen_as(embedder), vectors=vectors)


_NUMBER = np.dtype(np.float32).itemsize
_NOTHING = Background((), np.empty((0, 0), np.float32))


def _seen_as(embedder: Embedder) -> str:
    """A short hash of the background questions and of how texts are seen."""
    return hashlib.sha256(f"{FORMAT} {embedder.inner} {background.DIGEST}".encode()).hexdigest()[:16]


def _digest(published: Sequence[ActiveScenario], embedder: Embedder) -> str:
    """A short hash of what is learnt from, and of how."""
    parts = [_seen_as(embedder), *sorted(row.version_id.hex for row in published)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _vectors(scenario: ActiveScenario, stored: list[bytes] | None, embedder: Embedder) -> Vector:
    """The vectors stored with the version, else computed: for a model that is new here, or kept without inner parts."""
    if stored is not None and len(stored[0]) == _NUMBER * (embedder.identity.dimension + embedder.inner):
        return np.stack([np.frombuffer(vector, np.float32) for vector in stored])
    return embedder.encode_messages((scenario.title, *scenario.triggers))
