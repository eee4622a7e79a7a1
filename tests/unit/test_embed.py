"""Planning the embedding of many texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Vector
from pipeline.stages.embed import embed, plan

TEXTS = st.lists(st.text(alphabet="abc", max_size=6), max_size=40)


class Letters:
    """Encodes a text as its counts of a, b and c, and remembers every pass."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> Vector:
        """Vectors of shape `(len(texts), 3)`."""
        self.passes.append(list(texts))
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32).reshape(-1, 3)


def count(texts: Sequence[str]) -> list[int]:
    """One token a letter and one for the end."""
    return [len(text) + 1 for text in texts]


@given(texts=TEXTS, batch_tokens=st.integers(1, 30))
def test_vectors_come_back_in_the_order_of_the_texts(texts: list[str], batch_tokens: int) -> None:
    """Whatever the batches, row n is the vector of text n."""
    encode = Letters()

    vectors = embed(texts, counts=count(texts), batch_tokens=batch_tokens, encode=encode)

    assert vectors.tolist() == Letters()(texts).tolist()


@given(texts=TEXTS, batch_tokens=st.integers(1, 30))
def test_equal_texts_are_embedded_once(texts: list[str], batch_tokens: int) -> None:
    """Over all passes, each distinct text is computed exactly once."""
    encode = Letters()

    embed(texts, counts=count(texts), batch_tokens=batch_tokens, encode=encode)

    computed = [text for batch in encode.passes for text in batch]
    assert sorted(computed) == sorted(set(texts))


@given(texts=TEXTS, batch_tokens=st.integers(1, 30))
def test_a_pass_fits_its_budget_with_padding(texts: list[str], batch_tokens: int) -> None:
    """Rows times the longest row stays within `batch_tokens`, unless one text alone exceeds it."""
    encode = Letters()

    embed(texts, counts=count(texts), batch_tokens=batch_tokens, encode=encode)

    assert all(len(batch) * max(count(batch)) <= batch_tokens or len(batch) == 1 for batch in encode.passes if batch)


@given(texts=TEXTS)
def test_lengths_never_fall_from_pass_to_pass(texts: list[str]) -> None:
    """Texts run from short to long, so neighbours in a pass need little padding."""
    encode = Letters()

    embed(texts, counts=count(texts), batch_tokens=12, encode=encode)

    lengths = [len(text) for batch in encode.passes for text in batch]
    assert lengths == sorted(lengths)


@given(lengths=st.lists(st.integers(1, 50)).map(sorted), batch_tokens=st.integers(1, 200))
def test_a_plan_covers_every_text_once(lengths: list[int], batch_tokens: int) -> None:
    """The runs of a plan are gapless, in order, and none is empty."""
    runs = list(plan(lengths, batch_tokens))

    assert [place for run in runs for place in run] == list(range(len(lengths)))
    assert all(len(run) for run in runs)


def test_no_texts_give_no_rows() -> None:
    """Nothing in, an empty array of the right width out."""
    vectors = embed([], counts=[], batch_tokens=10, encode=Letters())

    assert vectors.shape == (0, 3)


def test_counts_belong_to_texts_one_to_one() -> None:
    """A list of counts of another length is refused before anything is computed."""
    encode = Letters()

    with pytest.raises(ValueError, match="shorter"):
        embed(["a", "b"], counts=[1], batch_tokens=10, encode=encode)

    assert encode.passes == []


def test_a_lost_vector_is_noticed() -> None:
    """An encoder that returns fewer vectors than texts cannot shift the rest unseen."""
    with pytest.raises(ValueError, match="1 vectors for 2 texts"):
        embed(["a", "b"], counts=[1, 1], batch_tokens=10, encode=lambda texts: Letters()(texts[1:]))
