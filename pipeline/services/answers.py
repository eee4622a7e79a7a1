"""Answers: one briefing for one message, in a few milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID, uuid4

import numpy as np

from pipeline import metrics, tracing
from pipeline.adapters.embedder.port import Embedder, QuestionEmbedder
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.adapters.reranker.shared import SharedReranker
from pipeline.db import datasources, pages, partners, scenarios
from pipeline.db.chunks import LiveChunk
from pipeline.db.engine import Database
from pipeline.db.scenarios import ActiveScenario
from pipeline.errors import (
    EmbedderUnavailable,
    GenerationChanged,
    ModelNotFound,
    PackageMissing,
    RerankerUnavailable,
    VectorStoreUnavailable,
)
from pipeline.logs import get_logger
from pipeline.model import Briefing, Candidates, Hit, OrgScope, ScenarioType, SparseVector, Vector, embedded_text
from pipeline.retrieval import answerability, follow_up, fusion, passages, prompt, reranking
from pipeline.retrieval import languages as weighing
from pipeline.retrieval import scenarios as matching
from pipeline.retrieval import trace as explaining
from pipeline.retrieval.answerability import Evidence
from pipeline.retrieval.follow_up import Sought
from pipeline.retrieval.instructions import are_instruction_like
from pipeline.retrieval.languages import Weights
from pipeline.retrieval.matcher import UNTAUGHT, Matcher
from pipeline.retrieval.nearness import SHIPPED, Scale
from pipeline.retrieval.reranking import Outcome, Reranking
from pipeline.retrieval.trace import Contact, Search
from pipeline.services.briefings import BriefingArchive
from pipeline.services.candidates import CandidateSearch, Found
from pipeline.services.clock import Clock
from pipeline.services.generations import Generations, Knowledge
from pipeline.services.nearness_scales import NearnessScales
from pipeline.services.outages import Outage
from pipeline.services.questions import Asked, Question, check, check_datasources
from pipeline.services.said_before import SaidBefore
from pipeline.services.training_matchers import Matchers
from pipeline.settings import Settings

__all__ = ["AnswerService", "Part", "Question"]

log = get_logger(__name__)

CHANGES = 3
"""How often a briefing is begun anew because another model came to answer meanwhile."""

LOWERED = 0.5
"""What is left of the score of a passage that speaks to an assistant: behind any that both halves found as well."""

JOINED_SHARE = 0.75
"""Of the prompt's tokens that passages may fill before neighbours are no longer taken in."""

BYTES_A_TOKEN = 2
"""Where no tokenizer is at hand, a text is taken to have a token for so many bytes: more than it has."""

_NO_MODEL = EmbedderUnavailable, ModelNotFound, PackageMissing


class Part(StrEnum):
    """What a briefing can do without, as `degraded` names it."""

    MODEL = "model"
    VECTOR_STORE = "vector_store"
    RERANKER = "reranker"


@dataclass(frozen=True, slots=True)
class _Org:
    """What one read tells of an org before its knowledge is searched."""

    profile: str
    published: Sequence[ActiveScenario]
    drafts: Sequence[tuple[UUID, str, str]]
    matcher: Matcher
    scale: Scale
    languages: Sequence[str]


