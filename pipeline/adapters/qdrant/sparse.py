"""BM25 term weights from Qdrant's own encoder: no model, no download, the same for every store."""

from __future__ import annotations

import threading

import qdrant_edge as edge

from pipeline.model import SparseVector

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

UNSPACED = frozenset({"ja", "km", "ko", "lo", "my", "th", "zh"})
"""Languages whose words are found by dictionary, not by white space."""

DEFAULT = "en"


class Bm25Encoder:
    """Turns text into BM25 term weights. Safe to share between threads.

    Terms meet only when document and question are encoded for the same language. Languages
    without a stemmer keep their words as they are, stop words included. The store multiplies in
    each term's rarity.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, edge.Bm25] = {}

    def encode_document(self, text: str, language: str | None = None) -> SparseVector:
        """Saturated, length-normalised term frequencies (k 1.2, b 0.75, mean length 256 terms).

        Args:
            text: What is searched.
            language: A code such as `de` or `pt-BR`; none is taken as English.
        """
        return _to_sparse(self._model(language).embed_document(text))

    def encode_query(self, text: str, language: str | None = None) -> SparseVector:
        """Weight 1 for each distinct term of a question; no terms when it holds stop words only."""
        return _to_sparse(self._model(language).embed_query(text))

    def _model(self, language: str | None) -> edge.Bm25:
        code = (language or DEFAULT).replace("_", "-").split("-")[0].lower()
        kind = STEMMED.get(code) or ("unspaced" if code in UNSPACED else "plain")
        with self._lock:
            if kind not in self._models:
                self._models[kind] = edge.Bm25(_config(kind))
            return self._models[kind]


def _config(kind: str) -> edge.Bm25Config:
    if kind not in {"unspaced", "plain"}:
        return edge.Bm25Config(language=kind)
    return edge.Bm25Config(
        tokenizer=edge.TokenizerType.Multilingual if kind == "unspaced" else edge.TokenizerType.Word,
        stopwords=edge.StopwordsSet(languages=set(), custom=set()),
        stemmer=edge.DisabledStemmer(),
    )


def _to_sparse(vector: edge.SparseVector) -> SparseVector:
    return SparseVector(indices=tuple(vector.indices), values=tuple(vector.values))
