"""How near is near depends on the org and on the model, and both are measured."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.model import Vector
from pipeline.retrieval.nearness import ALIKE, APART, LEAST_ANSWERED, QUESTIONS, SHARE, SHIPPED, USUAL, Scale, measure

COSINES = [0.1 + 0.002 * place for place in range(len(QUESTIONS))]


def questions(dimension: int = 64) -> Vector:
    """Unit vectors in pairs that are alike."""
    random = np.random.default_rng(5)
    subjects = np.repeat(random.normal(size=(len(QUESTIONS) // 2, dimension)), 2, axis=0)
    vectors = subjects + random.normal(size=subjects.shape)
    unit: Vector = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def crowded(vectors: Vector, common: float) -> Vector:
    """The same as a model has them that gives all texts something in common: cosines lie closer together."""
    longer = np.hstack([vectors, np.full((len(vectors), 1), common, np.float32)])
    unit: Vector = longer / np.linalg.norm(longer, axis=1, keepdims=True)
    return unit


def test_a_site_that_is_near_to_everything_has_to_be_nearer() -> None:
    """The same cosine says less where whatever is asked comes as near."""
    narrow, broad = (measure(questions(), [cosine + more for cosine in COSINES]) for more in (0.0, 0.1))

    assert broad.usual == pytest.approx(narrow.usual + 0.1)
    assert broad.nearness(0.5) < narrow.nearness(0.5)


def test_the_lower_questions_tell_what_is_usual() -> None:
    """Some generic questions may be the very subject of an org: that these find a passage makes nothing usual."""
    some = [*COSINES[: len(COSINES) * 2 // 3], *[0.9] * (len(COSINES) // 3)]

    assert measure(questions(), some).usual < 0.2


@pytest.mark.parametrize("common", [0.5, 1.0, 3.0])
def test_a_model_of_higher_cosines_is_read_as_one_of_lower(common: float) -> None:
    """What all texts have in common under a model speaks for no answer."""
    vectors = questions()
    plain = measure(vectors, COSINES)

    def shifted(cosine: float) -> float:
        return (cosine + common**2) / (1 + common**2)

    other = measure(crowded(vectors, common), [shifted(cosine) for cosine in COSINES])

    for cosine in (0.0, 0.3, 0.7):
        assert other.nearness(shifted(cosine)) == pytest.approx(plain.nearness(cosine), abs=1e-3)


def test_the_shipped_scale_is_that_of_the_weights() -> None:
    """Where nothing was measured a cosine is what it is, less what is usual."""
    assert Scale(USUAL, APART, ALIKE) == SHIPPED
    assert SHIPPED.nearness(0.6) == pytest.approx(0.6 - SHARE * USUAL)


@pytest.mark.parametrize(
    ("vectors", "best"),
    [
        (questions(), COSINES[: LEAST_ANSWERED - 1]),
        (np.ones((len(QUESTIONS), 4), np.float32) / 2, COSINES),
    ],
    ids=["hardly a question finds a passage", "the model calls all questions the same"],
)
def test_what_tells_nothing_leaves_the_shipped_scale(vectors: Vector, best: list[float]) -> None:
    """Neither an empty store nor a model without meaning moves a cosine."""
    assert measure(vectors, best) == SHIPPED
