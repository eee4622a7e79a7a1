"""Describes every piece of a page in numbers, from which its place in the main text is judged."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.extract.pieces import Hint, Piece, Place

_KINDS = ("heading", "paragraph", "item", "row", "code", "term", "definition", "caption", "summary")
_KIND = {kind: number for number, kind in enumerate(_KINDS)}
_HINTS = len(Hint)
_ANCESTORS = 5
_BATCH = 2_048
_LABEL_WORDS = 2
_SENTENCE = re.compile(r"[.!?\u3002\uff01\uff1f\u2026][\"')\u201d\u2019]?\Z")
_LEGAL = re.compile(r"\u00a9|all rights reserved|\(c\) (?:19|20)\d\d|copyright", re.IGNORECASE)
_TIME = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}:\d\d\b|\bago\b|\b\d{1,2}[./]\d{1,2}[./]")
_PRICE = re.compile(r"[$\u20ac\u00a3\u00a5]\s?\d|\d\s?(?:[$\u20ac\u00a3\u00a5]|USD|EUR|kr\b|z\u0142)")
_COMMA = re.compile(r"[,;:\u3001\uff0c]")
_LOWER = re.compile(r"(?<!\S)[a-z\u00e0-\u00ff\u0430-\u044f\u3040-\u30ff\u4e00-\u9fff]")

Matrix = NDArray[np.float32]


def describe(pieces: Sequence[Piece]) -> Matrix:
    """One row of features for each piece, shape `(pieces, features)`."""
    own = _rows(_own, pieces)
    places = _Places(pieces)
    around = _rows(lambda piece: places.row(piece.place), pieces)
    hints = _hint_bits(pieces)
    page = _page(pieces)
    position = _position(pieces)
    near = _neighbours(own[:, :4])
    repeated = _repeated(pieces)
    return np.hstack((own, around, hints, position, near, repeated, np.broadcast_to(page, (len(pieces), page.size))))


def _rows(row: Callable[[Piece], list[float]], pieces: Sequence[Piece]) -> Matrix:
    """One row a piece, made in batches: numbers as Python objects take eight times the memory."""
    batches = (pieces[start : start + _BATCH] for start in range(0, len(pieces), _BATCH))
    return np.vstack([np.array([row(piece) for piece in batch], dtype=np.float32) for batch in batches])


def _own(piece: Piece) -> list[float]:
    words, text = piece.words, piece.text
    length = len(text)
    divisor = words or 1
    kinds = [0.0] * len(_KINDS)
    kinds[_KIND[piece.kind]] = 1.0
    return [
        _log(words),
        min(1.0, piece.link_words / divisor),
        1.0 if _SENTENCE.search(text[-2:]) else 0.0,
        len(_LOWER.findall(text)) / divisor,
        1.0 if piece.kind == "heading" else 0.0,
        min(4.0, len(_COMMA.findall(text)) / divisor * 10),
        min(20.0, length / divisor) / 10,
        sum(map(str.isdigit, text)) / (length or 1),
        1.0 if text.isupper() else 0.0,
        1.0 if _LEGAL.search(text) else 0.0,
        1.0 if _TIME.search(text) else 0.0,
        1.0 if _PRICE.search(text) else 0.0,
        1.0 if text.endswith(":") else 0.0,
        1.0 if text.endswith("?") else 0.0,
        piece.level / 3,
        float(piece.quote > 0),
        float(words <= _LABEL_WORDS),
        *kinds,
    ]


class _Places:
    """Features of containers; each container is described once."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._rows: dict[int, list[float]] = {}
        self._singles: dict[int, list[float]] = {}
        self._total = sum(piece.words for piece in pieces) or 1
        title = next((piece for piece in pieces if piece.kind == "heading" and piece.level == 1), None)
        self._title = _path(title.place) if title else {}
        self._dense = _path(_densest(pieces))

    def row(self, place: Place) -> list[float]:
        row = self._rows.get(id(place))
        if row is None:
            row = self._rows[id(place)] = self._describe(place)
        return row

    def _describe(self, place: Place) -> list[float]:
        row: list[float] = []
        one: Place | None = place
        for _ in range(_ANCESTORS):
            if one is not None:
                last = one
                one = one.parent
            row.extend(self._single(last))
        row.extend((min(place.depth, 40) / 20, *self._shared(place, self._title), *self._shared(place, self._dense)))
        return row

    def _single(self, place: Place) -> list[float]:
        row = self._singles.get(id(place))
        if row is None:
            words = place.words or 1
            row = self._singles[id(place)] = [
                place.link_words / words,
                _log(place.words),
                place.words / self._total,
                _log(place.pieces),
                place.prose / (place.pieces or 1),
                _log(place.prose),
                place.headings / (place.pieces or 1),
            ]
        return row

    def _shared(self, place: Place, path: dict[int, int]) -> tuple[float, float, float]:
        """How near a place is to another: steps up to a common container from both, and that one's share."""
        steps = 0
        one: Place | None = place
        while one is not None:
            if id(one) in path:
                return min(steps, 10) / 5, min(path[id(one)], 10) / 5, one.words / self._total
            one = one.parent
            steps += 1
        return 2.0, 2.0, 1.0


