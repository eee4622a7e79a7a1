"""Answers: one briefing for one message, in a few milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from pipeline.adapters.embedder.port import Embedder
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.db import chunks, orgs, pages, scenarios
from pipeline.db.chunks import LiveChunk
from pipeline.db.engine import Database
from pipeline.errors import InvalidQuestion
from pipeline.model import Briefing, Candidates, Channel, OrgScope, ScenarioType, SearchFilter, Vector
from pipeline.retrieval import fusion, passages, prompt
from pipeline.retrieval import scenarios as matching
from pipeline.services.clock import Clock
from pipeline.services.training_matchers import Matchers
from pipeline.settings import Settings

MESSAGE_LIMIT = 8_000
TOP_K_LIMIT = 50
TOKENS_FLOOR = 100


@dataclass(frozen=True, slots=True)
class Question:
    """What the responder asks with. `top_k` and `max_tokens` fall back to the settings.

    Without a channel, or without segments, what is restricted to some does not apply.
    """

    message: str
    top_k: int | None = None
    max_tokens: int | None = None
    where: SearchFilter | None = None
    channel: str | None = None
    segments: tuple[str, ...] = ()


class AnswerService:
    """Combines behaviour, scenarios and live knowledge. It never writes."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        *,
        embedder: Callable[[], Embedder],
        store: Callable[[], VectorStore],
        sparse: Callable[[], Bm25Encoder],
        matchers: Matchers,
    ) -> None:
        """Use these parts; the model and the store are opened at first use."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._embedder = embedder
        self._store = store
        self._sparse = sparse
        self._matchers = matchers
        self._is_prepared = False

    def brief(self, question: Question, *, scope: OrgScope) -> Briefing:
        """Everything a responder needs for this message.

        Raises:
            InvalidQuestion: If the message is empty or longer than 8,000 characters, a number is out of
                bounds, or there is no such channel.
            TemporaryError: If the database, the store or the model is away.
        """
        top_k = self._check(question)
        embedder = self._embedder()
        vector = embedder.encode_query(question.message)
        with self._database.read() as session:
            org = orgs.get(session, scope.org_id)
            published = scenarios.published(session, org_id=scope.org_id)
            specific = [row for row in published if row.type == ScenarioType.SCENARIO_SPECIFIC]
            matcher = self._matchers.current(session, specific, scope=scope, embedder=embedder)
            languages = pages.languages(session, org_id=scope.org_id)
        candidates = self._propose(question, vector, languages, scope=scope, embedder=embedder)
        live = self._dispose(candidates, scope=scope)
        retrieve = self._settings.retrieve
        ranked = fusion.fuse(passages.in_order(candidates.dense, live), passages.in_order(candidates.sparse, live))
        chosen = passages.choose(ranked, live, top_k=top_k, per_page=retrieve.per_page)
        now = self._clock()
        active = [
            row
            for row in published
            if row.is_in_force(now) and row.reaches(channel=question.channel, segments=question.segments)
        ]
        always = matching.behaviors(active)
        fired = matching.fired(
            matching.judge(active, matcher, vector, question.message), threshold=matcher.calibration.threshold
        )
        best = max((hit.score for hit in candidates.dense if hit.id in live), default=-1.0)
        return Briefing(
            id=uuid4(),
            answerable=best >= retrieve.answerable_threshold,
            profile=org.ai_instructions,
            behaviors=always,
            scenarios=fired,
            passages=chosen,
            prompt=prompt.render(
                profile=org.ai_instructions,
                behaviors=always,
                scenarios=fired,
                passages=chosen,
                max_tokens=retrieve.max_tokens if question.max_tokens is None else question.max_tokens,
                count=embedder.tokenizer.count,
            ),
        )

    def warm_up(self) -> None:
        """Load the model and open the store, so that the first question is as fast as the next."""
        embedder = self._embedder()
        embedder.encode_query("warm")
        self._prepared_store(embedder)

    def _check(self, question: Question) -> int:
        try:
            question.message.encode()
        except UnicodeEncodeError as error:
            raise InvalidQuestion(field="message", problem="it holds half a character (a lone surrogate)") from error
        length = len(question.message.strip())
        if not 1 <= length <= MESSAGE_LIMIT:
            raise InvalidQuestion(field="message", given=f"{length} characters", allowed=f"1 to {MESSAGE_LIMIT}")
        top_k = self._settings.retrieve.top_k if question.top_k is None else question.top_k
        if not 1 <= top_k <= TOP_K_LIMIT:
            raise InvalidQuestion(field="top_k", given=top_k, allowed=f"1 to {TOP_K_LIMIT}")
        if question.max_tokens is not None and question.max_tokens < TOKENS_FLOOR:
            raise InvalidQuestion(field="max_tokens", given=question.max_tokens, allowed=f"at least {TOKENS_FLOOR}")
        if question.channel is not None and question.channel not in set(Channel):
            raise InvalidQuestion(field="channel", given=question.channel, allowed=", ".join(Channel))
        return top_k

    def _propose(
        self, question: Question, vector: Vector, languages: Sequence[str], *, scope: OrgScope, embedder: Embedder
    ) -> Candidates:
        store = self._prepared_store(embedder)
        terms = self._sparse().encode_query(question.message, *languages)
        limit = max(self._settings.retrieve.candidates, 2 * (question.top_k or 0))
        return store.search(vector, terms, limit=limit, scope=scope, where=question.where)

    def _prepared_store(self, embedder: Embedder) -> VectorStore:
        """The store, checked once to hold vectors of this model."""
        store = self._store()
        if not self._is_prepared:
            store.prepare(embedder.identity)
            self._is_prepared = True
        return store

    def _dispose(self, candidates: Candidates, *, scope: OrgScope) -> dict[UUID, LiveChunk]:
        ids = {hit.id for half in (candidates.dense, candidates.sparse) for hit in half}
        with self._database.read() as session:
            return passages.without_doubles(chunks.live(session, ids, org_id=scope.org_id))
