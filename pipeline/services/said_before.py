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
    """Remembers vectors by their texts and models. Safe to use from many threads."""

    def __init__(self) -> None:
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = Lock()

    def remember(self, text: str, vector: Vector, *, model: str) -> None:
        """Keep the vector of a message under the model of this fingerprint."""
        key = _key(text, model)
        with self._lock:
            self._vectors[key] = vector
            self._vectors.move_to_end(key)
            if len(self._vectors) > HELD:
                self._vectors.popitem(last=False)

    def vector(self, text: str, embedder: Embedder) -> Vector:
        """The vector of what was said, computed if it is not remembered."""
        model = embedder.identity.fingerprint
        with self._lock:
            known = self._vectors.get(_key(text, model))
        if known is not None:
            return known
        vector = embedder.encode_query(text)
        self.remember(text, vector, model=model)
        return vector

    def vectors(self, texts: Sequence[str], embedder: Embedder) -> Vector:
        """Vectors of texts, shape `(len(texts), dimension)`; those not remembered are computed together."""
        model = embedder.identity.fingerprint
        keys = {text: _key(text, model) for text in texts}
        with self._lock:
            known = {text: self._vectors[key] for text, key in keys.items() if key in self._vectors}
        if missing := list(dict.fromkeys(text for text in texts if text not in known)):
            for text, vector in zip(missing, embedder.encode_queries(missing), strict=True):
                known[text] = vector
                self.remember(text, vector, model=model)
        return np.stack([known[text] for text in texts])


def _key(text: str, model: str) -> bytes:
    return hashlib.blake2b(f"{model}\n{text}".encode(), digest_size=16).digest()
