"""Chooses which pieces of a page are its main text.

Small networks, trained once on labelled pages, give each piece the share of its words that they take
for main text; they see the piece, the containers around it and its neighbours, and, where a page declares
itself an article or a product, what trafilatura takes for its main text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.extract.claims import Claims
from pipeline.stages.extract.features import Matrix, describe
from pipeline.stages.extract.pieces import Hint, Piece, Place

THRESHOLD = 0.35
"""Pieces judged at least this likely are kept: losing an answer costs more than keeping a line too many."""

FEW_WORDS, MANY_WORDS = 25, 200
"""Where fewer words are kept than the first, the declared main element is kept whole, up to the second."""

_MOSTLY = 0.5
"""A piece is trafilatura's where it takes this share of it."""

_NEVER = int(Hint.COOKIE)
_TRAIL = int(Hint.BREADCRUMB)
_SMALL_PRINT = 12
_SENTENCE_WORDS = 8
_APART = int(Hint.NAVIGATION | Hint.FOOTER | Hint.ASIDE | Hint.DIALOG)
_WAYS = int(Hint.NAVIGATION | Hint.PAGINATION | Hint.HEADER | Hint.FOOTER)
_WAY_WORDS = frozenset({
    "previous", "prev", "next", "up", "home", "back", "contents", "index", "\u2039", "\u203a", "«", "»", "←", "→",
    "zurück", "weiter", "nächste", "vorherige", "précédent", "suivant", "anterior", "siguiente",
    "precedente", "successivo", "vorige", "volgende",
})  # fmt: skip
_FAR = 6.0
"""Features are cut off this many standard deviations from their mean."""


def judge(
    pieces: Sequence[Piece], claims: Claims, opinion: Matrix | None = None, *, weights: Path | None = None
) -> NDArray[np.float32]:
    """How likely each piece is main text, from 0 to 1.

    Args:
        pieces: All of a page.
        claims: What the page says of itself.
        opinion: Which share of each piece trafilatura takes for main text, where it was asked.
        weights: Networks other than those this project is shipped with.
    """
    if not pieces:
        return np.zeros(0, dtype=np.float32)
    likelihood = _networks(weights).judge(describe(pieces, claims, opinion))
    if opinion is None or not claims.is_article or not _agree(pieces, likelihood, opinion):
        return likelihood
    blend: NDArray[np.float32] = ((likelihood + opinion) / 2).astype(np.float32)
    return blend


def _agree(pieces: Sequence[Piece], likelihood: NDArray[np.float32], opinion: Matrix) -> bool:
    """Whether trafilatura takes at least half of what the networks take: then it draws an article's edges better."""
    words = np.array([piece.words for piece in pieces])
    taken = likelihood >= THRESHOLD
    return bool(2 * words[taken & (opinion >= _MOSTLY)].sum() >= words[taken].sum())


def keep(pieces: Sequence[Piece], likelihood: NDArray[np.float32]) -> list[Piece]:
    """The pieces likely enough, with the headings they stand under; never navigation, cookies or small print."""
    chosen: list[Piece] = []
    under: Piece | None = None
    ways = {piece.group for piece in pieces if piece.group and _leads_on(piece)}
    for piece, likely in zip(reversed(pieces), reversed(likelihood), strict=True):
        if piece.place.inherited & _NEVER or piece.group in ways or _is_navigation(piece) or _is_small_print(piece):
            continue
        if likely >= THRESHOLD or _announces(piece, under, likely):
            chosen.append(piece)
            under = piece
        elif piece.kind != "heading":
            under = None
    chosen.reverse()
    if sum(piece.words for piece in chosen) < FEW_WORDS:
        chosen = _declared(pieces) or _all_there_is(pieces) or _prose(pieces) or chosen
    return _without_bare_headings(_with_neighbours(pieces, likelihood, chosen))


def _declared(pieces: Sequence[Piece]) -> list[Piece]:
    """What stands inside `<main>` or `<article>`: a page of a line or two gives the network nothing to go by."""
    inside = [
        piece
        for piece in pieces
        if _is_within(piece, {"main", "article"})
        and not piece.place.inherited & (_NEVER | _APART)
        and not _is_navigation(piece)
        and not _is_small_print(piece)
    ]
    return inside if sum(piece.words for piece in inside) < MANY_WORDS else []


def _all_there_is(pieces: Sequence[Piece]) -> list[Piece]:
    """What a page says that says hardly anything, beside its menus."""
    said = [
        piece
        for piece in pieces
        if not piece.place.inherited & (_NEVER | _APART)
        and piece.link_words * 2 < piece.words
        and not _is_navigation(piece)
        and not _is_small_print(piece)
    ]
    return said if sum(piece.words for piece in said) < MANY_WORDS else []


