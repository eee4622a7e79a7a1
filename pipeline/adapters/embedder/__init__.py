"""Embedding backends: what turns text into vectors."""

from pipeline.adapters.embedder.opening import identify, open_embedder, open_tokenizer

__all__ = ["identify", "open_embedder", "open_tokenizer"]
