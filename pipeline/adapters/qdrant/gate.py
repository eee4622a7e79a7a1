"""What every store checks before it is touched: the tenant of each point and the soundness of each vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np

from pipeline.errors import ForeignPoint, InvalidVector
from pipeline.model import Hit, OrgScope, Point, SparseVector, Vector

LEAST_NORM = 1e-6
"""Shorter vectors are taken as zero: Qdrant stores them without normalising, and their cosine is noise."""

MOST_TIED = 4_096
"""Hits looked at, at most, to decide a tie at the cut of a result."""


def check_points(points: Sequence[Point], *, scope: OrgScope, dimension: int | None) -> None:
    """Refuse points of another org and vectors that cannot be searched.

    Without a `dimension`, all vectors must have that of the first.

    Raises:
        ForeignPoint: If a point belongs to another org than `scope`.
        InvalidVector: If a dense vector has another dimension, no length or a value that is not
            finite, or a sparse one repeats an index or has a value that is not finite.
    """
    for point in points:
        if point.org_id != scope.org_id:
            raise ForeignPoint(point=point.id, org=scope.org_id, owner=point.org_id)
    expected = dimension if dimension is not None or not points else len(points[0].dense)
    for point in points:
        if point.dense.shape != (expected,):
            raise InvalidVector(point=point.id, shape=point.dense.shape, expected=expected)
        _check_sparse(point.sparse, point=point.id)
    if points:
        norms = np.linalg.norm(np.stack([point.dense for point in points]), axis=1)
        for index in np.flatnonzero(~(np.isfinite(norms) & (norms > LEAST_NORM))):
            raise InvalidVector(point=points[int(index)].id, norm=float(norms[index]))


def check_query(dense: Vector | None, sparse: SparseVector | None, *, dimension: int | None) -> None:
    """Refuse a question's vectors where no score could be told from them.

    Raises:
        InvalidVector: As for points.
    """
    if dense is not None:
        if dense.ndim != 1 or (dimension is not None and dense.shape != (dimension,)):
            raise InvalidVector(shape=dense.shape, expected=dimension)
        norm = float(np.linalg.norm(dense))
        if not (np.isfinite(norm) and norm > LEAST_NORM):
            raise InvalidVector(norm=norm)
    if sparse is not None:
        _check_sparse(sparse)


def _check_sparse(sparse: SparseVector, **facts: object) -> None:
    indices = sparse.indices
    if len(indices) != len(sparse.values) or len(set(indices)) != len(indices):
        raise InvalidVector(problem="sparse indices repeat or do not match their values", **facts)
    if indices and not (min(indices) >= 0 and max(indices) < 2**32 and np.isfinite(sparse.values).all()):
        raise InvalidVector(problem="sparse index or value out of range", **facts)


def settle(hits: list[Hit], *, limit: int, more: Callable[[int], list[Hit]]) -> tuple[Hit, ...]:
    """The best `limit` hits, equal scores in id order, wherever the engine cut its list.

    `hits` are the engine's best `limit + 1`. When the cut falls between equal scores, `more` is
    asked for a longer list until it does not, or `MOST_TIED` were seen.
    """
    while limit < len(hits) < MOST_TIED and hits[-1].score == hits[limit - 1].score:
        longer = more(min(len(hits) * 4, MOST_TIED))
        if len(longer) <= len(hits):
            break
        hits = longer
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id.int))[:limit])


def next_id(after: UUID | None) -> UUID | None:
    """The first id a scan may return: the smallest above `after`; none above the largest."""
    if after is None:
        return UUID(int=0)
    return None if after.int == 2**128 - 1 else UUID(int=after.int + 1)
