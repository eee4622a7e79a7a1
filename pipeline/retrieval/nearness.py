"""How near is near: cosines of a model and an org, on the scale that the weights of `answerability` were learnt on.

Nobody has to label anything. Generic questions, most of which an org does not answer, tell how near its passages come
to whatever is asked: a large site that speaks of everything is near to more. The same questions beside each other tell
how a model spreads its cosines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.model import Vector
from pipeline.retrieval import background

QUESTIONS = background.QUESTIONS[::2]
"""Half of them tell as much as all: the figures change by 0.01."""

VERSION = f"1 {background.DIGEST}"
"""Changes when the same org would be measured otherwise."""

APART, ALIKE = 0.035, 0.302
"""The median cosine of two of these questions, and of one and the nearest other, with all-MiniLM-L6-v2: two points of
the scale that the weights know. all-mpnet-base-v2 has 0.038 and 0.296."""

USUAL = 0.18
"""The lower quartile of an org's best cosines with these questions, as it is usually. Some may be its very subject, so
the lower ones are looked at."""

SHARE = 0.5
"""How much of what is usual is taken off a cosine. All of it would do a site that is about everything an injustice."""

LEAST_SPREAD = 0.02
"""Between two questions, on average, and the nearest two: below, a model does not tell questions apart."""

LEAST_ANSWERED = 20
"""Questions that found a passage: fewer tell nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How the cosines of one org under one model are read.

    `usual` is how near its passages come to whatever is asked; `apart` and `alike` are what the model makes of two
    questions that have nothing to do with each other, and of two that are alike.
    """

    usual: float = USUAL
    apart: float = APART
    alike: float = ALIKE

    def nearness(self, cosine: float) -> float:
        """The cosine as the model that the weights were learnt with would give it, less its share of what is usual."""
        return self._same(cosine) - SHARE * self._same(self.usual)

    def _same(self, cosine: float) -> float:
        return APART + (cosine - self.apart) * (ALIKE - APART) / (self.alike - self.apart)


SHIPPED = Scale()
"""For an org that was not measured, or is too small to be."""


def measure(questions: Vector, best: Sequence[float]) -> Scale:
    """The scale of an org.

    Args:
        questions: Vectors of `QUESTIONS`, of length 1, shape `(questions, dimension)`.
        best: The best cosine of each that found a live passage.
    """
    cosines = questions @ questions.T
    np.fill_diagonal(cosines, -1.0)
    alike = float(np.median(cosines.max(axis=1)))
    apart = float(np.median(cosines[~np.eye(len(cosines), dtype=bool)]))
    if len(best) < LEAST_ANSWERED or alike - apart < LEAST_SPREAD:
        return SHIPPED
    return Scale(usual=float(np.quantile(best, 0.25)), apart=apart, alike=alike)
