"""A reranker without a model: shared words are its logit."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

import numpy as np

from pipeline.model import Vector

_WORD = re.compile(r"\w+")


class WordReranker:
    """Scores by shared words, or by what it is told to prefer. It fails while it has a failure, hangs while held."""

    def __init__(self, *, prefers: str | None = None) -> None:
        self.name = "words"
        self.prefers = prefers
        self.failure: Exception | None = None
        self.free = threading.Event()
        self.free.set()
        self.read: list[str] = []

    def score(self, question: str, texts: Sequence[str]) -> Vector:
        """A logit for each text."""
        assert self.free.wait(60)
        if self.failure is not None:
            raise self.failure
        self.read.extend(texts)
        return np.array([self._logit(question, text) for text in texts], np.float32)

    def _logit(self, question: str, text: str) -> float:
        if self.prefers is not None:
            return 3.0 if self.prefers in text else -3.0
        asked, said = (set(_WORD.findall(one.lower())) for one in (question, text))
        return float(2 * len(asked & said) - len(asked))
