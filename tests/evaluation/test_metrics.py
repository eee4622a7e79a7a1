"""The yardsticks measure what they say."""

from __future__ import annotations

import math

import pytest

from tests.evaluation.baselines import by_page, fuse
from tests.evaluation.metrics import bootstrap, ndcg, recall, reciprocal_rank


def test_a_perfect_ranking_scores_one() -> None:
    """Every metric is 1 when the relevant pages lead."""
    gains = {"a": 1.0, "b": 1.0}

    assert ndcg(["a", "b", "c"], gains) == 1
    assert recall(["b", "a"], gains) == 1
    assert reciprocal_rank(["a", "x"], gains) == 1


def test_a_page_found_late_scores_less() -> None:
    """The second place is worth 1 / log2(3) and half a reciprocal rank; beyond the depth nothing."""
    gains = {"a": 1.0}

    assert ndcg(["x", "a"], gains) == pytest.approx(1 / math.log2(3))
    assert reciprocal_rank(["x", "a"], gains) == 0.5
    assert ndcg(["x"] * 10 + ["a"], gains) == 0
    assert recall(["x"] * 5 + ["a"], gains) == 0


def test_gain_is_linear() -> None:
    """A page of gain 2 first and one of gain 1 second is the best that can be."""
    assert ndcg(["b", "a"], {"a": 2.0, "b": 1.0}) == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


def test_a_steady_difference_is_certain() -> None:
    """The interval of equal values is their value; an even split around zero contains zero."""
    steady, split = bootstrap([0.2] * 50), bootstrap([1.0, -1.0] * 25)

    assert [steady.low, steady.high] == pytest.approx([0.2, 0.2])
    assert split.low < 0 < split.high


def test_fusion_prefers_what_both_find() -> None:
    """A piece second in both lists beats pieces first in one and absent from the other."""
    fused = fuse([[(1, 0.9), (2, 0.8)], [(3, 7.0), (2, 6.0)]], [1, 1])

    assert [number for number, _ in fused] == [2, 1, 3]
    assert by_page(fused, ["p0", "p1", "p1", "p3"]) == ["p1", "p3"]
