"""Retrieval without the product: the same chunks ranked by BM25, by the embedding model, and by both fused."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from qdrant_edge import Bm25

from pipeline.adapters.embedder.opening import open_embedder
from pipeline.adapters.embedder.port import Embedder
from pipeline.model import Vector
from pipeline.settings import EmbedSettings

Scores = dict[int, float]

DEFAULT_RRF_K = 60
_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk to be found: what each half of the search sees of it, and its page."""

    page: str
    dense_text: str
    sparse_text: str


class Encoder:
    """The product's embedder with a cache of vectors on disk, outside the repository."""

    def __init__(self, settings: EmbedSettings | None = None, cache: Path | None = None) -> None:
        """Open the model; vectors are kept per model fingerprint."""
        folder = cache or Path(tempfile.gettempdir()) / "sitewise-evaluation"
        folder.mkdir(parents=True, exist_ok=True)
        self._embedder: Embedder = open_embedder(settings or EmbedSettings(), cache_dir=folder)
        self._file = folder / f"{self._embedder.identity.fingerprint}.npz"
        self._known: dict[str, Vector] = {}
        self._read()

    def _read(self) -> None:
        """Take over what is on disk, this process's own or another's."""
        if self._file.exists():
            with np.load(self._file) as stored:
                self._known.update(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    @property
    def embedder(self) -> Embedder:
        """The model itself."""
        return self._embedder

    def documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of shape `(len(texts), dimension)`."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            vectors = self._embedder.encode_documents(list(missing.values()))
            self._read()
            self._known.update(zip(missing, vectors, strict=True))
            np.savez(self._file, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        return np.stack([self._known[key] for key in keys])

    def queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of questions, shape `(len(texts), dimension)`."""
        return np.stack([self._embedder.encode_query(text) for text in texts])

    def messages(self, texts: Sequence[str]) -> Vector:
        """Vectors of messages with their inner parts, shape `(len(texts), dimension + inner)`."""
        return self._embedder.encode_messages(texts)


@dataclass(slots=True)
class SparseIndex:
    """BM25 with Qdrant's IDF over the pieces of one corpus."""

    postings: dict[int, tuple[list[int], list[float]]] = field(default_factory=lambda: defaultdict(lambda: ([], [])))
    count: int = 0
    model: Bm25 = field(default_factory=Bm25)

    def add(self, texts: Iterable[str]) -> None:
        """Append documents; their numbers go on from the last."""
        for text in texts:
            vector = self.model.embed_document(text)
            for term, weight in zip(vector.indices, vector.values, strict=True):
                numbers, weights = self.postings[term]
                numbers.append(self.count)
                weights.append(weight)
            self.count += 1

    def search(self, text: str) -> Scores:
        """BM25 of every document that shares a term with the question."""
        scores: Scores = defaultdict(float)
        for term in self.model.embed_query(text).indices:
            if term not in self.postings:
                continue
            numbers, weights = self.postings[term]
            rarity = math.log((self.count - len(numbers) + 0.5) / (len(numbers) + 0.5) + 1)
            for number, weight in zip(numbers, weights, strict=True):
                scores[number] += weight * rarity
        return scores


def best(scores: Mapping[int, float], limit: int = _CANDIDATES) -> list[tuple[int, float]]:
    """The highest scores first, ties by number."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def fuse(
    rankings: Sequence[Sequence[tuple[int, float]]], weights: Sequence[float], k: int = DEFAULT_RRF_K
) -> list[tuple[int, float]]:
    """Weighted reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""
    scores: Scores = defaultdict(float)
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, (number, _) in enumerate(ranking):
            scores[number] += weight / (k + rank + 1)
    return best(scores, len(scores))


def by_page(ranking: Iterable[tuple[int, float]], pages: Sequence[str]) -> list[str]:
    """Pages in the order of their best chunk."""
    return list(dict.fromkeys(pages[number] for number, _ in ranking))


class Searcher:
    """One corpus in memory, searched exactly."""

    def __init__(self, pieces: Sequence[Piece], encoder: Encoder) -> None:
        """Embed and index the pieces."""
        self.pages = [piece.page for piece in pieces]
        self._encoder = encoder
        self._vectors = encoder.documents([piece.dense_text for piece in pieces])
        self._sparse = SparseIndex()
        self._sparse.add(piece.sparse_text for piece in pieces)

    def candidates(
        self, question: str, limit: int = _CANDIDATES
    ) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """The best pieces by meaning, and by words."""
        similarity = self._vectors @ self._encoder.queries([question])[0]
        order = np.argsort(-similarity, kind="stable")[:limit]
        dense = [(int(number), float(similarity[number])) for number in order]
        return dense, best(self._sparse.search(question), limit)
