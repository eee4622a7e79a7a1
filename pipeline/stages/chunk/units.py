"""Tears a page into units: the smallest pieces a chunk is packed from, and how strongly each border parts them."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from pipeline.stages.chunk.blocks import Block, Kind, Line, is_item, read_lines

_STOPS = r".!?\u2026\u061f\u0964\u06d4"  # with the ellipsis, and the stops of Arabic, Hindi and Urdu
_SENTENCE_END = re.compile(
    rf"(?<![{_STOPS}])[{_STOPS}]++[\"'\u201d\u2019)\]]*+\s++"  # scripts that put a space after a sentence
    r"|[\u3002\uff01\uff1f\uff61]++[\u300d\u300f\u201d\uff09]*+"  # scripts that do not
)
_SPACE = re.compile(r"\s++")
_CHARACTERS_PER_TOKEN = 16
"""A text counts at least one token for so many characters: a giant word is one unknown token to some models."""


class Rank(IntEnum):
    """How strongly a border parts two units. A stronger border is cut before a weaker one.

    A heading's border is `HEADING` less its level. `LEAD` holds a heading to the text under it,
    and "as follows:" to what follows.
    """

    PAGE = 110
    HEADING = 100
    BLOCK = 80
    ITEM = 70
    ROW = 60
    STANZA = 55
    LINE = 50
    SENTENCE = 40
    WORD = 30
    CHARACTER = 20
    LEAD = 0


Span = tuple[int, int, int]
"""Start, end, and the rank of the border before it."""

Level = tuple[re.Pattern[str], int]
_LEVELS: tuple[Level, ...] = ((_SENTENCE_END, Rank.SENTENCE), (_SPACE, Rank.WORD))


@dataclass(frozen=True, slots=True)
class Frame:
    """What each part of a torn table or code fence repeats, so that it reads by itself."""

    start: int
    end: int
    prefix: str
    suffix: str
    cost: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece `[start, end)` of the Markdown that is not torn further; `rank` is of the border before it.

    `is_context` marks a heading that its section's path says in full.
    """

    start: int
    end: int
    rank: int
    section: int
    is_context: bool = False
    frame: Frame | None = None

    @property
    def opens_section(self) -> bool:
        """Whether the border before this unit parts two sections."""
        return self.rank > Rank.BLOCK


