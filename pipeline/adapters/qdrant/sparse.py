"""BM25 term weights from Qdrant's own encoder: no model, no download, the same for every store."""

from __future__ import annotations

import re
import threading

import qdrant_edge as edge

from pipeline.model import SparseVector
from pipeline.words import UNSPACED

STEMMED = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""Languages with a stemmer and stop words, by their ISO 639-1 code."""

DEFAULT = "en"
MEAN_TERMS = 64
"""Terms of a chunk on average, stop words left out: what BM25 measures length by."""


class Bm25Encoder:
    """Turns text into BM25 term weights. Safe to share between threads.

    Terms meet only when document and question are encoded for the same language. Languages
    without a stemmer keep their words as they are, stop words included. Where words are written
    without spaces, each pair of neighbouring characters is a term, whatever the language is said
    to be. The store multiplies in each term's rarity.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str | None, edge.Bm25] = {}

    def encode_document(self, text: str, language: str | None = None) -> SparseVector:
        """Saturated, length-normalised term frequencies (k 1.2, b 0.75, mean length 64 terms).

        Args:
            text: What is searched.
            language: A code such as `de` or `pt-BR`; none is taken as English.
        """
        return _to_sparse(self._model(language).embed_document(_spaced(text)))

    def encode_query(self, text: str, *languages: str | None) -> SparseVector:
        """Weight 1 for each distinct term of a question; no terms when it holds stop words only.

        Args:
            text: What is asked.
            languages: Those of the documents that may answer, each adding its own form of the
                words; none is taken as English.
        """
        spaced = _spaced(text)
        models = [self._model(language) for language in languages or (None,)]
        terms = {index for model in models for index in model.embed_query(spaced).indices}
        return SparseVector(indices=tuple(sorted(terms)), values=(1.0,) * len(terms))

    def _model(self, language: str | None) -> edge.Bm25:
        code = (language or DEFAULT).replace("_", "-").split("-")[0].lower()
        name = STEMMED.get(code)
        with self._lock:
            if name not in self._models:
                self._models[name] = edge.Bm25(_config(name))
            return self._models[name]


def _config(name: str | None) -> edge.Bm25Config:
    if name is not None:
        return edge.Bm25Config(language=name, avg_len=MEAN_TERMS)
    no_words = edge.StopwordsSet(languages=set(), custom=set())
    return edge.Bm25Config(stopwords=no_words, stemmer=edge.DisabledStemmer(), avg_len=MEAN_TERMS)


def _spaced(text: str) -> str:
    """The text with runs of unspaced script as overlapping pairs of characters."""
    return text if text.isascii() else UNSPACED.sub(_pairs, text)


def _pairs(run: re.Match[str]) -> str:
    letters = run[0]
    return f" {' '.join(letters[at : at + 2] for at in range(max(1, len(letters) - 1)))} "


def _to_sparse(vector: edge.SparseVector) -> SparseVector:
    return SparseVector(indices=tuple(vector.indices), values=tuple(vector.values))
