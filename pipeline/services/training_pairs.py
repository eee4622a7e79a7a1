"""Pairs of texts that are near to each other, found in pieces, so that many texts take time but little memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Vector

ROWS = 512
"""Rows compared with all others at a time: 22 MB beside 11,000 of them."""


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs `(first, second, cosine)` of groups, the nearest first, and how many there are, also of those left out."""

    pairs: tuple[tuple[int, int, float], ...]
    total: int


def near_pairs(vectors: Vector, firsts: NDArray[np.intp], *, least: float, most: int) -> NearPairs:
    """Pairs of groups of which two rows are at least so near; at most so many, the nearest.

    Args:
        vectors: Rows of length 1, shape `(rows, dimension)`; those of one group are neighbours.
        firsts: Where each group begins.
        least: The cosine from which two groups are near.
        most: Pairs that are kept.
    """
    ends = np.append(firsts[1:], len(vectors))
    kept = np.empty((0, 3))
    total = start = 0
    while start < len(firsts):
        stop = max(start + 1, int(np.searchsorted(ends, firsts[start] + ROWS, side="right")))
        local = firsts[start:] - firsts[start]
        rows = vectors[firsts[start] : ends[stop - 1]]
        likeness = np.maximum.reduceat(rows @ vectors[firsts[start] :].T, local, axis=1)
        near = np.maximum.reduceat(likeness, local[: stop - start], axis=0)
        one, other = np.nonzero(np.triu(near >= least, 1))
        total += len(one)
        found = np.column_stack([one + start, other + start, near[one, other]])
        kept = _nearest(np.concatenate([kept, found]), most)
        start = stop
    return NearPairs(tuple((int(one), int(other), float(near)) for one, other, near in kept), total)


def _nearest(pairs: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """So many of these, the nearest first; of equals, in their order."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -pairs[:, 2]))
    return pairs[order[:most]]
