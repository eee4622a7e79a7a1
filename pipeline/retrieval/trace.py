"""The trace: every scenario and every candidate, in or out of a briefing, with its reason and its figures.

Plain values only, so that it is stored and shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.db.chunks import LiveChunk
from pipeline.db.scenarios import ActiveScenario
from pipeline.model import Candidates, Hit, Passage, ScenarioType
from pipeline.retrieval.calibration import Calibration
from pipeline.retrieval.passages import Fate
from pipeline.retrieval.scenarios import Verdict, Why

DIGITS = 4

Entry = dict[str, Any]
"""One item of a trace, as JSON has it."""


class Barred(StrEnum):
    """Why a published scenario is not looked at for this contact now."""

    NOT_YET = "not_yet"
    OVER = "over"
    CHANNEL = "other_channel"
    SEGMENT = "other_segment"


FILTERED_TOLD = 200
"""Candidates that a filter kept out and that a trace names; all of them are counted."""

ALWAYS, BUDGET, DRAFT = "always", "budget", "draft"

NOT_JUDGED = "not_judged"
"""No model said whether the message means a scenario: it did not answer, or has not learnt the scenario yet."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Who asks, where and when: what decides which scenarios are in force."""

    now: datetime
    channel: str | None
    segments: tuple[str, ...]


def of_training(
    published: Sequence[ActiveScenario], verdicts: Sequence[Verdict], drafts: Sequence[tuple[UUID, str, str]], *,
    contact: Contact, limits: Calibration,
) -> list[Entry]:  # fmt: skip
    """Every scenario of the org: what always applies, the rest by score, what no model judged, what is not in force."""
    by_id = {verdict.scenario.id: verdict for verdict in verdicts}
    barred = [(row, why) for row in published if (why := bar(row, contact)) is not None]
    out = {row.id for row, _ in barred}
    always = [
        _scenario(row, is_in=True, why=ALWAYS)
        for row in published
        if row.type == ScenarioType.BEHAVIORAL and row.id not in out
    ]
    judged = [
        _scenario(verdict.scenario, is_in=verdict.why == Why.FIRED, why=verdict.why.value)
        | {
            "score": round(verdict.score, DIGITS),
            "behind": round(verdict.behind, DIGITS),
            "threshold": round(limits.threshold, DIGITS),
            "unsure_from": round(limits.unsure_from, DIGITS),
            "margin": round(limits.margin, DIGITS),
        }
        for verdict in by_id.values()
        if verdict.scenario.id not in out
    ]
    unjudged = [
        _scenario(row, is_in=False, why=NOT_JUDGED)
        for row in published
        if row.type == ScenarioType.SCENARIO_SPECIFIC and row.id not in out | by_id.keys()
    ]
    kept_out = [_scenario(row, is_in=False, why=why.value) for row, why in barred]
    unpublished = [
        {"id": str(id_), "title": title, "type": kind, "in": False, "why": DRAFT} for id_, title, kind in drafts
    ]
    return [*always, *judged, *unjudged, *kept_out, *unpublished]


def bar(scenario: ActiveScenario, contact: Contact) -> Barred | None:
    """What keeps a published scenario from this contact now, if anything does."""
    if scenario.start_time is not None and contact.now < scenario.start_time:
        return Barred.NOT_YET
    if scenario.end_time is not None and contact.now >= scenario.end_time:
        return Barred.OVER
    if scenario.channels and contact.channel not in scenario.channels:
        return Barred.CHANNEL
    if scenario.segments and set(scenario.segments).isdisjoint(contact.segments):
        return Barred.SEGMENT
    return None


@dataclass(frozen=True, slots=True)
class Search:
    """What one search of the knowledge came to.

    `known` holds every live candidate, doubles included; `absent` the URL and the reason of those that are not live.
    """

    candidates: Candidates
    ranked: Sequence[Hit]
    known: Mapping[UUID, LiveChunk]
    absent: Mapping[UUID, tuple[str, str]]
    fates: Mapping[UUID, Fate]
    passages: Sequence[Passage]
    shown: int
    suspect: frozenset[UUID]
    joined: Mapping[UUID, UUID] = field(default_factory=dict)
    reranked: Mapping[UUID, float] = field(default_factory=dict)
    """The reranker's logit of each candidate that it read."""


def of_knowledge(search: Search) -> list[Entry]:
    """Every candidate: in the order of fusion, then those that took no part in it, the first of those filtered out.

    Ranks count from 1 in each half as the store gave it. A passage past the token budget is a passage, but not in
    the prompt: its reason says so.
    """
    halves = {
        name: {hit.id: (rank, hit.score) for rank, hit in enumerate(hits, start=1)}
        for name, hits in (("dense", search.candidates.dense), ("sparse", search.candidates.sparse))
    }
    fused = {hit.id: hit.score for hit in search.ranked}
    cut = {passage.id for passage in search.passages[search.shown :]}
    entries = []
    for chunk_id in _told(search, dict.fromkeys([*fused, *halves["dense"], *halves["sparse"]])):
        entry: Entry = {"id": str(chunk_id)} | _page(chunk_id, search)
        for name, hits in halves.items():
            rank, score = hits.get(chunk_id, (None, None))
            entry |= {f"{name}_rank": rank, f"{name}_score": None if score is None else round(score, DIGITS)}
        entry["score"] = round(fused[chunk_id], DIGITS) if chunk_id in fused else None
        if search.reranked:
            logit = search.reranked.get(chunk_id)
            entry["rerank_score"] = None if logit is None else round(logit, DIGITS)
        host = search.joined.get(chunk_id)
        why = BUDGET if (host or chunk_id) in cut else _fate(chunk_id, search)
        entry |= {
            "in": why in {Fate.CHOSEN, Fate.JOINED, BUDGET},
            "in_prompt": why in {Fate.CHOSEN, Fate.JOINED},
            "why": str(why),
            "instruction_like": chunk_id in search.suspect,
        }
        if host is not None:
            entry["joined_to"] = str(host)
        entries.append(entry)
    return entries


def filtered(search: Search) -> int:
    """How many candidates a filter of the question kept out."""
    return sum(why == Fate.FILTERED for _, why in search.absent.values())


def _told(search: Search, everything: Iterable[UUID]) -> list[UUID]:
    """All of these but what a filter kept out beyond the first so many: a search by URL looks through thousands."""
    left, told = FILTERED_TOLD, []
    for chunk_id in everything:
        is_filtered = chunk_id in search.absent and search.absent[chunk_id][1] == Fate.FILTERED
        left -= is_filtered
        if not is_filtered or left >= 0:
            told.append(chunk_id)
    return told


def _page(chunk_id: UUID, search: Search) -> Entry:
    chunk = search.known.get(chunk_id)
    if chunk is None:
        return {"url": search.absent.get(chunk_id, (None, ""))[0], "title": None, "page_version": None}
    return {"url": chunk.url, "title": " > ".join(chunk.heading_path) or chunk.title, "page_version": chunk.number}


def _fate(chunk_id: UUID, search: Search) -> str:
    if chunk_id in search.fates:
        return search.fates[chunk_id].value
    if chunk_id in search.known:
        return Fate.DOUBLE.value
    return search.absent[chunk_id][1] if chunk_id in search.absent else Fate.REMOVED.value


def _scenario(row: ActiveScenario, *, is_in: bool, why: str) -> Entry:
    return {
        "id": str(row.id),
        "title": row.title,
        "type": row.type,
        "version": row.number,
        "priority": row.priority,
        "in": is_in,
        "why": why,
    }
