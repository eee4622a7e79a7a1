"""Vectors of what customers said, kept a while: a message now is part of the conversation at the next."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np

from pipeline.adapters.embedder.port import Embedder
from pipeline.model import Vector

HELD = 4_096
"""Vectors in memory, those used last: 6 MB of the default model. The texts are not kept."""


class SaidBefore:
    """Remembers vectors by their texts, for one model. Safe to use from many threads."""

    def __init__(self) -> None:
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = Lock()

    def remember(self, text: str, vector: Vector) -> None:
        """Keep the vector of a message."""
        with self._lock:
            self._vectors[_key(text)] = vector
            self._vectors.move_to_end(_key(text))
            if len(self._vectors) > HELD:
                self._vectors.popitem(last=False)

    def vector(self, text: str, embedder: Embedder) -> Vector:
        """The vector of what was said, computed if it is not remembered."""
        with self._lock:
            known = self._vectors.get(_key(text))
        if known is not None:
            return known
        vector = embedder.encode_query(text)
        self.remember(text, vector)
        return vector

    def vectors(self, texts: Sequence[str], embedder: Embedder) -> Vector:
        """Vectors of texts, shape `(len(texts), dimension)`; those not remembered are computed together."""
        with self._lock:
            known = {text: self._vectors[_key(text)] for text in texts if _key(text) in self._vectors}
        if missing := list(dict.fromkeys(text for text in texts if text not in known)):
            for text, vector in zip(missing, embedder.encode_queries(missing), strict=True):
                known[text] = vector
                self.remember(text, vector)
        return np.stack([known[text] for text in texts])


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
