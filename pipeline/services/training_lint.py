"""Lint: what in an org's training is in its own way, as candidates for a person to judge."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import numpy as np

from pipeline.adapters.embedder.port import Embedder
from pipeline.db import chunks, scenarios
from pipeline.db.engine import Database, Session
from pipeline.db.scenarios import ActiveScenario
from pipeline.errors import VectorStoreUnavailable
from pipeline.model import OrgScope, ScenarioType, Vector
from pipeline.retrieval import background, statements
from pipeline.retrieval.matcher import Matcher
from pipeline.retrieval.scenarios import Why, judge
from pipeline.services.clock import Clock
from pipeline.services.generations import Knowledge
from pipeline.services.training_matchers import Matchers
from pipeline.services.training_pairs import near_pairs

SAME_TRIGGER = 0.80
"""Cosine from which two triggers ask the same."""

SAME_TEXT = 0.93
"""Cosine from which two instructions, or two whole sets of triggers, say the same."""

BROAD = 0.02
"""Share of questions that belong to nobody from which a scenario fires at anything."""

PAGE_CHUNKS = 5
"""Chunks looked at for a sentence."""

PAIRS = 5_000
"""Pairs of scenarios, or of sentences, that are looked at closely: those nearest to each other."""

FINDINGS = 500
"""Findings of one kind: more nobody reads."""

SENTENCES, PAGE_SENTENCES = 4_000, 200
"""Sentences compared with each other, and, of those with an amount, with pages: 5 ms and 100 ms each."""

SCENARIOS = 1_000
"""Scenarios whose own triggers are asked: some 10 ms each beside 1,000 others."""

ENCODED_AT_ONCE = 64

_FOLDED = re.compile(r"\W+")


class Kind(StrEnum):
    """What is wrong, or may be."""

    DUPLICATE = "duplicate"
    SHADOWED_TRIGGER = "shadowed_trigger"
    NEVER_FIRES = "never_fires"
    TOO_BROAD = "too_broad"
    CONTRADICTION = "contradiction"
    CONTRADICTS_PAGE = "contradicts_page"


@dataclass(frozen=True, slots=True)
class Finding:
    """One candidate: the scenarios it is about, what was seen, and how sure it is, from 0 to 1."""

    kind: Kind
    confidence: float
    scenario_ids: tuple[UUID, ...]
    titles: tuple[str, ...]
    message: str
    evidence: tuple[str, ...]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class LintReport:
    """Findings, surest first. Without a vector store the pages are not looked at, and `pages_checked` says so.

    `left_out` says in words what was not looked at because there is too much of it.
    """

    findings: tuple[Finding, ...]
    scenarios: int
    pages_checked: bool
    left_out: tuple[str, ...] = ()


class LintService:
    """Looks at an org's training as a whole. It writes nothing."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        knowledge: Callable[[], Knowledge],
        matchers: Matchers,
    ) -> None:
        """Use these parts; the model and the store are opened at first use."""
        self._database = database
        self._clock = clock
        self._knowledge = knowledge
        self._matchers = matchers

    def lint(self, *, scope: OrgScope) -> LintReport:
        """Triggers in each other's way, what can never fire, doubles, and contradictions.

        Raises:
            TemporaryError: If the database or the model is away.
        """
        knowledge, now = self._knowledge(), self._clock()
        embedder = knowledge.embedder
        with self._database.read() as session:
            published = scenarios.published(session, org_id=scope.org_id)
            specific = [row for row in published if row.type == ScenarioType.SCENARIO_SPECIFIC]
            matcher = self._matchers.current(session, specific, scope=scope, embedder=embedder)
        alive = [row for row in published if row.end_time is None or row.end_time > now]
        known, missed = {row.version_id for row in specific}, _Missed()
        asked = _Asked([row for row in alive if row.version_id in known], matcher, missed)
        said = _Said(alive, embedder, missed)
        checked = _is_store_there(knowledge)
        kinds = [
            _ended(published, now),
            _doubles(alive, said, missed),
            asked.shadowed(),
            asked.never_fired(),
            asked.too_broad(embedder),
            _contradictions(said, missed),
            self._against_pages(said, missed, knowledge, scope=scope) if checked and alive else (),
        ]
        findings = [finding for found in kinds for finding in missed.first(found)]
        ranked = sorted(findings, key=lambda finding: (-finding.confidence, finding.kind, finding.titles))
        return LintReport(tuple(ranked), len(published), pages_checked=checked, left_out=tuple(missed.told))

    def _against_pages(
        self, said: _Said, missed: _Missed, knowledge: Knowledge, *, scope: OrgScope
    ) -> Iterator[Finding]:
        """Sentences with an amount that no page agrees with and one contradicts."""
        knowledge.store().prepare(knowledge.embedder.identity)
        with_amount = [place for place, (_, text) in enumerate(said.sentences) if statements.amounts(text)]
        missed.beyond(PAGE_SENTENCES, len(with_amount), "sentences with an amount were compared with pages")
        with self._database.read() as session:
            for place in with_amount[:PAGE_SENTENCES]:
                scenario, sentence = said.sentences[place]
                vector = said.vectors[place]
                yield from self._against_page(session, scenario, sentence, vector, knowledge, scope=scope)

    @staticmethod
    def _against_page(
        session: Session,
        scenario: ActiveScenario,
        sentence: str,
        vector: Vector,
        knowledge: Knowledge,
        *,
        scope: OrgScope,
    ) -> Iterator[Finding]:
        hits = knowledge.store().search(vector, None, limit=PAGE_CHUNKS, scope=scope).dense
        live = chunks.live(session, {hit.id for hit in hits}, org_id=scope.org_id)
        there = [(chunk, text) for chunk in live.values() for text in statements.sentences(chunk.text)]
        likeness = _encoded([text for _, text in there], knowledge.embedder) @ vector
        pairs = [(chunk, text, near) for (chunk, text), near in zip(there, likeness.tolist(), strict=True)]
        nearby = [text for _, text, near in pairs if statements.same_subject(sentence, text, near)]
        if any(statements.agree(sentence, text) for text in nearby):
            return
        best: tuple[float, Finding] | None = None
        for chunk, text, near in pairs:
            found = statements.conflict(sentence, text, near)
            if found is not None and (best is None or near > best[0]):
                message = f"its instruction and a page disagree: {found.reason}"
                about = _finding(Kind.CONTRADICTS_PAGE, found.confidence, [scenario], message, sentence, text)
                best = (near, replace(about, url=chunk.url))
        if best is not None:
            yield best[1]


