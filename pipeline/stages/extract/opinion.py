"""Asks trafilatura for a second opinion, on the tree that is already parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from lxml.html import HtmlElement
from numpy.typing import NDArray

from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.selection import THRESHOLD

LEAST_AGREEMENT = 0.7
"""Below this the two look at different parts of the page, and a mean of both would be neither."""

_RUN = 3
_WORD = re.compile(r"\w+")

Shares = NDArray[np.float32]


def weigh(pieces: Sequence[Piece], likelihood: Shares, root: HtmlElement, hidden: Iterable[HtmlElement]) -> Shares:
    """The likelihood of each piece, corrected by trafilatura where the two mostly agree.

    Trafilatura is strongest on articles: it finds where they end. The tree is used up: what is
    hidden is taken out of it.
    """
    for element in hidden:
        element.drop_tree()
    theirs = _covered(pieces, _main_text(root))
    if _agreement(pieces, likelihood, theirs) < LEAST_AGREEMENT:
        return likelihood
    both = (likelihood + theirs) / 2
    return np.where(both > 0.5, np.maximum(both, THRESHOLD), np.minimum(both, THRESHOLD / 2)).astype(np.float32)  # noqa: PLR2004 - half of both


def _main_text(root: HtmlElement) -> str:
    import trafilatura  # noqa: PLC0415 - a quarter of a second to load, and many sites never need it

    return trafilatura.extract(root, include_comments=False, deduplicate=False) or ""


def _covered(pieces: Sequence[Piece], text: str) -> Shares:
    """The share of each piece's words that stand in the text in the same order."""
    words = _WORD.findall(text.lower())
    whole = f" {' '.join(words)} "
    runs = set(zip(words, words[1:], words[2:], strict=False))
    shares = np.zeros(len(pieces), dtype=np.float32)
    for number, piece in enumerate(pieces):
        own = _WORD.findall(piece.text.lower())
        if len(own) < 2 * _RUN:
            shares[number] = bool(own) and f" {' '.join(own)} " in whole
        else:
            shares[number] = sum(run in runs for run in zip(own, own[1:], own[2:], strict=False)) / (len(own) - 2)
    return shares


def _agreement(pieces: Sequence[Piece], ours: Shares, theirs: Shares) -> float:
    """F1 of the two choices in words, from 0 to 1."""
    words = np.array([piece.words for piece in pieces], dtype=np.float32)
    we, they = ours >= THRESHOLD, theirs > 0.5  # noqa: PLR2004 - more than half of it
    total = float((words * we).sum() + (words * they).sum())
    return 2 * float((words * (we & they)).sum()) / total if total else 0.0
