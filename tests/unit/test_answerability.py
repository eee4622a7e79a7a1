"""Whether there is an answer: nearness, and how much of what is asked the nearest passage speaks of."""

from __future__ import annotations

import pytest

from pipeline.model import SparseVector
from pipeline.retrieval.answerability import FIRST, MANY, NOTHING, UNKNOWN_COVERAGE, Evidence, weigh, weigh_words


def terms(*indices: int) -> SparseVector:
    """Terms of the same weight."""
    return SparseVector(indices, (1.0,) * len(indices))


def test_a_rare_word_that_the_passages_lack_costs_more_than_a_common_one() -> None:
    """What every near passage has tells little; what only some have is what was asked."""
    others = [terms(1)] * 9

    common_only = weigh(0.6, terms(1, 2), [terms(1), *others], is_same_language=True)
    rare_only = weigh(0.6, terms(1, 2), [terms(2), *others], is_same_language=True)

    assert rare_only.coverage > 0.9
    assert common_only.coverage < 0.1
    assert rare_only.confidence > common_only.confidence


def test_the_answer_may_stand_in_any_of_the_first_passages() -> None:
    """The nearest need not be the one that says it; one far down does not count."""
    asked = terms(1, 2, 3)
    others = [terms(1)] * FIRST

    first, last, beyond = (
        weigh(0.6, asked, [*others[:place], terms(1, 2, 3), *others[place:]], is_same_language=True)
        for place in (0, FIRST - 1, FIRST)
    )

    assert (first.coverage, last.coverage) == (1.0, 1.0)
    assert beyond.coverage < 0.2
    assert beyond.missing == 0.0


def test_what_no_near_passage_has_is_missing() -> None:
    """A website that has one page, near whatever is asked of its business, does not answer what it never speaks of."""
    spoken_of = weigh(0.42, terms(1, 2), [terms(1, 2, 3)], is_same_language=True)
    only_the_business = weigh(0.42, terms(1, 9), [terms(1, 2, 3)], is_same_language=True)

    assert (spoken_of.missing, spoken_of.coverage) == (0.0, 1.0)
    assert only_the_business.missing == pytest.approx(1 - only_the_business.coverage)
    assert only_the_business.confidence < 0.4 < spoken_of.confidence


def test_nearness_coverage_and_brevity_speak_for_an_answer_and_gaps_against_it() -> None:
    """Each of the four alone makes it surer, or less so; up to the length of a message how many terms tells nothing."""
    usual = Evidence(0.5, 0.5, 0.3, MANY)

    assert Evidence(0.7, 0.5, 0.3, MANY).confidence > usual.confidence
    assert Evidence(0.5, 0.8, 0.3, MANY).confidence > usual.confidence
    assert Evidence(0.5, 0.5, 0.1, MANY).confidence > usual.confidence
    assert Evidence(0.5, 0.5, 0.3, 4 * MANY).confidence < usual.confidence
    assert Evidence(0.5, 0.5, 0.3, 2).confidence == usual.confidence
    assert 0 < NOTHING.confidence < 0.01


@pytest.mark.parametrize("asked", [terms(), terms(1)])
def test_words_of_another_language_tell_nothing(asked: SparseVector) -> None:
    """A passage in another language is judged by its meaning, as if it had half of the words."""
    evidence = weigh(0.6, asked, [terms(9)], is_same_language=False)

    assert (evidence.coverage, evidence.missing) == (UNKNOWN_COVERAGE, 1 - UNKNOWN_COVERAGE)


def test_words_alone_tell_where_the_model_cannot_read() -> None:
    """A passage with half of what is asked for is an answer; one with a single word of it is none."""
    half = weigh_words(terms(1, 2, 3, 4), terms(1, 2, 9))
    chance = weigh_words(terms(1, 2, 3, 4), terms(4, 9))

    assert (half.coverage, chance.coverage) == (0.5, 0.25)
    assert chance.confidence < 0.4 < half.confidence
    assert weigh_words(terms(), terms(1)).confidence < 0.4
