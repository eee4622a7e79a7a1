"""An embedding model without a model: words fall into a vector by their hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from pipeline.errors import TextTooLong
from pipeline.model import ModelIdentity, Vector

_WORD = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """Words and signs are the tokens; two special ones stand around each text."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(_WORD.findall(text)) + 2 for text in texts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Spans of the words and signs."""
        return [match.span() for match in _WORD.finditer(text)]


class WordEmbedder:
    """Texts that share words have near vectors. Counts what it computed."""

    def __init__(self, *, dimension: int = 64, name: str = "words", salt: str = "") -> None:
        self._salt = salt
        self.identity = ModelIdentity(
            name=name,
            revision="1",
            dimension=dimension,
            max_tokens=254,
            pooling="mean",
            normalised=True,
            query_prompt="",
            document_prompt="",
            backend="fake",
            precision="fp32",
        )
        self.tokenizer = WordTokenizer()
        self.encoded: list[str] = []
        self.questions: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of the texts, and a note of each."""
        for position, count in enumerate(self.tokenizer.count(texts)):
            if count > self.identity.max_tokens:
                raise TextTooLong(position=position, tokens=count)
        self.encoded.extend(texts)
        vectors = [self._vector(text) for text in texts]
        return np.stack(vectors) if vectors else np.empty((0, self.identity.dimension), np.float32)

    def encode_query(self, text: str) -> Vector:
        """The vector of a question, and a note of it."""
        self.questions.append(text)
        return self._vector(text)

    @property
    def inner(self) -> int:
        """It has no layers."""
        return 0

    def encode_message(self, text: str) -> Vector:
        """No more than the vector of a question."""
        return self.encode_query(text)

    def encode_messages(self, texts: Sequence[str]) -> Vector:
        """No more than the vectors of questions."""
        return self.encode_queries(texts)

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of questions, each asked for by itself."""
        return np.array([self.encode_query(text) for text in texts], np.float32).reshape(-1, self.identity.dimension)

    def _vector(self, text: str) -> Vector:
        vector = np.full(self.identity.dimension, 1e-3, np.float32)
        for word in _WORD.findall(text.lower()):
            digest = hashlib.sha256(f"{self._salt}{word}".encode()).digest()
            vector[int.from_bytes(digest[:4]) % self.identity.dimension] += 1
        return vector / np.float32(np.linalg.norm(vector))
