"""Where a matcher fires, found from what is known.

That is its own triggers, each as if it had not been taught, and questions that belong to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]

KEPT = 0.95
"""Share of messages meant for a scenario that should fire one."""

SURELY_KEPT = 0.99
FAR_MISFIRES = 0.05
"""Share of questions that belong to nobody that may fire, where the triggers allow it."""

LEAST_KEPT = 0.90
"""Of messages meant for a scenario, where the two aims above contradict each other."""

USUAL, USUAL_SPREAD, USUAL_WEIGHT = 0.50, 0.12, 20
"""Mean and standard deviation of a trigger left out, as they usually are, and how many triggers that is worth."""

MARGINS = (0.02, 0.10)
"""Bounds of the margin: below, noise decides; above, scenarios that have nothing to do with each other conflict."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where a matcher fires. Scores in `[unsure_from, threshold)` are too unsure to act on and worth telling.

    Scenarios whose scores lie within `margin` of the best are in conflict: the message may mean either.
    """

    threshold: float
    unsure_from: float
    margin: float


def calibrate(scores: Scores, owner: NDArray[np.int32], far: Scores) -> Calibration:
    """Choose the threshold that keeps 95 % of what is meant, higher if strangers fire and little is lost.

    Args:
        scores: Of triggers left out one at a time, for each scenario, shape `(triggers, scenarios)`.
        owner: The scenario each of these triggers belongs to.
        far: The best score of each question that belongs to nobody.
    """
    best = scores.max(axis=1) if len(scores) else np.empty(0)
    kept = _reached(best, KEPT)
    strangers = float(np.quantile(far, 1 - FAR_MISFIRES)) if len(far) else 0.0
    threshold = max(kept, min(strangers, _reached(best, LEAST_KEPT)))
    missing = best - scores[np.arange(len(scores)), owner]
    margin = float(np.quantile(missing, KEPT)) if len(missing) else MARGINS[0]
    return Calibration(
        threshold=threshold,
        unsure_from=min(_reached(best, SURELY_KEPT), threshold),
        margin=min(max(margin, MARGINS[0]), MARGINS[1]),
    )


def _reached(best: Scores, share: float) -> float:
    """The score that this share of messages reaches: what was seen, mixed with what is usual."""
    usual = USUAL - USUAL_SPREAD * _DEVIATIONS[share]
    if not len(best):
        return usual
    weight = len(best) / (len(best) + USUAL_WEIGHT)
    return float(weight * np.quantile(best, 1 - share) + (1 - weight) * usual)


_DEVIATIONS = {LEAST_KEPT: 1.282, KEPT: 1.645, SURELY_KEPT: 2.326}
"""Standard deviations below the mean that so many of a normal distribution lie above."""
