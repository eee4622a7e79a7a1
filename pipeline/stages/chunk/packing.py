"""Packs units into chunks so that an edit moves only the borders beside it.

Each border has a strength: its rank, then a hash of the words after it. A border is cut exactly when
the stretch between its nearest stronger neighbours is too long for one chunk. Whether it is cut depends on nothing
outside that stretch, so borders further away stay where they are. The stretches that remain, at most
two chunks long, are halved where that comes out most even.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from zlib import crc32

from pipeline.stages.chunk.units import Rank, Unit

_KEY_CHARACTERS = 24
_MIX = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


class Packing:
    """The borders of one page, and which of them are cut."""

    def __init__(
        self, text: str, units: Sequence[Unit], *, weights: Sequence[int], limits: Sequence[int], merge: int
    ) -> None:
        """Weigh every stretch by its sums.

        Args:
            text: The page's Markdown.
            units: Its units in order.
            weights: The tokens of each unit.
            limits: The tokens free beside headings and frame at each unit.
            merge: The most tokens of several sections that share a chunk.
        """
        self._contexts = [unit.is_context for unit in units]
        self._ranks = [int(unit.rank) for unit in units]
        self._sums = list(accumulate(weights, initial=0))
        self._strengths = _strengths(units, text)
        narrow = [limits[0], *(min(pair) for pair in pairwise(limits))]
        self._limits = [
            min(limit, merge) if unit.opens_section else limit for unit, limit in zip(units, narrow, strict=True)
        ]

    def groups(self) -> Iterator[tuple[int, int]]:
        """Ranges `[first, last)` of units, in order, one for each chunk."""
        for first, last in pairwise([0, *self._cuts(), len(self._ranks)]):
            yield from self._halves(first, last)

    def _weight(self, first: int, last: int, rank: int) -> int:
        """Tokens of the units; the headings over all of them stand in the path instead."""
        at = first
        while at < last and self._contexts[at] and (at > first or self._ranks[at] > rank):
            at += 1
        return self._sums[last] - self._sums[at]

    def _cuts(self) -> list[int]:
        """The borders whose stretch, up to a stronger border on either side, is too long."""
        count, strengths = len(self._ranks), self._strengths
        before, after = [0] * count, [count] * count
        open_borders: list[int] = []
        for border in range(1, count):
            while open_borders and strengths[open_borders[-1]] < strengths[border]:
                after[open_borders.pop()] = border
            before[border] = open_borders[-1] if open_borders else 0
            open_borders.append(border)
        return [border for border in range(1, count) if self._is_cut(border, before[border], after[border])]

    def _is_cut(self, border: int, before: int, after: int) -> bool:
        rank = self._ranks[border]
        factor = 1 if rank > Rank.BLOCK else 2
        return self._weight(before, after, rank) > factor * self._limits[border]

    def _halves(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The stretch; where it is too long, two chunks as even as can be; where two are not enough, more."""
        waiting = [(first, last)]
        while waiting:
            start, stop = waiting.pop()
            if self._fits(start, stop):
                yield start, stop
                continue
            middle = (self._sums[start] + self._sums[stop]) / 2
            top = max(self._ranks[start + 1 : stop])
            strongest = [border for border in range(start + 1, stop) if self._ranks[border] == top]
            even = sorted(strongest, key=lambda border: abs(self._sums[border] - middle))
            cut = next((one for one in even if self._fits(start, one) and self._fits(one, stop)), None)
            if cut is None:
                cut = max(strongest, key=lambda border: self._strengths[border])
            waiting += [(cut, stop), (start, cut)]

    def _fits(self, start: int, stop: int) -> bool:
        """Whether the units make one chunk; a single unit always does."""
        if stop - start == 1:
            return True
        return self._weight(start, stop, max(self._ranks[start + 1 : stop])) <= min(self._limits[start + 1 : stop])


def _strengths(units: Sequence[Unit], text: str) -> list[tuple[int, int]]:
    """A rank and a hash for the border before each unit. Equal beginnings in a section differ by their ordinal."""
    seen: Counter[tuple[int, str]] = Counter()
    strengths = []
    for unit in units:
        key = (unit.section, text[unit.start : min(unit.end, unit.start + _KEY_CHARACTERS)])
        seen[key] += 1
        strengths.append((int(unit.rank), _hash(key[1], seen[key])))
    return strengths


def _hash(words: str, ordinal: int) -> int:
    """A 64-bit hash, the same on every machine (the finaliser of SplitMix64 over a CRC)."""
    value = (crc32(words.encode(errors="surrogatepass")) + ordinal * _MIX) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
