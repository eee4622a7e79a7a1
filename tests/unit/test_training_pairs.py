"""Near pairs are those that comparing everything with everything finds, in whatever pieces they are looked for."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.services.training_pairs import ROWS, near_pairs


@pytest.mark.parametrize("sizes", [[1] * 40, [3, 1, 7, 2] * 10, [ROWS + 1, 2, 3], [2] * ROWS, [1]])
def test_pairs_are_those_of_the_whole_product(sizes: list[int]) -> None:
    """Each once, the nearest first, with the cosine of its nearest rows."""
    chance = np.random.default_rng(7)
    vectors = chance.normal(size=(sum(sizes), 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    firsts = np.cumsum(np.array(sizes)) - np.array(sizes)
    groups = np.split(vectors, firsts[1:])

    found = near_pairs(vectors, firsts, least=0.9, most=10_000_000)

    expected = {
        (one, other): float((groups[one] @ groups[other].T).max())
        for one in range(len(sizes))
        for other in range(one + 1, len(sizes))
    }
    near = {pair: cosine for pair, cosine in expected.items() if cosine >= 0.9}
    assert {(one, other) for one, other, _ in found.pairs} == near.keys()
    assert found.total == len(near)
    assert [cosine for *_, cosine in found.pairs] == pytest.approx(sorted(near.values(), reverse=True), abs=1e-5)


def test_only_the_nearest_are_kept_and_the_others_counted() -> None:
    """All alike: as many as wanted."""
    vectors = np.ones((50, 1), np.float32)

    found = near_pairs(vectors, np.arange(50), least=0.5, most=3)

    assert ([pair[:2] for pair in found.pairs], found.total) == ([(0, 1), (0, 2), (0, 3)], 1_225)


def test_nothing_has_no_pairs() -> None:
    """Nor does it fail."""
    assert near_pairs(np.empty((0, 4), np.float32), np.arange(0), least=0.5, most=3).total == 0
