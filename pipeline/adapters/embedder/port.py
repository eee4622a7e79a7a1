"""What every embedding backend can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.model import ModelIdentity, Vector


class Tokenizer(Protocol):
    """The embedding model's own tokenizer, without its model: cheap to load."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model counts them, special tokens included, nothing cut."""
        ...

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character spans `[start, end)` of the text's tokens, special tokens left out."""
        ...


class Embedder(Protocol):
    """Turns text into vectors. Safe to use from one thread at a time."""

    @property
    def identity(self) -> ModelIdentity:
        """What the vectors depend on."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of shape `(len(texts), dimension)`, float32, in the order given.

        Raises:
            TextTooLong: If a text has more tokens than the model reads; nothing is cut silently.
        """
        ...

    def encode_query(self, text: str) -> Vector:
        """The vector of a question, shape `(dimension,)`, float32; a long question is cut at its start."""
        ...

    @property
    def inner(self) -> int:
        """How many numbers `encode_message` adds to a question's vector; 0 where a backend sees no inner layer."""
        ...

    def encode_message(self, text: str) -> Vector:
        """`encode_query`'s vector and behind it, of length 1, what the model's layer two thirds up made of the text.

        Its shape is `(dimension + inner,)`. Inner layers still tell apart what the last one calls the same.
        """
        ...

    def encode_messages(self, texts: Sequence[str]) -> Vector:
        """The same of many, shape `(len(texts), dimension + inner)`."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        """Vectors of many questions, shape `(len(texts), dimension)`, each as `encode_query` gives it."""
        ...


class QuestionEmbedder(Embedder, Protocol):
    """An `Embedder` that computes while its caller does something else."""

    def begin_message(self, text: str) -> Callable[[], Vector]:
        """Begin with a message; what is returned waits for the vector that `encode_message` gives."""
        ...
