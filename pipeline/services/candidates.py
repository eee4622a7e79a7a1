"""Candidates: what the two halves of the search find, and the rows behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from pipeline import tracing
from pipeline.adapters.embedder.port import Embedder
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.db import chunks
from pipeline.db.chunks import LiveChunk
from pipeline.db.engine import Database
from pipeline.model import Candidates, Hit, OrgScope
from pipeline.retrieval import follow_up
from pipeline.retrieval.follow_up import Sought
from pipeline.services.generations import Knowledge
from pipeline.services.questions import Asked
from pipeline.settings import RetrieveSettings

NARROW = 500, 5_000
"""Hits asked of each half, and asked again if too few remain, where only rows know what a filter lets through."""


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates, the live ones among them, and why the others are not."""

    candidates: Candidates
    live: dict[UUID, LiveChunk]
    absent: dict[UUID, tuple[str, str]]


class CandidateSearch:
    """Asks the stores, and reads what they name."""

    def __init__(self, database: Database, settings: RetrieveSettings, *, sparse: Callable[[], Bm25Encoder]) -> None:
        """Read rows of this database, and find words as this encoder has them."""
        self._database = database
        self._settings = settings
        self._sparse = sparse
        self._prepared: set[tuple[int, bool]] = set()

    def store(self, knowledge: Knowledge, embedder: Embedder | None, *, is_quick: bool) -> VectorStore:
        """The store with the vectors of this model, which is checked once.

        Raises:
            VectorStoreUnavailable: If it is away.
        """
        store = knowledge.quick_store() if is_quick else knowledge.store()
        if embedder is not None and (knowledge.number, is_quick) not in self._prepared:
            store.prepare(embedder.identity)
            self._prepared.add((knowledge.number, is_quick))
        return store

    def by_words(
        self, store: VectorStore, asked: Asked, languages: Sequence[str], *, scope: OrgScope
    ) -> tuple[Hit, ...] | None:
        """The half that needs no vector, to be found while that is computed; None, where what is sought needs it.

        Raises:
            VectorStoreUnavailable: If the store is away.
        """
        if len(limits := self._limits(asked)) > 1 or follow_up.before(asked.history, asked.message).said:
            return None
        with tracing.span("retrieve.search"):
            terms = self._sparse().encode_query(asked.message, *languages)
            return store.search(None, terms, limit=limits[0], scope=scope, where=asked.where).sparse

    def find(
        self,
        store: VectorStore | None,
        asked: Asked,
        sought: Sought,
        by_words: tuple[Hit, ...] | None,
        *,
        scope: OrgScope,
    ) -> Found:
        """Candidates of both halves, and the rows behind them; more, where rows refuse what the store cannot know.

        Args:
            store: Without one there are none.
            asked: The question.
            sought: What is searched for.
            by_words: What was found by words already.
            scope: Whose knowledge it is.

        Raises:
            VectorStoreUnavailable: If the store is away.
        """
        found = Found(Candidates((), ()), {}, {})
        if store is None:
            return found
        terms = sought.sparse if by_words is None else None
        for limit in self._limits(asked):
            with tracing.span("retrieve.search") as span:
                candidates = store.search(sought.dense, terms, limit=limit, scope=scope, where=asked.where)
                if by_words is not None:
                    candidates = replace(candidates, sparse=by_words)
                ids = {hit.id for half in (candidates.dense, candidates.sparse) for hit in half}
                span.say(candidates=len(ids))
            with tracing.span("retrieve.read"), self._database.read() as session:
                live = chunks.live(session, ids, org_id=scope.org_id, where=asked.where)
                missing = ids - live.keys()
                absent = chunks.why_not_live(session, missing, org_id=scope.org_id) if missing else {}
            found = Found(candidates, live, absent)
            if len(live) >= asked.top_k or max(len(candidates.dense), len(candidates.sparse)) < limit:
                break
        return found

    def _limits(self, asked: Asked) -> list[int]:
        """Hits asked of each half, and asked again if too few of them answer."""
        if asked.where.url_prefix or asked.where.fetched_after:
            return [*NARROW]
        return [max(self._settings.candidates, 2 * asked.top_k)]
