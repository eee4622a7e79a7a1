"""Describes every piece of a page in numbers, from which its place in the main text is judged."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.extract.claims import Claims
from pipeline.stages.extract.containers import PROSE_WORDS, Containers
from pipeline.stages.extract.opinion import opinion_columns
from pipeline.stages.extract.pieces import Hint, Piece
from pipeline.stages.extract.sections import describe_sections

_KIND_NAMES = ("heading", "paragraph", "item", "row", "code", "term", "definition", "caption", "summary")
_KINDS = {kind: tuple(float(kind == one) for one in _KIND_NAMES) for kind in _KIND_NAMES}
_SHARES = (
    Hint.MAIN,
    Hint.ARTICLE,
    Hint.POST,
    Hint.PRODUCT,
    Hint.CARD,
    Hint.REVIEW,
    Hint.COMMENT,
    Hint.LIST,
    Hint.CONTENT,
)
_BATCH = 2_048
_LABEL_WORDS = 2
_PRICE_COLUMN = 11
_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f", "\u2026")
_QUOTES = ('"', "'", ")", "\u201d", "\u2019")
_LEGAL = re.compile(r"\u00a9|all rights reserved|\(c\) (?:19|20)\d\d|copyright", re.IGNORECASE)
_LEGAL_WORDS = ("\u00a9", "all rights reserved", "(c) ", "copyright")
_TIME = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}:\d\d\b|\bago\b|\b\d{1,2}[./]\d{1,2}[./]")
_PRICE = re.compile(r"[$\u20ac\u00a3\u00a5]\s?\d|\d\s?(?:[$\u20ac\u00a3\u00a5]|USD|EUR|kr\b|z\u0142)")
_COMMA = re.compile(r"[,;:\u3001\uff0c]")
_LOWER = re.compile(r"(?<!\S)[a-z\u00e0-\u00ff\u0430-\u044f\u3040-\u30ff\u4e00-\u9fff]")
_DIGITS, _COMMAS = b"0123456789", b",;:"
_STARTS = bytes(32 if chr(code).isspace() else ord("a") if ord("a") <= code <= ord("z") else 48 for code in range(256))
"""Makes every white space a blank, every small letter an `a`, and all else a `0`."""

Matrix = NDArray[np.float32]


def describe(pieces: Sequence[Piece], claims: Claims, opinion: Matrix | None) -> Matrix:
    """One row of features for each piece, shape `(pieces, features)`.

    Args:
        pieces: All of a page, at least one.
        claims: What the page says of itself.
        opinion: Which share of each piece trafilatura takes for main text, where it was asked.
    """
    containers = Containers(pieces)
    own = _own_rows(pieces)
    page = _page(pieces, own, containers.count_outermost("article"))
    return np.hstack(
        (
            own,
            containers.describe(),
            containers.hints(),
            _position(pieces),
            _neighbours(own[:, :4]),
            _repeated(pieces),
            describe_sections(pieces),
            claims.echo(pieces),
            opinion_columns(pieces, opinion),
            np.broadcast_to(page, (len(pieces), page.size)),
        )
    )


def _own_rows(pieces: Sequence[Piece]) -> Matrix:
    """What the pieces themselves are like, made in batches: numbers as Python objects take eight times the memory."""
    whole = "\n".join(piece.text for piece in pieces).lower()
    is_legal = any(words in whole for words in _LEGAL_WORDS)
    batches = (pieces[start : start + _BATCH] for start in range(0, len(pieces), _BATCH))
    return np.vstack([np.array([_own(piece, is_legal) for piece in batch], dtype=np.float32) for batch in batches])


def _own(piece: Piece, is_legal: bool) -> list[float]:  # noqa: FBT001 - whether the page has such words at all
    words, text = piece.words, piece.text
    length = len(text)
    divisor = words or 1
    lower, commas, digits = _counted(text)
    return [
        math.log1p(words) / 4,
        min(1.0, piece.link_words / divisor),
        1.0 if text.endswith(_ENDS) or (text.endswith(_QUOTES) and text[:-1].endswith(_ENDS)) else 0.0,
        lower / divisor,
        1.0 if piece.kind == "heading" else 0.0,
        min(4.0, commas / divisor * 10),
        min(20.0, length / divisor) / 10,
        digits / (length or 1),
        1.0 if text.isupper() else 0.0,
        1.0 if is_legal and _LEGAL.search(text) else 0.0,
        1.0 if (digits or "ago" in text) and _TIME.search(text) else 0.0,
        1.0 if digits and _PRICE.search(text) else 0.0,
        1.0 if text.endswith(":") else 0.0,
        1.0 if text.endswith("?") else 0.0,
        piece.level / 3,
        float(piece.quote > 0),
        float(words <= _LABEL_WORDS),
        *_KINDS[piece.kind],
    ]


def _counted(text: str) -> tuple[int, int, int]:
    """Words that begin with a small letter, commas and their like, digits."""
    if not text.isascii():
        return len(_LOWER.findall(text)), len(_COMMA.findall(text)), sum(map(str.isdigit, text))
    plain = text.encode()
    starts = plain.translate(_STARTS)
    return (
        starts.count(b" a") + starts.startswith(b"a"),
        len(plain) - len(plain.translate(None, _COMMAS)),
        len(plain) - len(plain.translate(None, _DIGITS)),
    )


def _position(pieces: Sequence[Piece]) -> Matrix:
    words = np.array([piece.words for piece in pieces], dtype=np.float32)
    count = len(pieces)
    before = np.cumsum(words) - words
    order = np.arange(count, dtype=np.float32)
    title = next((i for i, piece in enumerate(pieces) if piece.kind == "heading" and piece.level == 1), -1)
    after = order - title if title >= 0 else np.zeros(count, dtype=np.float32)
    return np.stack(
        (
            order / count,
            before / (words.sum() or 1),
            np.clip(after, -20, 20) / 10,
            (after > 0).astype(np.float32) * (title >= 0),
            np.log1p(np.minimum(order, 200)) / 5,
            np.log1p(np.minimum(count - order, 200)) / 5,
        ),
        axis=1,
    ).astype(np.float32)


def _neighbours(main: Matrix) -> Matrix:
    """What the two pieces before and after are like, and the averages of five and of twenty."""
    padded = np.pad(main, ((2, 2), (0, 0)))
    count = len(main)
    shifted = [padded[offset : offset + count] for offset in (0, 1, 3, 4)]
    sums = np.cumsum(np.pad(main, ((1, 0), (0, 0))), axis=0)
    order = np.arange(count)
    for reach in (5, 20):
        low, high = np.maximum(order - reach, 0), np.minimum(order + reach + 1, count)
        shifted.append((sums[high] - sums[low]) / (high - low)[:, None])
    return np.hstack(shifted).astype(np.float32)


def _repeated(pieces: Sequence[Piece]) -> Matrix:
    counts = Counter(piece.text for piece in pieces)
    return np.array([[min(counts[piece.text], 10) / 5 - 0.2] for piece in pieces], dtype=np.float32)


def _page(pieces: Sequence[Piece], own: Matrix, articles: int) -> Matrix:
    """What the whole page is like; `own` are the pieces' own features."""
    words = np.array([piece.words for piece in pieces], dtype=np.float64)
    links = np.array([piece.link_words for piece in pieces], dtype=np.float64)
    inherited = np.array([piece.place.inherited for piece in pieces], dtype=np.int64)
    kinds = Counter(piece.kind for piece in pieces)
    total, count = words.sum() or 1.0, len(pieces)
    shares = [words[(inherited & int(hint)) != 0].sum() / total for hint in _SHARES]
    return np.array(
        [
            math.log1p(words.sum() or 1.0) / 4,
            math.log1p(count) / 4,
            total / count / 20,
            links.sum() / total,
            words[(words >= PROSE_WORDS) & (links * 2 < words)].sum() / total,
            *shares,
            math.log1p(articles) / 4,
            *(kinds[kind] / count for kind in ("heading", "item", "row", "code")),
            own[:, _PRICE_COLUMN].sum() / count,
        ],
        dtype=np.float32,
    )
