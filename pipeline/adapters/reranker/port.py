"""What every reranker can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.model import Vector


class Reranker(Protocol):
    """Scores how well texts answer a question. Safe to use from one thread at a time."""

    @property
    def name(self) -> str:
        """The model, its revision, and what runs it."""
        ...

    def score(self, question: str, texts: Sequence[str]) -> Vector:
        """A logit for each text, shape `(len(texts),)`, float32, in the order given; what is too long is cut.

        A text's score does not depend on the others beyond rounding.
        """
        ...
