"""Asks trafilatura for a second opinion, on the tree that is already parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from lxml.html import HtmlElement
from numpy.typing import NDArray

from pipeline.stages.extract.pieces import Piece

COLUMNS = 7
"""Features an opinion has for each piece; all are zero where trafilatura was not asked."""

_RUN = 3
_WORD = re.compile(r"\w+")

Shares = NDArray[np.float32]
Matrix = NDArray[np.float32]


def hear(
    pieces: Sequence[Piece], root: HtmlElement, hidden: Iterable[HtmlElement], *, is_article: bool = False
) -> Shares:
    """The share of each piece that trafilatura takes for main text; on articles it is asked to be precise.

    The tree is used up: what is hidden is taken out of it.
    """
    for element in hidden:
        element.drop_tree()
    return _covered(pieces, _main_text(root, is_article=is_article))


def opinion_columns(pieces: Sequence[Piece], shares: Shares | None) -> Matrix:
    """An opinion as features, shape `(pieces, COLUMNS)`: asked, the piece, its neighbours, its container, the page."""
    if shares is None:
        return np.zeros((len(pieces), COLUMNS), dtype=np.float32)
    count = len(pieces)
    words = np.array([piece.words for piece in pieces], dtype=np.float32)
    padded = np.pad(shares, 1)
    taken = float((shares * words).sum())
    columns = (
        np.ones(count),
        shares,
        padded[:-2],
        padded[2:],
        _by_container(pieces, shares, words),
        np.full(count, taken / (words.sum() or 1)),
        np.full(count, np.log1p(taken) / 4),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _by_container(pieces: Sequence[Piece], shares: Shares, words: Shares) -> Shares:
    """The share taken of all that stands in the same box around a piece's own container."""
    boxes: dict[int, int] = {}
    numbers = np.array([boxes.setdefault(id(piece.place.parent or piece.place), len(boxes)) for piece in pieces])
    taken = np.bincount(numbers, shares * words)
    whole = np.bincount(numbers, words)
    rate: Shares = (taken / np.maximum(whole, 1))[numbers].astype(np.float32)
    return rate


def _main_text(root: HtmlElement, *, is_article: bool) -> str:
    import trafilatura  # noqa: PLC0415 - a quarter of a second to load, and many sites never need it

    return trafilatura.extract(root, deduplicate=False, favor_precision=is_article) or ""


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