class AnswerService:
    """Combines behaviour, scenarios and live knowledge. What it says is kept by the archive, after it was said."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        *,
        generations: Generations,
        sparse: Callable[[], Bm25Encoder],
        reranker: Callable[[], SharedReranker | None],
        matchers: Matchers,
        scales: NearnessScales,
        archive: BriefingArchive,
    ) -> None:
        """Use these parts; models and stores are opened at first use, the quick ones for who cannot wait."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._generations = generations
        self._sparse = sparse
        self._reranker = reranker
        self._matchers = matchers
        self._scales = scales
        self._archive = archive
        self._said = SaidBefore()
        self._search = CandidateSearch(database, settings.retrieve, sparse=sparse)
        self._outages = {part: Outage() for part in Part}

    def brief(self, question: Question, *, scope: OrgScope, degrades: bool = False) -> Briefing:
        """Everything a responder needs for this message.

        Args:
            question: The message and what is known about who asks.
            scope: Whose knowledge and training are used.
            degrades: Whether to do without a model or a vector store that does not answer within
                `retrieve.patience`: without the model, passages are found by words and no scenario fires; without
                the store there are none. The briefing names what it lacks.

        Raises:
            InvalidQuestion: If a field has a value that cannot be answered with; it is named.
            TemporaryError: If the database is away; if it does not degrade, the store or the model.
        """
        asked = check(question, self._settings.retrieve)
        with metrics.ANSWER_SECONDS.time(), tracing.span("retrieve", org=scope.org_id) as span:
            if degrades:
                briefing = self._brief_with_what_answers(asked, scope=scope, trace=question.trace)
            else:
                briefing = self._brief(asked, scope=scope, trace=question.trace, lacking=None)
            span.say(passages=len(briefing.passages), is_degraded=bool(briefing.degraded))
        metrics.ANSWERS.add(result="degraded" if briefing.degraded else "whole")
        return briefing

    def _brief_with_what_answers(self, asked: Asked, *, scope: OrgScope, trace: bool) -> Briefing:
        lacking = frozenset(part for part, outage in self._outages.items() if outage.is_on())
        while True:
            try:
                briefing = self._brief(asked, scope=scope, trace=trace, lacking=lacking)
            except _NO_MODEL as error:
                lacking |= {self._miss(Part.MODEL, error)}
            except VectorStoreUnavailable as error:
                lacking |= {self._miss(Part.VECTOR_STORE, error)}
            except RerankerUnavailable as error:
                lacking |= {self._miss(Part.RERANKER, error)}
            else:
                for part in Part:
                    if part not in lacking and self._outages[part].ended():
                        log.info("a part answers again", part=part.value)
                return briefing

    def _miss(self, part: Part, error: Exception) -> Part:
        """Do without a part from here on; the first to notice tells the operator."""
        if self._outages[part].began():
            log.warning("answering without a part", part=part.value, problem=str(error))
        return part

    def _brief(self, asked: Asked, *, scope: OrgScope, trace: bool, lacking: frozenset[Part] | None) -> Briefing:
        """The briefing without what is lacking; with None, every part is there and is waited for.

        Where another model came to answer while the message's vector was computed, it is asked with that one.
        """
        for _ in range(CHANGES):
            knowledge = self._generations.seen()
            try:
                return self._brief_from(knowledge, asked, scope=scope, trace=trace, lacking=lacking)
            except GenerationChanged as error:
                log.info("asked again with another model", was=error.facts["was"])
        raise GenerationChanged

    def _brief_from(
        self, knowledge: Knowledge, asked: Asked, *, scope: OrgScope, trace: bool, lacking: frozenset[Part] | None
    ) -> Briefing:
        embedder = self._model(knowledge, lacking)
        computed = None if embedder is None else embedder.begin_message(asked.message)
        org = self._read(knowledge, asked, scope=scope, embedder=embedder)
        store = self._store(knowledge, embedder, lacking)
        by_words = None
        if store is not None and embedder is not None:
            by_words = self._search.by_words(store, asked, org.languages, scope=scope)
        self._archive.go_ahead()
        with tracing.span("retrieve.embed"):
            message = None if computed is None else computed()
        vector = None if message is None or embedder is None else message[: embedder.identity.dimension]
        sought = self._seek(asked, vector, org.languages, embedder=embedder)
        found = self._search.find(store, asked, sought, by_words, scope=scope)
        contact = Contact(self._clock(), asked.channel, asked.segments)
        with tracing.span("retrieve.scenarios"):
            active = [row for row in org.published if explaining.bar(row, contact) is None]
            seen = None if message is None else org.matcher.see(message)
            verdicts = () if seen is None else matching.judge(active, org.matcher, seen, asked.message)
        behaviors = matching.behaviors(active)
        fired = matching.fired(verdicts, threshold=org.matcher.calibration.threshold)
        with tracing.span("retrieve.choose"):
            frame = prompt.Frame(
                profile=org.profile,
                behaviors=behaviors,
                scenarios=fired,
                max_tokens=asked.max_tokens,
                count=_roughly if embedder is None else embedder.tokenizer.count,
            )
            weights = self._weigh(knowledge, asked, org.languages, embedder=embedder)
            search, tokens, halves, reranked = self._choose(asked, found, weights, room=frame.room, lacking=lacking)
            evidence = self._evidence(asked, halves, found.live, sought, weights, scale=org.scale)
        read = reranked.confidence(self._settings.retrieve.rerank_calibration)
        confidence = evidence.confidence if read is None else read
        threshold = self._settings.retrieve.answerable_threshold
        briefing = Briefing(
            id=uuid4(),
            answerable=confidence >= threshold,
            profile=org.profile,
            behaviors=behaviors,
            scenarios=fired,
            passages=tuple(search.passages),
            prompt="",
            degraded=tuple(sorted(part.value for part in lacking or ())),
        )
        with tracing.span("retrieve.prompt"):
            rendered = frame.render(briefing.passages, known=tokens)
        briefing = replace(briefing, prompt=rendered.text)
        search = replace(search, shown=rendered.shown)

        def explained() -> Briefing:
            limits = org.matcher.calibration
            told: dict[str, object] = {
                "question": asked.told() | {"language": weights.language, "leaning": sought.leaning},
                "weights": {"dense": weights.dense, "sparse": weights.sparse},
                "model": None if embedder is None else embedder.identity.fingerprint,
                "rerank": reranked.told(),
                "answerable": {"score": round(confidence, 4), "threshold": threshold, **evidence.told()},
                "limits": {"top_k": asked.top_k, "max_tokens": asked.max_tokens}
                | {
                    name: getattr(self._settings.retrieve, name)
                    for name in ("per_page", "per_host", "join_tokens", "instruction_like")
                },
                "training": explaining.of_training(org.published, verdicts, org.drafts, contact=contact, limits=limits),
                "knowledge": explaining.of_knowledge(search),
                "filtered": explaining.filtered(search),
            }
            return replace(briefing, trace=told)

        self._archive.keep(briefing.id, asked.message, explained, scope=scope, asked_at=contact.now)
        return explained() if trace else briefing

    def warm_up(self) -> None:
        """Load the model and open the stores, so that the first question is as fast as the next."""
        knowledge = self._generations.now()
        knowledge.embedder.encode_query("warm")
        for is_quick in (False, True):
            self._search.store(knowledge, knowledge.embedder, is_quick=is_quick)
        if (reranker := self._reranker()) is not None:
            try:
                reranker.open()
            except RerankerUnavailable as error:
                self._miss(Part.RERANKER, error)

    def _model(self, knowledge: Knowledge, lacking: frozenset[Part] | None) -> QuestionEmbedder | None:
        """The model, if it is there; for who cannot wait, one that gives up in time."""
        if lacking is None:
            return knowledge.embedder
        return None if Part.MODEL in lacking else knowledge.embedder.within(self._settings.retrieve.patience)

    def _read(self, knowledge: Knowledge, asked: Asked, *, scope: OrgScope, embedder: Embedder | None) -> _Org:
        with tracing.span("retrieve.read"), self._database.read() as session:
            self._generations.check(session, knowledge)
            profile = partners.answers_by(session, scope.org_id)
            if asked.where.datasource_ids:
                known = [row.id for row in datasources.listing(session, org_id=scope.org_id)]
                check_datasources(asked.where, known)
            published = scenarios.published(session, org_id=scope.org_id)
            specific = [row for row in published if row.type == ScenarioType.SCENARIO_SPECIFIC]
            matcher, scale = UNTAUGHT, SHIPPED
            if embedder is not None:
                scale = self._scales.current(session, scope=scope, model=embedder.identity.fingerprint)
                matcher = self._matchers.current(session, specific, scope=scope, embedder=embedder)
            return _Org(
                profile=profile,
                published=published,
                drafts=scenarios.drafts(session, org_id=scope.org_id),
                matcher=matcher,
                scale=scale,
                languages=pages.languages(session, org_id=scope.org_id),
            )

    def _seek(
        self, asked: Asked, vector: Vector | None, languages: Sequence[str], *, embedder: Embedder | None
    ) -> Sought:
        """What is searched for: the message, and what it leans on of what was said before."""
        encode = self._sparse().encode_query
        terms = encode(asked.message, *languages)
        if vector is None or embedder is None:
            return Sought(None, terms)
        self._said.remember(asked.message, vector, model=embedder.identity.fingerprint)
        earlier = follow_up.before(asked.history, asked.message)
        if not earlier.said:
            return Sought(vector, terms)
        return follow_up.resolve(
            vector,
            terms,
            said=np.stack([self._said.vector(text, embedder) for text in earlier.said]),
            said_terms=[encode(text, *languages) for text in earlier.said],
            answer=None if earlier.answer is None else encode(earlier.answer, *languages),
        )

    def _store(
        self, knowledge: Knowledge, embedder: Embedder | None, lacking: frozenset[Part] | None
    ) -> VectorStore | None:
        """The store, if it is there; for who cannot wait, one that gives up in time."""
        if lacking is not None and Part.VECTOR_STORE in lacking:
            return None
        return self._search.store(knowledge, embedder, is_quick=lacking is not None)

    def _weigh(
        self, knowledge: Knowledge, asked: Asked, languages: Sequence[str], *, embedder: Embedder | None
    ) -> Weights:
        """What each half of the search counts for this message's language."""
        among = sorted(asked.where.languages) or languages
        language = asked.language or weighing.language_of(asked.message, among, self._sparse().encode_query)
        if embedder is None:
            return Weights(0.0, 1.0, language)
        read = weighing.read_by(embedder.identity.name, knowledge.languages())
        return weighing.weights(language, asked.message, read=read)

    def _choose(
        self, asked: Asked, found: Found, weights: Weights, *, room: int, lacking: frozenset[Part] | None
    ) -> tuple[Search, Sequence[int], Candidates, Reranking]:
        """The passages, their tokens, the live candidates of both halves, and what the reranker did to them."""
        retrieve = self._settings.retrieve
        live = passages.without_doubles(found.live)
        dense = passages.in_order(found.candidates.dense, live)
        sparse = passages.in_order(found.candidates.sparse, live)
        ranked = fusion.fuse(dense, sparse, dense_weight=weights.dense, sparse_weight=weights.sparse)
        reranked = self._rerank(asked, ranked, live, lacking=lacking)
        ranked = list(reranked.ranked)
        speaks = are_instruction_like([live[hit.id].text for hit in ranked])
        suspect = frozenset(hit.id for hit, is_told in zip(ranked, speaks, strict=True) if is_told)
        if retrieve.instruction_like == "lower":
            ranked = fusion.lowered(ranked, suspect, by=LOWERED)
        choice = passages.choose(
            ranked,
            live,
            top_k=asked.top_k,
            per_page=retrieve.per_page,
            per_host=retrieve.per_host,
            suspect=suspect,
            join_tokens=retrieve.join_tokens,
            room=int(room * JOINED_SHARE),
        )
        search = Search(
            candidates=found.candidates,
            ranked=ranked,
            known=found.live,
            absent=found.absent,
            fates=choice.fates,
            joined=choice.joined,
            passages=choice.passages,
            shown=len(choice.passages),
            suspect=suspect,
            reranked=reranked.scores,
        )
        return search, choice.tokens, Candidates(tuple(dense), tuple(sparse)), reranked

    def _rerank(
        self, asked: Asked, ranked: Sequence[Hit], live: Mapping[UUID, LiveChunk], *, lacking: frozenset[Part] | None
    ) -> Reranking:
        """The candidates as the reranker orders them, if one is set, is there and is in time; else as they are."""
        reranker = self._reranker()
        if reranker is None or not ranked:
            return Reranking(ranked)
        if lacking is None:
            reranker.open()
        elif Part.RERANKER in lacking:
            return Reranking(ranked, Outcome.UNAVAILABLE, reranker.name)
        retrieve = self._settings.retrieve
        few = [live[hit.id] for hit in ranked[: retrieve.rerank_candidates]]
        said = follow_up.before(asked.history, asked.message).said[:1]
        texts = [embedded_text(tuple(chunk.heading_path), chunk.text) for chunk in few]
        scores = reranker.score("\n".join([*said, asked.message]), texts, budget=retrieve.rerank_budget)
        if scores is None:
            return Reranking(ranked, Outcome.OVER_BUDGET, reranker.name)
        return reranking.reorder(ranked, scores, model=reranker.name)

    def _evidence(
        self,
        asked: Asked,
        halves: Candidates,
        live: Mapping[UUID, LiveChunk],
        sought: Sought,
        weights: Weights,
        *,
        scale: Scale,
    ) -> Evidence:
        """What speaks for an answer, in the passages nearest in meaning; by words, where the model cannot read them."""
        encode = self._sparse().encode_document

        def terms(hit: Hit) -> SparseVector:
            one = live[hit.id]
            return encode(embedded_text(tuple(one.heading_path), one.text), one.language)

        if halves.sparse and 0 < weights.dense < weighing.READ:
            asked_for = self._sparse().encode_query(asked.message, *filter(None, [weights.language]))
            return answerability.weigh_words(asked_for, terms(halves.sparse[0]))
        if not halves.dense:
            return answerability.NOTHING
        nearest = halves.dense[: answerability.LOOKED_AT]
        language, first = weights.language, live[nearest[0].id].language
        return answerability.weigh(
            nearest[0].score,
            self._in_one_language(asked, sought.sparse, first),
            [terms(hit) for hit in nearest],
            is_same_language=language is None or first is None or weighing.base(first) == weighing.base(language),
            scale=scale,
        )

    def _in_one_language(self, asked: Asked, terms: SparseVector, language: str | None) -> SparseVector:
        """Of the terms that are searched for, in the forms of every language of the org, those in the forms of one."""
        earlier = follow_up.before(asked.history, asked.message)
        said = filter(None, (asked.message, *earlier.said, earlier.answer))
        forms = {index for text in said for index in self._sparse().encode_query(text, language).indices}
        kept = [pair for pair in zip(terms.indices, terms.values, strict=True) if pair[0] in forms]
        return SparseVector(tuple(index for index, _ in kept), tuple(weight for _, weight in kept))


def _roughly(texts: Sequence[str]) -> list[int]:
    """Tokens of texts where the model that could count them is away: rather too many."""
    return [len(text.encode(errors="replace")) // BYTES_A_TOKEN + 1 for text in texts]
