"""Whether there is an answer: nearness, and how much of what is asked the nearest passage speaks of."""

from __future__ import annotations

import pytest

from pipeline.model import SparseVector
from pipeline.retrieval.answerability import NOTHING, UNKNOWN_COVERAGE, Evidence, weigh, weigh_words


def terms(*indices: int) -> SparseVector:
    """Terms of the same weight."""
    return SparseVector(indices, (1.0,) * len(indices))


def test_a_rare_word_that_the_passage_lacks_costs_more_than_a_common_one() -> None:
    """What every near passage has tells little; what only some have is what was asked."""
    others = [terms(1)] * 9

    common_only = weigh(0.6, terms(1, 2), [terms(1), *others], is_same_language=True)
    rare_only = weigh(0.6, terms(1, 2), [terms(2), *others], is_same_language=True)

    assert rare_only.coverage > 0.9
    assert common_only.coverage < 0.1
    assert rare_only.confidence > common_only.confidence


def test_nearness_coverage_and_brevity_speak_for_an_answer() -> None:
    """Each of the three alone makes it surer."""
    usual = Evidence(0.5, 0.5, 6)

    assert Evidence(0.7, 0.5, 6).confidence > usual.confidence
    assert Evidence(0.5, 0.8, 6).confidence > usual.confidence
    assert Evidence(0.5, 0.5, 2).confidence > usual.confidence
    assert 0 < NOTHING.confidence < 0.01


@pytest.mark.parametrize("asked", [terms(), terms(1)])
def test_words_of_another_language_tell_nothing(asked: SparseVector) -> None:
    """A passage in another language is judged by its meaning, as if it had half of the words."""
    assert weigh(0.6, asked, [terms(9)], is_same_language=False).coverage == UNKNOWN_COVERAGE


def test_words_alone_tell_where_the_model_cannot_read() -> None:
    """A passage with half of what is asked for is an answer; one with a single word of it is none."""
    half = weigh_words(terms(1, 2, 3, 4), terms(1, 2, 9))
    chance = weigh_words(terms(1, 2, 3, 4), terms(4, 9))

    assert (half.coverage, chance.coverage) == (0.5, 0.25)
    assert chance.confidence < 0.4 < half.confidence
    assert weigh_words(terms(), terms(1)).confidence < 0.4
