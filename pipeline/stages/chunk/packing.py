"""Packs units into chunks so that an edit moves only the borders beside it.

Each border has a strength: its rank, then a hash of the words after it. A border is cut exactly when
the stretch between its nearest stronger neighbours is too long for one chunk. Whether it is cut depends on nothing
outside that stretch, so borders further away stay where they are. The stretches that remain, at most
two chunks long, are halved where that comes out most even.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from zlib import crc32

from pipeline.stages.chunk.units import Unit

_KEY_CHARACTERS = 24
_MIX = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Packing:
    """What packing needs to know of a page.

    `limits` are the tokens free beside the headings and frame at each unit; `merge` the most tokens
    that several sections under one heading share a chunk with.
    """

    units: Sequence[Unit]
    weights: Sequence[int]
    limits: Sequence[int]
    merge: int

    def groups(self, text: str) -> Iterator[tuple[int, int]]:
        """Ranges `[first, last)` of units, in order, one for each chunk."""
        sums = list(accumulate(self.weights, initial=0))
        edges = [0, *self._cuts(_strengths(self.units, text), sums), len(self.units)]
        for first, last in pairwise(edges):
            yield from self._halves(first, last, sums)

    def _weight(self, first: int, last: int, rank: int, sums: Sequence[int]) -> int:
        """Tokens of the units; the headings over all of them stand in the path instead."""
        at = first
        while at < last and self.units[at].is_context and (at > first or self.units[at].rank > rank):
            at += 1
        return sums[last] - sums[at]

    def _limit(self, border: int) -> int:
        limit = min(self.limits[border - 1], self.limits[border])
        return min(limit, self.merge) if self.units[border].opens_section else limit

    def _cuts(self, strengths: Sequence[tuple[int, int]], sums: Sequence[int]) -> list[int]:
        count = len(self.units)
        before, after = [0] * count, [count] * count
        open_borders: list[int] = []
        for border in range(1, count):
            while open_borders and strengths[open_borders[-1]] < strengths[border]:
                after[open_borders.pop()] = border
            before[border] = open_borders[-1] if open_borders else 0
            open_borders.append(border)
        return [border for border in range(1, count) if self._is_cut(border, before[border], after[border], sums)]

    def _is_cut(self, border: int, before: int, after: int, sums: Sequence[int]) -> bool:
        unit = self.units[border]
        factor = 1 if unit.opens_section else 2
        return self._weight(before, after, unit.rank, sums) > factor * self._limit(border)

    def _halves(self, first: int, last: int, sums: Sequence[int]) -> Iterator[tuple[int, int]]:
        """The stretch, or where it is too long its halves, cut at the most even of the strongest borders."""
        waiting = [(first, last)]
        while waiting:
            start, stop = waiting.pop()
            if stop - start == 1:
                yield start, stop
                continue
            top = max(unit.rank for unit in self.units[start + 1 : stop])
            middle = (sums[start] + sums[stop]) / 2
            strongest = [border for border in range(start + 1, stop) if self.units[border].rank == top]
            cut = min(strongest, key=lambda border: abs(sums[border] - middle))
            if self._weight(start, stop, top, sums) <= self._limit(cut):
                yield start, stop
            else:
                waiting += [(cut, stop), (start, cut)]


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
