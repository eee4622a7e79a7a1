"""Fusion: two ranked lists become one.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) with a weight for each half.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from pipeline.model import Hit

RANK_CONSTANT = 10
"""How slowly a lower place loses: chosen by measurement, see the decision on fusion."""


def fuse(
    dense: Sequence[Hit],
    sparse: Sequence[Hit],
    *,
    dense_weight: float = 1.0,
    sparse_weight: float = 1.0,
    constant: int = RANK_CONSTANT,
) -> list[Hit]:
    """One list, best first. Of equals, the closer in meaning is first, then the one BM25 puts first.

    The score is the share of what a first place in both halves would give: between 0 and 1,
    good for ordering one answer's passages and for nothing else.
    """
    scores: dict[UUID, float] = {}
    for weight, hits in ((dense_weight, dense), (sparse_weight, sparse)):
        for rank, hit in enumerate(hits, start=1):
            scores[hit.id] = scores.get(hit.id, 0.0) + weight / (constant + rank)
    best = (dense_weight + sparse_weight) / (constant + 1)
    fused = [Hit(id=chunk_id, score=score / best) for chunk_id, score in scores.items()]
    place = {hit.id: rank for rank, hit in enumerate((*sparse[::-1], *dense[::-1]))}
    return sorted(fused, key=lambda hit: (-hit.score, -place[hit.id]))


def lowered(ranked: Sequence[Hit], suspect: Collection[UUID], *, by: float) -> list[Hit]:
    """The list with the scores of some multiplied by `by`, in its new order."""
    if not suspect:
        return list(ranked)
    scaled = [Hit(hit.id, hit.score * by) if hit.id in suspect else hit for hit in ranked]
    return sorted(scaled, key=lambda hit: -hit.score)
