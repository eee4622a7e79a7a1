"""Follow-ups: how much of a conversation a message takes along."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.model import SparseVector, Vector
from pipeline.retrieval.follow_up import LEAST, TURNS, Role, Turn, before, how_far, resolve


def towards(*parts: float) -> Vector:
    """A vector of length 1."""
    vector = np.array(parts, np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def terms(*indices: int) -> SparseVector:
    """A question of these terms."""
    return SparseVector(indices, (1.0,) * len(indices))


NOTHING = np.empty((0, 2), np.float32)


def test_a_first_message_is_searched_for_as_it_is() -> None:
    """Without a conversation nothing is added."""
    sought = resolve(towards(1, 0), terms(1), said=NOTHING, said_terms=[], answer=None)

    assert sought.dense is not None
    assert sought.dense.tolist() == [1, 0]
    assert sought.sparse == terms(1)
    assert sought.leaning == 0


def test_a_short_message_takes_the_subject_along() -> None:
    """Its vector moves towards what was said; the words of that count, and less than its own."""
    sought = resolve(
        towards(1, 0), terms(1), said=np.stack([towards(0, 1)]), said_terms=[terms(1, 2)], answer=terms(2, 3)
    )

    weights = dict(zip(sought.sparse.indices, sought.sparse.values, strict=True))
    assert sought.leaning == 1
    assert sought.dense is not None
    assert 0 < sought.dense[1] < sought.dense[0]
    assert weights[1] == 1.0 > weights[2] > weights[3] > 0
    assert np.linalg.norm(sought.dense) == pytest.approx(1)


def test_a_long_message_about_something_else_hardly_leans() -> None:
    """A new question stands almost alone."""
    assert how_far(terms(*range(9)), likeness=0.0) == LEAST
    assert how_far(terms(*range(9)), likeness=0.6) == 1


def test_what_was_said_later_counts_more() -> None:
    """Of two earlier turns, the vector moves more to the latest."""
    sought = resolve(
        towards(1, 0, 0),
        terms(1),
        said=np.stack([towards(0, 1, 0), towards(0, 0, 1)]),
        said_terms=[terms(2), terms(3)],
        answer=None,
    )

    assert sought.dense is not None
    assert sought.dense[1] > sought.dense[2] > 0
    assert sought.sparse.values[1] > sought.sparse.values[2]


def test_only_the_customer_and_the_agents_last_answer_count() -> None:
    """The latest first, no more than so many, and not the message itself where it was sent along."""
    history = [Turn(Role.USER, f"q{number}") for number in range(9)]
    history += [Turn(Role.SYSTEM, "be kind"), Turn(Role.ASSISTANT, "a"), Turn(Role.TOOL, "{}"), Turn(Role.USER, "now ")]

    found = before(history, "now")

    assert found.said == tuple(f"q{number}" for number in range(8, 8 - TURNS, -1))
    assert found.answer == "a"
