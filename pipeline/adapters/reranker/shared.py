"""One reranker for many threads: in a thread of its own, some texts at a time, and never longer than it may."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from datetime import timedelta

import numpy as np

from pipeline.adapters.reranker.port import Reranker
from pipeline.errors import RerankerUnavailable
from pipeline.model import Vector

SLICE = 8
"""Texts scored before the time is looked at again."""


class SharedReranker:
    """A reranker safe to use from any number of threads; the model is opened once, by the thread that computes."""

    def __init__(self, opened: Callable[[], Reranker]) -> None:
        """Use the model that `opened` gives."""
        self._opened = opened
        self._model: Reranker | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reranking")

    @property
    def name(self) -> str | None:
        """The model, once it is open."""
        return None if self._model is None else self._model.name

    def open(self) -> None:
        """Have the model loaded, and a pair scored, so that the first question is as fast as the next.

        Raises:
            RerankerUnavailable: If it cannot be.
        """
        if self._model is None:
            self._pool.submit(self._scored, "warm", ["warm"], None).result()

    def score(self, question: str, texts: Sequence[str], *, budget: timedelta) -> Vector | None:
        """The logit of each text, shape `(len(texts),)`; none at all, if that takes longer than the budget.

        Raises:
            RerankerUnavailable: If the model failed.
        """
        until = time.monotonic() + budget.total_seconds()
        asked = self._pool.submit(self._scored, question, texts, until)
        try:
            return asked.result(budget.total_seconds())
        except NotInTime:
            asked.cancel()
            return None

    def close(self) -> None:
        """End the thread; what waits is not computed."""
        self._pool.shutdown(cancel_futures=True)

    def _scored(self, question: str, texts: Sequence[str], until: float | None) -> Vector | None:
        try:
            if self._model is None:
                self._model = self._opened()
            scores = [np.empty(0, np.float32)]
            for start in range(0, len(texts), SLICE):
                if until is not None and time.monotonic() >= until:
                    return None
                scores.append(self._model.score(question, texts[start : start + SLICE]))
            found: Vector = np.concatenate(scores)
        except RerankerUnavailable:
            raise
        except Exception as error:
            raise RerankerUnavailable(problem=str(error) or type(error).__name__) from error
        if found.shape != (len(texts),) or not np.isfinite(found).all():
            raise RerankerUnavailable(model=self._model.name, problem="it answered with something that is no score")
        return found