def _prose(pieces: Sequence[Piece]) -> list[Piece]:
    """The sentences of a page whose shape the network does not know: what is written out is not nothing."""
    return [
        piece
        for piece in pieces
        if piece.kind == "paragraph"
        and piece.words >= _SENTENCE_WORDS
        and piece.link_words * 2 < piece.words
        and not piece.place.inherited & (_NEVER | _APART)
        and not _is_navigation(piece)
    ]


def _with_neighbours(
    pieces: Sequence[Piece], likelihood: NDArray[np.float32], chosen: Sequence[Piece]
) -> Sequence[Piece]:
    """The chosen pieces, and doubtful sentences of the same box next to two of them: a text has a first and a last."""
    known = {id(piece) for piece in chosen}
    boxes = Counter(id(piece.place.parent) for piece in chosen if piece.kind == "paragraph")
    kept = [
        id(piece) in known
        or (
            likely >= THRESHOLD / 2
            and piece.kind == "paragraph"
            and piece.words >= _SENTENCE_WORDS
            and piece.link_words * 2 < piece.words
            and not piece.place.inherited & (_NEVER | _APART)
            and boxes[id(piece.place.parent)] > 1
        )
        for piece, likely in zip(pieces, likelihood, strict=True)
    ]
    return [piece for piece, is_kept in zip(pieces, kept, strict=True) if is_kept]


def _is_navigation(piece: Piece) -> bool:
    return _is_within(piece, {"nav"}) or _leads_on(piece)


def _leads_on(piece: Piece) -> bool:
    """Whether this line is the way from page to page, as "Prev, Up, Home, Next", in a part named for it."""
    if piece.words > _SMALL_PRINT + _SENTENCE_WORDS or piece.link_words < 2 or not piece.place.inherited & _WAYS:  # noqa: PLR2004 - there and back
        return False
    parts = piece.cells or piece.text.split()
    return len({part.strip().lower() for part in parts} & _WAY_WORDS) > 1


def _is_within(piece: Piece, tags: AbstractSet[str]) -> bool:
    place: Place | None = piece.place
    while place is not None and place.tag not in tags:
        place = place.parent
    return place is not None


def _is_small_print(piece: Piece) -> bool:
    """Whether this is a crumb of the trail above the page, or the line of who owns it."""
    if piece.words > _SMALL_PRINT or piece.kind == "heading":
        return False
    return bool(piece.place.inherited & _TRAIL) or piece.text.lower().startswith(("\u00a9", "copyright", "(c) "))


def _announces(piece: Piece, under: Piece | None, likely: float) -> bool:
    """Whether an unlikely heading stands directly over something that is kept."""
    if piece.kind != "heading" or under is None or piece.place.inherited & _APART:
        return False
    return piece.level == 1 or likely >= THRESHOLD / 3


def _without_bare_headings(pieces: Sequence[Piece]) -> list[Piece]:
    """Leave out a heading at the very end: what it announced was left out."""
    end = len(pieces)
    while end > 1 and pieces[end - 1].kind == "heading" and pieces[end - 1].level > 1:
        end -= 1
    return list(pieces[:end])


@dataclass(frozen=True, slots=True)
class _Networks:
    """Several small networks of one shape, whose judgements are averaged.

    Each has one hidden layer over a piece's own features, and one over five neighbouring pieces.
    """

    mean: Matrix
    scale: Matrix
    inner: Matrix
    inner_bias: Matrix
    around: Matrix
    around_bias: Matrix
    outer: Matrix
    outer_bias: Matrix

    def judge(self, features: Matrix) -> NDArray[np.float32]:
        """How likely each row is main text."""
        scaled = np.clip((features - self.mean) * self.scale, -_FAR, _FAR)
        count, reach = len(scaled), self.around.shape[1]
        total = np.zeros(count, dtype=np.float32)
        for number in range(len(self.inner)):
            padded = np.zeros((count + reach - 1, self.inner.shape[2]), dtype=np.float32)
            hidden = padded[reach // 2 : reach // 2 + count]
            np.maximum(scaled @ self.inner[number] + self.inner_bias[number], 0, out=hidden)
            windows = np.hstack([padded[step : step + count] for step in range(reach)])
            near = windows @ self.around[number].reshape(windows.shape[1], -1)
            context = np.maximum(near + self.around_bias[number], 0)
            score = np.hstack((hidden, context)) @ self.outer[number] + self.outer_bias[number]
            total += 1 / (1 + np.exp(-np.clip(score, -30, 30)))
        return (total / len(self.inner)).astype(np.float32)


@cache
def _networks(weights: Path | None) -> _Networks:
    stored = weights or files("pipeline.stages.extract") / "selection.npz"
    with stored.open("rb") as opened, np.load(opened) as arrays:
        return _Networks(**{name: arrays[name].astype(np.float32) for name in arrays.files})
