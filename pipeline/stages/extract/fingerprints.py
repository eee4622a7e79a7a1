"""Hashes that tell whether a page has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from pipeline.stages.extract.pieces import Hint, Piece
from pipeline.steady import steady

_ELSEWHERE = int(Hint.RELATED | Hint.ASIDE)


def text_hash(markdown: str) -> str:
    """SHA-256 of the text with white space folded and without what changes by itself, hexadecimal."""
    return hashlib.sha256(" ".join(steady(markdown).split()).encode("utf-8", "surrogatepass")).hexdigest()


def fact_hash(stated: Iterable[str]) -> str:
    """SHA-256 over the facts that a page states for machines, whatever their order, hexadecimal.

    Numbers that visitors see outside the main text are no part of it: nine in ten belong to other pages, as the
    prices of related products do, or to the hour.
    """
    facts = sorted({" ".join(fact.split()) for fact in stated})
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogatepass")).hexdigest()


def own_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that speak of this page: not the links to others beside it, which come and go with those."""
    return [
        piece
        for piece in pieces
        if not (piece.place.inherited & _ELSEWHERE and piece.words and piece.link_words * 2 >= piece.words)
    ]
