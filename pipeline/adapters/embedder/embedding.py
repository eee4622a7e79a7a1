"""What all backends share: limits, prompts, batches. A backend adds one function, the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.adapters.embedder.wordpieces import WordPieces, spelled
from pipeline.errors import InvalidVector, TextTooLong
from pipeline.model import ModelIdentity, Vector
from pipeline.stages.embed import embed

Forward = Callable[[Sequence[str], str], Vector]
"""Vectors of one pass: texts of similar length, and the prompt that stands before each; inner numbers come last."""


class ModelEmbedder:
    """An `Embedder` around a forward pass. Safe to use from one thread at a time.

    Load it in the process that uses it: a model loaded before a fork may hang in the child.
    """

    def __init__(
        self, identity: ModelIdentity, tokenizer: WordPieces, *, batch_tokens: int, forward: Forward, inner: int = 0
    ) -> None:
        """Take a loaded model's forward pass, which gives `inner` numbers of an inner layer as well."""
        self.identity = identity
        self.inner = inner
        self.tokenizer = tokenizer
        self._batch_tokens = batch_tokens
        self._forward = forward

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of shape `(len(texts), dimension)`, float32, in the order given.

        Equal texts are computed once and neighbours in length together, so many pages in one call
        cost less than one call for each.

        Raises:
            TextTooLong: If a text has more tokens than the model reads; nothing is cut silently.
            InvalidVector: If the model answers with something that is no number.
        """
        if not texts:
            return np.empty((0, self.identity.dimension), np.float32)
        texts = [spelled(text) for text in texts]
        counts = self.tokenizer.count(texts)
        for position, count in enumerate(counts):
            if count > self.identity.max_tokens:
                raise TextTooLong(position=position, tokens=count, max_tokens=self.identity.max_tokens)
        return embed(
            texts,
            counts=counts,
            batch_tokens=self._batch_tokens,
            encode=lambda batch: self._checked(batch, self.identity.document_prompt)[:, : self.identity.dimension],
        )

    def encode_query(self, text: str) -> Vector:
        """The vector of a question, shape `(dimension,)`, float32; a long question is cut at its start."""
        return self.encode_message(text)[: self.identity.dimension]

    def encode_message(self, text: str) -> Vector:
        """A question's vector with its inner part, shape `(dimension + inner,)`, float32; cut likewise."""
        kept = self.tokenizer.keep_end(spelled(text), max_tokens=self.identity.max_tokens)
        vector: Vector = self._checked([kept], self.identity.query_prompt)[0]
        return vector

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of many questions, shape `(len(texts), dimension)`, float32, in the order given.

        Raises:
            InvalidVector: If the model answers with something that is no number.
        """
        return self.encode_messages(texts)[:, : self.identity.dimension]

    def encode_messages(self, texts: Sequence[str]) -> Vector:
        """The same with their inner parts, shape `(len(texts), dimension + inner)`.

        Raises:
            InvalidVector: If the model answers with something that is no number.
        """
        if not texts:
            return np.empty((0, self.identity.dimension + self.inner), np.float32)
        kept = [self.tokenizer.keep_end(spelled(text), max_tokens=self.identity.max_tokens) for text in texts]
        return embed(
            kept,
            counts=self.tokenizer.count(kept),
            batch_tokens=self._batch_tokens,
            encode=lambda batch: self._checked(batch, self.identity.query_prompt),
        )

    def _checked(self, texts: Sequence[str], prompt: str) -> Vector:
        vectors = self._forward(texts, prompt)
        if vectors.shape != (len(texts), self.identity.dimension + self.inner) or not np.isfinite(vectors).all():
            raise InvalidVector(model=self.identity.name, shape=vectors.shape, finite=bool(np.isfinite(vectors).all()))
        return vectors


def pooled(states: Vector, pooling: str) -> Vector:
    """One vector a text of its token states `(texts, tokens, dimension)`: their `mean`, or the first (`cls`).

    Nothing in `states` may be padding.
    """
    taken = states if pooling == "mean" else states[:, :1]
    vectors: Vector = taken.mean(axis=1, dtype=np.float32)
    return vectors


def unit(vectors: Vector) -> Vector:
    """Rows brought to length 1; a row without length stays zero."""
    scaled: Vector = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return scaled
