"""Fisher's linear discriminant between scenarios, and what it would have been without one trigger.

The covariance within scenarios is shrunk to a sphere: `(scatter + k s I) / (free + k)`, `s` the mean variance of a
direction. Leaving a trigger out changes the scatter by a multiple of `r r'`, so its inverse follows from the whole
one by the formula of Sherman and Morrison (Annals of Mathematical Statistics 21, 1950).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Vector

Matrix = NDArray[np.float64]

SHRINKAGE = 500
"""So many triggers are worth as much as the assumption that every direction varies alike."""

LEAST_VARIANCE = 1e-4
"""Of a direction, where triggers are too few to tell."""


@dataclass(frozen=True, slots=True)
class Discriminant:
    """A direction and an offset for each scenario, and their origin. `scale` brings a typical own score to 1/2."""

    directions: Vector
    offsets: Vector
    scale: float
    inverse: Matrix
    means: Matrix


def discriminate(triggers: Vector, owner: NDArray[np.int32], means: Vector) -> Discriminant:
    """Learn from triggers of shape `(triggers, dimension)`; row i is of scenario `owner[i]`, whose mean is known."""
    wide = means.astype(np.float64)
    residuals = triggers - wide[owner]
    dimension = wide.shape[1]
    free = max(len(residuals) - len(wide), 0)
    scatter = residuals.T @ residuals
    sphere = max(float(np.trace(scatter)) / max(free, 1) / dimension, LEAST_VARIANCE)
    inverse = np.linalg.inv(scatter + SHRINKAGE * sphere * np.eye(dimension))
    directions = wide @ inverse
    energy = np.einsum("ij,ij->i", directions, wide)
    scale = max(float(energy.mean()), 1e-12)
    return Discriminant(
        (directions / scale).astype(np.float32), (-0.5 * energy / scale).astype(np.float32), scale, inverse, wide
    )


def left_out(learnt: Discriminant, triggers: Vector, owner: NDArray[np.int32], sizes: NDArray[np.int32]) -> Matrix:
    """The score of each trigger for each scenario had it not been taught, shape `(triggers, scenarios)`.

    `sizes[row]` counts the triggers of the row's scenario, this one included; it must be 2 or more.
    """
    rows = np.arange(len(triggers))
    x = triggers.astype(np.float64)
    others = (sizes / (sizes - 1.0))[:, None]
    residuals = x - learnt.means[owner]
    solved = residuals @ learnt.inverse
    weight = others[:, 0] / np.maximum(1 - others[:, 0] * np.einsum("ij,ij->i", residuals, solved), 1e-6)
    along = solved @ learnt.means.T
    towards = np.einsum("ij,ij->i", solved, x)
    base = learnt.means @ learnt.inverse
    energy = np.einsum("ij,ij->i", base, learnt.means)
    scores: Matrix = x @ base.T + weight[:, None] * along * towards[:, None]
    scores -= 0.5 * (energy[None] + weight[:, None] * along**2)
    mean = learnt.means[owner] - residuals * (others - 1)
    step = mean @ learnt.inverse
    reach = np.einsum("ij,ij->i", solved, mean)
    own = np.einsum("ij,ij->i", step, x) + weight * reach * towards
    scores[rows, owner] = own - 0.5 * (np.einsum("ij,ij->i", step, mean) + weight * reach**2)
    return scores / learnt.scale
