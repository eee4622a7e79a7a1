"""Describes the containers around each piece of a page in numbers: their text and links, how near the title."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.stages.extract.pieces import Hint, Piece, Place

AROUND = 5
"""Containers looked at: a piece's own, and those around it."""

PROSE_WORDS = 12
"""A piece of so many words, less than half of them links, is about a sentence."""

_HINTS = len(Hint)
_DENSE_WORDS = 8
_DENSE_REACH = 4
_DENSE_SHARE = 0.6
_OUTERMOST_STEPS = 2.0

Matrix = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Containers:
    """The containers of one page's pieces, each numbered after the one around it."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """Number every container that holds a piece."""
        self.places: list[Place] = []
        self._parents: list[int] = []
        self._number: dict[int, int] = {}
        self.own = np.array([self._enter(piece.place) for piece in pieces], dtype=np.int64)
        self._pieces = pieces
        self._total = sum(piece.words for piece in pieces) or 1

    def _enter(self, place: Place) -> int:
        number = self._number.get(id(place))
        if number is None:
            parent = self._enter(place.parent) if place.parent is not None else -1
            number = self._number[id(place)] = len(self.places)
            self.places.append(place)
            self._parents.append(parent if parent >= 0 else number)
        return number

    def around(self) -> Numbers:
        """Numbers of each piece's containers, innermost first, shape `(pieces, AROUND)`; the outermost repeats."""
        parents = np.array(self._parents, dtype=np.int64)
        columns = [self.own]
        for _ in range(AROUND - 1):
            columns.append(parents[columns[-1]])
        return np.stack(columns, axis=1)

    def describe(self) -> Matrix:
        """One row a piece: its containers', how deep it stands, and how near the title and the densest text."""
        rows = self._rows()[self.around()].reshape(len(self.own), -1)
        depths = np.array([min(place.depth, 40) / 20 for place in self.places], dtype=np.float32)
        title = next((piece.place for piece in self._pieces if piece.kind == "heading" and piece.level == 1), None)
        near = np.hstack((depths[:, None], self._nearness(title), self._nearness(self._densest())))
        return np.hstack((rows, near[self.own]))

    def hints(self) -> Matrix:
        """What names say about all places around each piece, and about the nearest two, one column a hint."""
        values = np.array(
            [
                (place.inherited, place.hints | (place.parent.hints if place.parent is not None else 0))
                for place in self.places
            ],
            dtype=np.int64,
        )
        bits = (values[:, :, None] >> np.arange(_HINTS)) & 1
        return bits.reshape(len(values), 2 * _HINTS).astype(np.float32)[self.own]

    def count_outermost(self, tag: str) -> int:
        """How many elements of this name stand in no other of the same name."""
        return len({found for found in self._outermost(tag) if found >= 0})

    def _outermost(self, tag: str) -> list[int]:
        found: list[int] = []
        for number, (place, parent) in enumerate(zip(self.places, self._parents, strict=True)):
            above = found[parent] if parent != number else -1
            found.append(above if above >= 0 or place.tag != tag else number)
        return found

    def _rows(self) -> Matrix:
        counts = np.array(
            [(place.words, place.link_words, place.pieces, place.prose, place.headings) for place in self.places],
            dtype=np.float64,
        )
        words, links, pieces, prose, headings = counts.T
        inside = np.maximum(pieces, 1)
        return np.stack(
            (
                links / np.maximum(words, 1),
                np.log1p(words) / 4,
                words / self._total,
                np.log1p(pieces) / 4,
                prose / inside,
                np.log1p(prose) / 4,
                headings / inside,
            ),
            axis=1,
        ).astype(np.float32)

    def _nearness(self, place: Place | None) -> Matrix:
        """How near each container is to `place`: steps up to a common one from both, and that one's share of words."""
        path: dict[int, int] = {}
        while place is not None:
            path[self._number[id(place)]] = len(path)
            place = place.parent
        rows: list[tuple[float, float, float]] = []
        common: list[tuple[int, int]] = []
        for number, parent in enumerate(self._parents):
            if number in path:
                common.append((0, number))
            elif parent == number:
                common.append((0, -1))
            else:
                steps, at = common[parent]
                common.append((steps + 1, at))
        for steps, at in common:
            if at < 0:
                rows.append((_OUTERMOST_STEPS, _OUTERMOST_STEPS, 1.0))
            else:
                rows.append((min(steps, 10) / 5, min(path[at], 10) / 5, self.places[at].words / self._total))
        return np.array(rows, dtype=np.float32)

    def _densest(self) -> Place | None:
        """The container with most prose directly in it."""
        scores: dict[int, float] = {}
        for piece, number in zip(self._pieces, self.own.tolist(), strict=True):
            if piece.words < _DENSE_WORDS or piece.link_words * 2 >= piece.words:
                continue
            weight = float(piece.words)
            for _ in range(_DENSE_REACH):
                scores[number] = scores.get(number, 0.0) + weight
                weight *= _DENSE_SHARE
                if self._parents[number] == number:
                    break
                number = self._parents[number]  # noqa: PLW2901 - a walk up from where the piece stands
        return self.places[max(scores, key=scores.__getitem__)] if scores else None
