"""Vectors of triggers, as they are stored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np

from pipeline.adapters.embedder.port import Embedder
from pipeline.services.training_text import ScenarioText

AHEAD = 64
"""Scenarios whose vectors are kept for the moment until they are stored."""

Vectors = list[tuple[str, bytes]]
"""For each text the model's fingerprint and its vector."""


class Ahead:
    """Vectors computed before the transaction that stores them. Safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[ScenarioText, Vectors] = OrderedDict()
        self._lock = Lock()

    def keep(self, text: ScenarioText, vectors: Vectors) -> None:
        """Have them at hand, if there are any; those kept longest make room."""
        if not vectors:
            return
        with self._lock:
            self._kept[text] = vectors
            self._kept.move_to_end(text)
            while len(self._kept) > AHEAD:
                self._kept.popitem(last=False)

    def take(self, text: ScenarioText) -> Vectors | None:
        """The vectors of these words, if they are at hand."""
        with self._lock:
            return self._kept.get(text)


def vectors_of(texts: Sequence[str], embedder: Embedder) -> Vectors:
    """For each text the model's fingerprint and its vector as a message: float32."""
    model = embedder.identity.fingerprint
    vectors = np.asarray(embedder.encode_messages(texts), np.float32)
    return [(model, vector.tobytes()) for vector in vectors]