def _is_store_there(knowledge: Knowledge) -> bool:
    try:
        knowledge.store()
    except VectorStoreUnavailable:
        return False
    return True


class _Missed:
    """What is not looked at because there is too much of it, in words."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def beyond(self, most: int, count: int, what: str) -> None:
        """Say so, if there are more than these."""
        if count > most:
            self.told.append(f"{most} of {count} {what}")

    def first(self, findings: Iterable[Finding]) -> list[Finding]:
        """The surest of one kind."""
        found = sorted(findings, key=lambda finding: -finding.confidence)
        self.beyond(FINDINGS, len(found), f"findings are told: {found[0].kind if found else ''}")
        return found[:FINDINGS]


class _Said:
    """The sentences of the instructions, with their vectors."""

    def __init__(self, alive: Sequence[ActiveScenario], embedder: Embedder, missed: _Missed) -> None:
        every = [(row, text) for row in alive for text in statements.sentences(row.content)]
        missed.beyond(SENTENCES, len(every), "sentences of instructions were compared")
        self.sentences = every[:SENTENCES]
        self.vectors = _encoded([text for _, text in self.sentences], embedder)
        self.whole = _encoded([row.content for row in alive], embedder)


class _Asked:
    """Every title and trigger, asked as a message."""

    def __init__(self, specific: Sequence[ActiveScenario], matcher: Matcher, missed: _Missed) -> None:
        self._specific = specific
        self._matcher = matcher
        self._missed = missed
        self._meanings = matcher.meanings
        ends = [*matcher.firsts[1:].tolist(), len(matcher.triggers)]
        spans = zip(matcher.versions, matcher.firsts.tolist(), ends, strict=False)
        self._rows = {version: range(first, end) for version, first, end in spans}

    def shadowed(self) -> Iterator[Finding]:
        """Triggers that another scenario, met by the same contacts, asks for in the same words."""
        if not self._specific:
            return
        every = [self._vectors(row) for row in self._specific]
        sizes = np.array([len(vectors) for vectors in every])
        found = near_pairs(np.concatenate(every), np.cumsum(sizes) - sizes, least=SAME_TRIGGER, most=PAIRS)
        self._missed.beyond(PAIRS, found.total, "pairs of scenarios with triggers alike were looked at")
        for one, other, near in found.pairs:
            first, second = self._specific[one], self._specific[other]
            if not _can_meet(first, second):
                continue
            likeness = every[one] @ every[other].T
            place = np.unravel_index(int(likeness.argmax()), likeness.shape)
            pairs = int((likeness >= SAME_TRIGGER).sum())
            message = f"they wait for the same message ({pairs} {'pair' if pairs == 1 else 'pairs'} of triggers)"
            texts = _texts(first)[int(place[0])], _texts(second)[int(place[1])]
            sure = 0.5 + 0.5 * (near - SAME_TRIGGER) / (1 - SAME_TRIGGER)
            yield _finding(Kind.SHADOWED_TRIGGER, sure, [first, second], message, *texts)

    def never_fired(self) -> Iterator[Finding]:
        """Scenarios that not even their own words fire, because another always goes before them."""
        self._missed.beyond(SCENARIOS, len(self._specific), "scenarios were asked their own triggers")
        for scenario in self._specific[:SCENARIOS]:
            rivals = [row for row in self._specific if _can_meet(scenario, row)]
            told: list[tuple[Why | None, ActiveScenario | None]] = []
            for place in range(len(_texts(scenario))):
                told.append(self._verdict(scenario, rivals, place))
                if told[-1][0] == Why.FIRED:
                    break
            else:
                yield self._never(scenario, told)

    @staticmethod
    def _never(scenario: ActiveScenario, told: Sequence[tuple[Why | None, ActiveScenario | None]]) -> Finding:
        first = next((other for _, other in told if other is not None), None)
        message = (
            f"“{first.title}” goes before it for each of its own triggers"
            if first is not None
            else "none of its own triggers fires it"
        )
        return _finding(Kind.NEVER_FIRES, 0.95, [scenario, *([first] if first else [])], message, *_texts(scenario))

    def too_broad(self, embedder: Embedder) -> Iterator[Finding]:
        """Scenarios that fire at questions that belong to nobody."""
        if not self._specific:
            return
        fired: dict[UUID, list[str]] = {}
        for text in background.QUESTIONS:
            seen = self._matcher.see(embedder.encode_message(text))
            for verdict in judge(self._specific, self._matcher, seen, text):
                if verdict.why == Why.FIRED:
                    fired.setdefault(verdict.scenario.id, []).append(text)
        for scenario in self._specific:
            questions = fired.get(scenario.id, [])
            share = len(questions) / len(background.QUESTIONS)
            if share >= BROAD:
                sure = min(0.5 + 5 * share, 0.95)
                yield _finding(Kind.TOO_BROAD, sure, [scenario], "it fires at questions about anything", *questions[:5])

    def _verdict(
        self, scenario: ActiveScenario, rivals: Sequence[ActiveScenario], place: int
    ) -> tuple[Why | None, ActiveScenario | None]:
        text = _texts(scenario)[place]
        told = judge(rivals, self._matcher, self._matcher.triggers[self._rows[scenario.version_id][place]], text)
        own = next((verdict.why for verdict in told if verdict.scenario is scenario), None)
        return own, next((verdict.scenario for verdict in told if verdict.why == Why.FIRED), None)

    def _vectors(self, scenario: ActiveScenario) -> Vector:
        rows = self._rows[scenario.version_id]
        vectors: Vector = self._meanings[rows.start : rows.stop]
        return vectors


def _ended(published: Sequence[ActiveScenario], now: datetime) -> Iterator[Finding]:
    for row in published:
        if row.end_time is not None and row.end_time <= now:
            ended = f"ended {row.end_time:%Y-%m-%d %H:%M} UTC"
            yield _finding(Kind.NEVER_FIRES, 1.0, [row], "its time is over", ended)


def _doubles(alive: Sequence[ActiveScenario], said: _Said, missed: _Missed) -> Iterator[Finding]:
    folded = [_FOLDED.sub(" ", row.content.casefold()).strip() for row in alive]
    found = near_pairs(said.whole, np.arange(len(alive)), least=SAME_TEXT, most=PAIRS)
    missed.beyond(PAIRS, found.total, "pairs of instructions alike were looked at")
    pairs = {(first, second): near for first, second, near in found.pairs}
    places: dict[str, int] = {}
    for place, text in enumerate(folded):
        if (same := places.setdefault(text, place)) != place:
            pairs.setdefault((same, place), 1.0)
    for (first, second), near in pairs.items():
        is_same = folded[first] == folded[second]
        if not is_same and not _overlaps(folded[first], folded[second]):
            continue
        pair = [alive[first], alive[second]]
        message = "they give the same instruction" if is_same else f"they give nearly the same instruction ({near:.2f})"
        yield _finding(Kind.DUPLICATE, 1.0 if is_same else near - 0.1, pair, message, *(row.content for row in pair))


def _contradictions(said: _Said, missed: _Missed) -> Iterator[Finding]:
    """Pairs of sentences of two scenarios that one contact can meet; of each pair of scenarios the surest."""
    if not said.sentences:
        return
    places = np.arange(len(said.sentences))
    near = near_pairs(said.vectors, places, least=statements.LIKE_IN_WORDS, most=PAIRS)
    missed.beyond(PAIRS, near.total, "pairs of sentences alike were looked at")
    surest: dict[tuple[UUID, UUID], Finding] = {}
    for one, other, likeness in near.pairs:
        (first, here), (second, there) = said.sentences[one], said.sentences[other]
        if first.id == second.id or not _can_meet(first, second):
            continue
        found = statements.conflict(here, there, likeness)
        known = surest.get((first.id, second.id))
        if found is not None and (known is None or known.confidence < found.confidence):
            message = f"they may contradict each other: {found.reason}"
            about = _finding(Kind.CONTRADICTION, found.confidence, [first, second], message, here, there)
            surest[first.id, second.id] = about
    yield from surest.values()


def _can_meet(first: ActiveScenario, second: ActiveScenario) -> bool:
    """Whether one contact can meet both: a channel, a time, and segments in common (a contact may be in several)."""
    channels = not first.channels or not second.channels or not set(first.channels).isdisjoint(second.channels)
    starts = [moment for moment in (first.start_time, second.start_time) if moment]
    ends = [moment for moment in (first.end_time, second.end_time) if moment]
    return channels and (not starts or not ends or max(starts) < min(ends))


def _overlaps(first: str, second: str) -> bool:
    """Whether two texts share most of their words: vectors alone call any two polite sentences alike."""
    ours, theirs = set(first.split()), set(second.split())
    return len(ours & theirs) >= 0.6 * max(len(ours), len(theirs))


def _encoded(texts: Sequence[str], embedder: Embedder) -> Vector:
    """Vectors of texts of any length; a long one is cut as a question would be."""
    if not texts:
        return np.empty((0, embedder.identity.dimension), np.float32)
    some = (texts[start : start + ENCODED_AT_ONCE] for start in range(0, len(texts), ENCODED_AT_ONCE))
    return np.concatenate([embedder.encode_queries(part) for part in some])


def _texts(scenario: ActiveScenario) -> tuple[str, ...]:
    return (scenario.title, *scenario.triggers)


def _finding(kind: Kind, sure: float, about: Sequence[ActiveScenario], message: str, *evidence: str) -> Finding:
    return Finding(
        kind=kind,
        confidence=round(sure, 2),
        scenario_ids=tuple(row.id for row in about),
        titles=tuple(row.title for row in about),
        message=message,
        evidence=evidence,
    )
