"""Reranking: a cross-encoder reads a question and a passage together. Off unless a model is set."""
