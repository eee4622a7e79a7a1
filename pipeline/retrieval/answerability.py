"""Whether the knowledge answers a message: how near the best passage is, and how much of what is asked it speaks of.

A logistic model of four figures, learnt by `tests/evaluation/answerable.py`. It looks at words, and at cosines on the
org's own scale, never at fused ranks, which say nothing of how good the best is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model import SparseVector
from pipeline.retrieval.nearness import SHIPPED, Scale

LOOKED_AT = 20
"""Nearest passages among which a term's rarity is counted."""

FIRST = 3
"""Of them, those in which the answer is looked for."""

MANY = 8
"""Terms up to which how many there are tells nothing: more are those of a conversation."""

NEAR, COVERAGE, MISSING, EXCESS, CONSTANT = 7.15, 4.03, -1.35, -0.64, -2.45
"""Weights of the nearness, of the coverage, of what is missing, of the logarithm of how many times too many terms
there are, and a constant."""

UNREAD_NEARNESS = 0.29
"""What counts as the cosine, on the shipped scale, where the model cannot read the message's language, and its own
means nothing."""

UNKNOWN_COVERAGE = 0.5
"""What counts as covered where words cannot tell: the passage is in another language than the message."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer.

    `near` is the best cosine, and `scale` how it is read; `coverage` the share of the message's terms, the rare ones
    counting more, that the best of the first passages has; `missing` the share that no near passage has; `terms` how
    many there are.
    """

    near: float
    coverage: float
    missing: float
    terms: int
    scale: Scale = SHIPPED

    @property
    def nearness(self) -> float:
        """The best cosine on the org's scale."""
        return self.scale.nearness(self.near)

    @property
    def excess(self) -> float:
        """The logarithm of how many times more terms there are than a message alone has, 0 or more."""
        return max(0.0, math.log1p(self.terms) - math.log1p(MANY))

    @property
    def confidence(self) -> float:
        """How sure it is that there is an answer, from 0 to 1."""
        words = COVERAGE * self.coverage + MISSING * self.missing + EXCESS * self.excess
        return 1 / (1 + math.exp(-(NEAR * self.nearness + words + CONSTANT)))

    def told(self) -> dict[str, float]:
        """What of it a trace says."""
        figures = {"near": self.near, "coverage": self.coverage, "missing": self.missing, "usual": self.scale.usual}
        return {name: round(figure, 4) for name, figure in figures.items()}


NOTHING = Evidence(near=-1.0, coverage=0.0, missing=1.0, terms=0)
"""Where no passage was found by meaning."""


def weigh(
    near: float,
    terms: SparseVector,
    nearest: Sequence[SparseVector],
    *,
    is_same_language: bool,
    scale: Scale = SHIPPED,
) -> Evidence:
    """The evidence in the nearest passages.

    Args:
        near: The cosine of the first.
        terms: What is searched for: the terms of the message, and of what it leans on, in the forms of the passages'
            language and of no other, which would count as missing.
        nearest: The terms of the nearest passages, the best first; at least one.
        is_same_language: Whether the first is in the language of the message.
        scale: How the cosine is read.
    """
    sought = frozenset(terms.indices)
    having = Counter(index for passage in nearest for index in sought.intersection(passage.indices))
    weights = {
        index: weight * math.log1p((len(nearest) - having[index] + 0.5) / (having[index] + 0.5))
        for index, weight in zip(terms.indices, terms.values, strict=True)
    }
    total = sum(weights.values())
    if not is_same_language or not total:
        unknown = 0.0 if is_same_language else UNKNOWN_COVERAGE
        return Evidence(near, unknown, 1 - unknown, len(weights), scale)
    first = (frozenset(passage.indices) for passage in nearest[:FIRST])
    coverage = max(sum(weight for index, weight in weights.items() if index in passage) for passage in first)
    missing = sum(weight for index, weight in weights.items() if not having[index])
    return Evidence(near, coverage / total, missing / total, len(weights), scale)


def weigh_words(terms: SparseVector, best: SparseVector) -> Evidence:
    """The evidence in the words alone, for a language the model cannot read.

    Args:
        terms: What is searched for.
        best: The terms of the passage that shares most with it. Each term counts the same: that the passage was found
            by the rarest of them tells nothing any more.
    """
    sought = frozenset(terms.indices)
    coverage = len(sought & frozenset(best.indices)) / len(sought) if sought else 0.0
    return Evidence(UNREAD_NEARNESS, coverage, 1 - coverage, len(sought))
