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
    live: Collection[UUID],
    dense_weight: float = 1.0,
    sparse_weight: float = 1.0,
    constant: int = RANK_CONSTANT,
) -> list[Hit]:
    """One list, best first. Only live candidates take a rank; of equals, the closer in meaning is first.

    The score is the share of what a first place in both halves would give: between 0 and 1,
    good for ordering one answer's passages and for nothing else.
    """
    scores: dict[UUID, float] = {}
    for weight, hits in ((dense_weight, dense), (sparse_weight, sparse)):
        ranked = (hit.id for hit in hits if hit.id in live)
        for rank, chunk_id in enumerate(ranked, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + weight / (constant + rank)
    best = (dense_weight + sparse_weight) / (constant + 1)
    fused = [Hit(id=chunk_id, score=score / best) for chunk_id, score in scores.items()]
    cosine = {hit.id: hit.score for hit in dense}
    return sorted(fused, key=lambda hit: (-hit.score, -cosine.get(hit.id, -1.0), hit.id))
