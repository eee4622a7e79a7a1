"""Passages: candidates of the vector store, joined with what is live now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

from pipeline.db.chunks import LiveChunk
from pipeline.model import Hit, Passage

SCORE_DIGITS = 5


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


def choose(ranked: Sequence[Hit], live: Mapping[UUID, LiveChunk], *, top_k: int, per_page: int) -> tuple[Passage, ...]:
    """The best `top_k` passages, at most `per_page` of one page."""
    taken: Counter[UUID] = Counter()
    passages: list[Passage] = []
    for hit in ranked:
        chunk = live[hit.id]
        if taken[chunk.page_id] >= per_page:
            continue
        taken[chunk.page_id] += 1
        passages.append(_passage(chunk, hit.score))
        if len(passages) == top_k:
            break
    return tuple(passages)


def _passage(chunk: LiveChunk, score: float) -> Passage:
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
    )