def _path(place: Place | None) -> dict[int, int]:
    """Every container around a place, with how many steps up it is."""
    path: dict[int, int] = {}
    while place is not None:
        path[id(place)] = len(path)
        place = place.parent
    return path


def _densest(pieces: Sequence[Piece]) -> Place | None:
    """The container with most prose directly in it."""
    scores: dict[int, float] = {}
    places: dict[int, Place] = {}
    for piece in pieces:
        if piece.words >= 8 and piece.link_words * 2 < piece.words:  # noqa: PLR2004 - about a sentence
            weight, place = float(piece.words), piece.place
            for _ in range(4):
                scores[id(place)] = scores.get(id(place), 0.0) + weight
                places[id(place)] = place
                weight *= 0.6
                if place.parent is None:
                    break
                place = place.parent
    return places[max(scores, key=scores.__getitem__)] if scores else None


def _hint_bits(pieces: Sequence[Piece]) -> Matrix:
    values = np.array(
        [
            (piece.place.inherited, piece.place.hints | (piece.place.parent.hints if piece.place.parent else 0))
            for piece in pieces
        ],
        dtype=np.int64,
    )
    bits = (values[:, :, None] >> np.arange(_HINTS)) & 1
    return bits.reshape(len(pieces), 2 * _HINTS).astype(np.float32)


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


def _page(pieces: Sequence[Piece]) -> Matrix:
    words = sum(piece.words for piece in pieces) or 1
    count = len(pieces)
    articles = len({id(top) for piece in pieces if (top := _outermost(piece.place, "article")) is not None})

    def share(hint: int) -> float:
        return sum(piece.words for piece in pieces if piece.place.inherited & hint) / words

    prose = sum(piece.words for piece in pieces if piece.words >= 12 and piece.link_words * 2 < piece.words)  # noqa: PLR2004 - about a sentence
    return np.array(
        [
            _log(words),
            _log(count),
            words / count / 20,
            sum(piece.link_words for piece in pieces) / words,
            prose / words,
            share(int(Hint.MAIN)),
            share(int(Hint.ARTICLE)),
            share(int(Hint.POST)),
            share(int(Hint.PRODUCT)),
            share(int(Hint.CARD)),
            share(int(Hint.REVIEW)),
            share(int(Hint.COMMENT)),
            share(int(Hint.LIST)),
            share(int(Hint.CONTENT)),
            _log(articles),
            sum(piece.kind == "heading" for piece in pieces) / count,
            sum(piece.kind == "item" for piece in pieces) / count,
            sum(piece.kind == "row" for piece in pieces) / count,
            sum(piece.kind == "code" for piece in pieces) / count,
            sum(1.0 for piece in pieces if _PRICE.search(piece.text)) / count,
        ],
        dtype=np.float32,
    )


def _outermost(place: Place | None, tag: str) -> Place | None:
    found = None
    while place is not None:
        if place.tag == tag:
            found = place
        place = place.parent
    return found


def _log(count: float) -> float:
    return math.log1p(count) / 4
