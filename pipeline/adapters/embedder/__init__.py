"""Embedding backends: what turns text into vectors."""
