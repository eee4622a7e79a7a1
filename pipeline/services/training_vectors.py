"""Vectors of triggers, as they are stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.adapters.embedder.port import Embedder


def vectors_of(texts: Sequence[str], embedder: Embedder) -> list[tuple[str, bytes]]:
    """For each text the model's fingerprint and its vector as a question: float32, normalised."""
    model = embedder.identity.fingerprint
    vectors = np.asarray(embedder.encode_queries(texts), np.float32)
    return [(model, vector.tobytes()) for vector in vectors]
