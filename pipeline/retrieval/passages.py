"""Passages: candidates of the vector store, joined with what is live now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

from pipeline.db.chunks import LiveChunk
from pipeline.model import Hit, Passage

SCORE_DIGITS = 5

WEBSITE, INSTRUCTION_LIKE = "website", "instruction_like"
"""What a passage's `trust` says of it."""


class Fate(StrEnum):
    """Why a candidate is among the passages, or is not. The last four are the database's words."""

    CHOSEN = "chosen"
    BELOW_TOP_K = "below_top_k"
    PAGE_CAP = "page_cap"
    HOST_CAP = "host_cap"
    DOUBLE = "double"
    STALE = "stale"
    EXCLUDED = "excluded"
    REMOVED = "removed"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Choice:
    """The passages, and what became of every live candidate."""

    passages: tuple[Passage, ...]
    fates: Mapping[UUID, Fate]


def in_order(hits: Sequence[Hit], live: Mapping[UUID, LiveChunk]) -> list[Hit]:
    """The live hits, best first; of equals, the one first on the site.

    Ids are random and floats differ in their last digit from store to store: neither may decide a rank.
    """

    def place(hit: Hit) -> tuple[float, str, int]:
        chunk = live[hit.id]
        return (-round(hit.score, SCORE_DIGITS), chunk.url, chunk.position)

    return sorted((hit for hit in hits if hit.id in live), key=place)


def without_doubles(live: Mapping[UUID, LiveChunk]) -> dict[UUID, LiveChunk]:
    """Of chunks that say the same under the same headings, the one with the shortest URL, then the first by name."""
    kept: dict[tuple[str, ...], LiveChunk] = {}
    for chunk in sorted(live.values(), key=lambda chunk: (len(chunk.url), chunk.url)):
        kept.setdefault((*chunk.heading_path, chunk.text), chunk)
    return {chunk.id: chunk for chunk in kept.values()}


def choose(
    ranked: Sequence[Hit],
    live: Mapping[UUID, LiveChunk],
    *,
    top_k: int,
    per_page: int,
    per_host: int,
    suspect: Collection[UUID] = (),
) -> Choice:
    """The best `top_k` passages, at most `per_page` of one page and `per_host` of one host.

    Args:
        ranked: Live candidates, best first.
        live: What is known of each.
        top_k: Passages at most.
        per_page: Passages one page may give.
        per_host: Passages one host may give.
        suspect: Candidates whose text speaks to an assistant; a passage made of one says so.
    """
    of_page: Counter[UUID] = Counter()
    of_host: Counter[str] = Counter()
    passages: list[Passage] = []
    fates: dict[UUID, Fate] = {}
    for hit in ranked:
        chunk = live[hit.id]
        host = urlsplit(chunk.url).netloc
        if len(passages) == top_k:
            fates[hit.id] = Fate.BELOW_TOP_K
        elif of_page[chunk.page_id] >= per_page:
            fates[hit.id] = Fate.PAGE_CAP
        elif of_host[host] >= per_host:
            fates[hit.id] = Fate.HOST_CAP
        else:
            of_page[chunk.page_id] += 1
            of_host[host] += 1
            fates[hit.id] = Fate.CHOSEN
            passages.append(_passage(chunk, hit.score, INSTRUCTION_LIKE if hit.id in suspect else WEBSITE))
    return Choice(tuple(passages), fates)


def _passage(chunk: LiveChunk, score: float, trust: str) -> Passage:
    return Passage(
        id=chunk.id,
        text=chunk.text,
        title=chunk.title,
        heading_path=tuple(chunk.heading_path),
        url=chunk.url,
        language=chunk.language,
        score=round(score, 6),
        page_version=chunk.number,
        fetched_at=chunk.fetched_at,
        changed_at=chunk.changed_at,
        trust=trust,
    )
