"""Scores of a ranking, and how sure a difference between two rankings is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ranking = Sequence[str]
Gains = Mapping[str, float]

_RESAMPLES = 5_000


def ndcg(ranking: Ranking, gains: Gains, depth: int = 10) -> float:
    """Normalised discounted cumulative gain with linear gain (Järvelin and Kekäläinen 2002)."""
    found = sum(gains.get(page, 0.0) / math.log2(rank + 2) for rank, page in enumerate(ranking[:depth]))
    best = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(sorted(gains.values(), reverse=True)[:depth]))
    return found / best if best else 0.0


def recall(ranking: Ranking, gains: Gains, depth: int = 5) -> float:
    """The share of relevant pages among the first `depth`."""
    wanted = {page for page, gain in gains.items() if gain > 0}
    return len(wanted.intersection(ranking[:depth])) / len(wanted) if wanted else 0.0


def reciprocal_rank(ranking: Ranking, gains: Gains, depth: int = 10) -> float:
    """One over the place of the first relevant page, 0 beyond `depth`."""
    return next((1 / (rank + 1) for rank, page in enumerate(ranking[:depth]) if gains.get(page, 0.0) > 0), 0.0)


METRICS = {"ndcg@10": ndcg, "recall@5": recall, "mrr@10": reciprocal_rank}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the 95 % interval of a percentile bootstrap over queries."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """As it stands in a table."""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: Sequence[float]) -> Estimate:
    """The mean of one score a query; give differences to compare two systems paired."""
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if not array.size:
        return Estimate(0.0, 0.0, 0.0)
    picks = np.random.default_rng(7).integers(0, array.size, size=(_RESAMPLES, array.size))
    low, high = np.percentile(array[picks].mean(axis=1), [2.5, 97.5])
    return Estimate(float(array.mean()), float(low), float(high))
