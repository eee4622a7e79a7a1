"""Search over all that an org has, nearest in meaning first: its training, drafts included, and its websites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import numpy as np

from pipeline.adapters.embedder.port import Embedder
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.db import chunks, scenarios
from pipeline.db.engine import Database
from pipeline.db.scenarios import Scenario
from pipeline.errors import VectorStoreUnavailable
from pipeline.model import Candidates, OrgScope, Passage, ScenarioType, Vector
from pipeline.retrieval import passages
from pipeline.retrieval.matcher import Matcher
from pipeline.services.generations import Knowledge
from pipeline.services.questions import check_query
from pipeline.services.said_before import SaidBefore
from pipeline.services.training_matchers import Matchers
from pipeline.settings import Settings

CONTENT_LETTERS = 1_000
"""Of an instruction, so much of its beginning is compared: a model reads no more."""

PER_PAGE = 3
"""Passages one page may give."""

SCORE_DIGITS = 4


class Kind(StrEnum):
    """What was found."""

    SCENARIO = "scenario"
    PASSAGE = "passage"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing found. `score` is its cosine with the query; what only one kind has is None of the other."""

    kind: Kind
    id: UUID
    title: str
    text: str
    score: float
    type: str | None = None
    is_draft: bool | None = None
    url: str | None = None
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, nearest first; `degraded` names parts that did not answer."""

    items: tuple[Found, ...]
    degraded: tuple[str, ...] = ()


class SearchService:
    """Finds by meaning, for people who look after training and knowledge. Nothing fires and nothing is weighed."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        knowledge: Callable[[], Knowledge],
        matchers: Matchers,
    ) -> None:
        """Use these parts; the model and the store are opened at first use."""
        self._database = database
        self._settings = settings
        self._knowledge = knowledge
        self._matchers = matchers
        self._seen = SaidBefore()

    def search(self, query: str, *, scope: OrgScope, limit: int = 20) -> Findings:
        """The org's scenarios and live passages nearest to the query in meaning.

        Raises:
            InvalidQuestion: If the query is empty or too long.
            TemporaryError: If the database or the model is away, which the query finds out within
                `retrieve.patience`. Without a vector store, training is searched alone.
        """
        check_query(query)
        knowledge = self._knowledge()
        embedder = knowledge.embedder
        vector = embedder.within(self._settings.retrieve.patience).encode_query(query)
        found = list(self._in_training(vector, scope=scope, embedder=embedder))
        degraded: tuple[str, ...] = ()
        try:
            store = knowledge.quick_store()
            store.prepare(embedder.identity)
            found += self._in_knowledge(vector, store, scope=scope, limit=limit)
        except VectorStoreUnavailable:
            degraded = ("vector_store",)
        found.sort(key=lambda item: (-item.score, item.kind, item.title, item.id))
        return Findings(tuple(found[:limit]), degraded)

    def _in_training(self, vector: Vector, *, scope: OrgScope, embedder: Embedder) -> Iterator[Found]:
        with self._database.read() as session:
            rows = scenarios.listing(session, org_id=scope.org_id)
            published = scenarios.published(session, org_id=scope.org_id, kind=ScenarioType.SCENARIO_SPECIFIC)
            matcher = self._matchers.current(session, published, scope=scope, embedder=embedder)
        asked = _nearest_trigger(matcher, vector)
        of_scenario = {row.id: asked[row.version_id] for row in published if row.version_id in asked}
        texts = [_texts(row, asks=row.id not in of_scenario) for row in rows]
        every = [text for one in texts for text in one]
        near = iter((self._seen.vectors(every, embedder) @ vector).tolist() if every else ())
        for row, own in zip(rows, texts, strict=True):
            score = max([next(near) for _ in own] + [of_scenario.get(row.id, -1.0)])
            yield Found(
                Kind.SCENARIO, row.id, row.title, row.content, round(score, SCORE_DIGITS), row.type, row.is_draft
            )

    def _in_knowledge(self, vector: Vector, store: VectorStore, *, scope: OrgScope, limit: int) -> list[Found]:
        candidates = store.search(vector, None, limit=max(self._settings.retrieve.candidates, 2 * limit), scope=scope)
        return [_of_passage(passage) for passage in self._live(candidates, scope=scope, limit=limit)]

    def _live(self, candidates: Candidates, *, scope: OrgScope, limit: int) -> Sequence[Passage]:
        with self._database.read() as session:
            known = chunks.live(session, {hit.id for hit in candidates.dense}, org_id=scope.org_id)
        live = passages.without_doubles(known)
        ranked = passages.in_order(candidates.dense, live)
        return passages.choose(ranked, live, top_k=limit, per_page=PER_PAGE, per_host=limit).passages


def _nearest_trigger(matcher: Matcher, vector: Vector) -> dict[UUID, float]:
    """For each published version, the cosine of its nearest title or trigger."""
    if not matcher.versions:
        return {}
    near = np.maximum.reduceat(matcher.meanings @ vector, matcher.firsts)
    return dict(zip(matcher.versions, near.tolist(), strict=True))


def _texts(row: Scenario, *, asks: bool) -> list[str]:
    """What of a scenario is compared; its title and triggers only where nothing learnt has them."""
    return [*([row.title, *row.triggers] if asks else []), row.content[:CONTENT_LETTERS]]


def _of_passage(passage: Passage) -> Found:
    return Found(
        Kind.PASSAGE,
        passage.id,
        passage.title,
        passage.text,
        round(passage.score, SCORE_DIGITS),
        url=passage.url,
        heading_path=passage.heading_path,
    )