class Ruler:
    """Measures any span of one text in tokens, from one pass of the tokenizer."""

    def __init__(self, text: str, offsets: Sequence[tuple[int, int]]) -> None:
        """Keep where each token of `text` begins."""
        self.text = text
        self.starts = [start for start, _ in offsets]

    def weigh(self, start: int, end: int) -> int:
        """Tokens that begin inside `[start, end)`; see `_CHARACTERS_PER_TOKEN` for the least."""
        tokens = bisect_left(self.starts, end) - bisect_left(self.starts, start)
        return max(tokens, -(-(end - start) // _CHARACTERS_PER_TOKEN))

    def before(self, end: int, limit: int) -> int:
        """Where the `limit` tokens before `end` begin."""
        at = bisect_left(self.starts, end) - limit
        by_tokens = self.starts[at] if 0 <= at < len(self.starts) else 0
        return max(0, by_tokens, end - limit * _CHARACTERS_PER_TOKEN)

    def reach(self, start: int, limit: int) -> int:
        """The end of the longest span from `start` that weighs at most `limit` tokens, at least one character."""
        at = bisect_left(self.starts, start) + limit
        by_tokens = self.starts[at] if at < len(self.starts) else len(self.text)
        end = max(start + 1, min(by_tokens, start + limit * _CHARACTERS_PER_TOKEN))
        back = end
        while back > start + 1 and end - back < _CHARACTERS_PER_TOKEN and _joins(self.text, back):
            back -= 1
        return back if not _joins(self.text, back) else end


def _joins(text: str, at: int) -> bool:
    """Whether a cut before this character would tear what a reader sees as one sign."""
    return at < len(text) and (
        unicodedata.combining(text[at]) != 0 or text[at] in "\u200d\ufe0f" or text[at - 1] == "\u200d"
    )


def tear(
    block: Block, ruler: Ruler, *, limit: int, section: int, rank: int, is_context: bool = False
) -> Iterator[Unit]:
    """The block's units: itself where it weighs at most `limit` tokens, else its parts, none heavier."""
    if ruler.weigh(block.start, block.end) <= limit:
        yield from _trimmed(ruler.text, block.start, block.end, rank, section, is_context=is_context)
        return
    frame = _frame(block, ruler, limit)
    within = limit - frame.cost if frame else limit
    for start, end, inner in _parts(block, ruler, within):
        yield from _trimmed(
            ruler.text, start, end, rank if start == block.start else inner, section, is_context=is_context, frame=frame
        )


def _trimmed(
    text: str, start: int, end: int, rank: int, section: int, *, is_context: bool, frame: Frame | None = None
) -> Iterator[Unit]:
    span = text[start:end]
    end -= len(span) - len(span.rstrip())
    start += len(span) - len(span.lstrip())
    if start < end:
        yield Unit(start, end, rank, section, is_context=is_context, frame=frame)


def _frame(block: Block, ruler: Ruler, limit: int) -> Frame | None:
    """A table repeats its header, a code fence its marks, unless they would take over a third."""
    lines = ruler.text[block.start : block.end].split("\n", 2)
    if block.kind is Kind.TABLE:
        prefix, suffix = "\n".join(lines[:2]) + "\n", ""
    elif block.kind is Kind.CODE:
        prefix = lines[0] + "\n"
        mark = lines[0].strip()
        suffix = "\n" + mark[: len(mark) - len(mark.lstrip(mark[0]))]
    else:
        return None
    cost = ruler.weigh(block.start, block.start + len(prefix)) + len(suffix)
    return Frame(block.start, block.end, prefix, suffix, cost) if cost * 3 <= limit else None


def _parts(block: Block, ruler: Ruler, limit: int) -> Iterator[Span]:
    """Spans of the block with the rank of the border before each: lines, and what is finer where a line is too long."""
    starts = _line_borders(block, read_lines(ruler.text, block.start, block.end))
    ends = [start for start, _ in starts[1:]] + [block.end]
    for (start, rank), end in zip(starts, ends, strict=True):
        yield from _finer((start, end, rank), ruler, limit)


def _line_borders(block: Block, lines: list[Line]) -> list[tuple[int, int]]:
    """Where the block's lines, rows or items begin, and how strong each border is."""
    borders: list[tuple[int, int]] = []
    after_blank = False
    for number, line in enumerate(lines):
        is_rule = block.kind is Kind.TABLE and number == 1
        if not line.is_blank and not is_rule:
            rank = _line_rank(block.kind, line, after_blank=after_blank)
            borders.append((line.start, Rank.LEAD if _is_held(block, lines, number) else rank))
        after_blank = line.is_blank
    return borders


def _is_held(block: Block, lines: list[Line], number: int) -> bool:
    """A header stays with its first row, a fence's marks with the code beside them."""
    if block.kind is Kind.TABLE:
        return number == 2  # noqa: PLR2004 - header, rule, first row
    return block.kind is Kind.CODE and number in (1, len(lines) - 1)


def _line_rank(kind: Kind, line: Line, *, after_blank: bool) -> int:
    if kind is Kind.LIST and is_item(line):
        return Rank.ITEM - min(line.indent // 2, 9)
    if kind is Kind.TABLE:
        return Rank.ROW
    return Rank.STANZA if after_blank else Rank.LINE


def _finer(span: Span, ruler: Ruler, limit: int, levels: tuple[Level, ...] = _LEVELS) -> Iterator[Span]:
    """The span itself where it fits, else its sentences, else their words, else runs of characters."""
    start, end, rank = span
    if ruler.weigh(start, end) <= limit:
        yield span
    elif not levels:
        yield from _runs(span, ruler, limit)
    else:
        (pattern, below), *finer = levels
        cuts = [start, *(found.end() for found in pattern.finditer(ruler.text, start, end) if found.end() < end), end]
        for left, right in pairwise(cuts):
            yield from _finer((left, right, rank if left == start else below), ruler, limit, tuple(finer))


def _runs(span: Span, ruler: Ruler, limit: int) -> Iterator[Span]:
    """Runs of characters, cut where tokens begin; two tokens are left free for what a torn word becomes."""
    start, end, rank = span
    at = start
    while at < end:
        stop = min(end, ruler.reach(at, max(1, limit - 2)))
        yield at, stop, rank if at == start else Rank.CHARACTER
        at = stop
