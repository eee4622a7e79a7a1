"""Makes headings, paragraphs, lists and code of the lines of a PDF document, which knows none of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.model import Dropped
from pipeline.stages.extract.document_lines import Line
from pipeline.stages.extract.pieces import Piece, Place

_LARGER = 1.12  # times the body's letters: a heading
_SAME = 0.7  # points of size between lines of one paragraph
_GAP = 0.75  # times the letters' height: more room between two lines parts them
_LONGEST_HEADING = 180  # characters
_LONGEST_BOLD = 100
_LEVELS = 6
_REPEATED_PAGES = 3
_REPEATED_SHARE = 0.4
_EDGE_LINES = 2
_COUNTED_PAGES = 2
_Shape = tuple[str, int]
"""A line without its numbers, and its size: a title is larger than the page head that repeats it."""

_NAME = re.compile(r"[^\W\d_]{3}")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"(?:page\s+|seite\s+|\W*)(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von|de)\s*\d{1,4})?\W*", re.IGNORECASE
)
_LEADER = re.compile(r"(?:\.\s?){4,}\s*(?:\d+|[ivxlc]+)?$")
_BULLET = re.compile(r"([\u2022\u25e6\u25aa\u25cf\u25cb\u2023\u2043\u00b7\u2013*-]|\uf0b7)\s+(?=\S)")
_NUMBERED = re.compile(r"(\d{1,3}[.)]|\(?[a-z]\))\s+(?=\S)")
_ENDS = (".", "!", "?", ":", "\u3002", "\u2026", ")")
_NO_HEADING = (".", ",", ";")


@dataclass(frozen=True, slots=True)
class Layout:
    """The pieces of a document in order, and the lines that only repeat."""

    pieces: tuple[Piece, ...]
    dropped: tuple[Dropped, ...]

    @classmethod
    def of(cls, pages: Sequence[Sequence[Line]]) -> Self:
        """Tell what each line is by its size, weight, place and first sign."""
        repeated = _repeated(pages)
        body = _body_size(pages)
        sizes = _heading_sizes(pages, body)
        builder = _Builder(body, sizes)
        dropped: dict[str, None] = {}
        for lines in pages:
            for place, line in enumerate(lines):
                is_edge = place < _EDGE_LINES or place >= len(lines) - _EDGE_LINES
                if is_edge and (_shape(line) in repeated or (_PAGE_NUMBER.fullmatch(line.text) and len(lines) > 1)):
                    dropped[line.text] = None
                elif line.text and not _LEADER.search(line.text[-200:]):
                    builder.add(line)
            builder.turn()
        return cls(tuple(builder.finish()), tuple(Dropped("repeated on its pages", text) for text in dropped))


class _Builder:
    """Joins lines as long as they belong together."""

    def __init__(self, body: float, sizes: Sequence[float]) -> None:
        self._body = body
        self._sizes = sizes
        self._pieces: list[Piece] = []
        self._kind = ""
        self._level = 0
        self._marker = ""
        self._open: list[Line] = []
        self._has_turned = False

    def add(self, line: Line) -> None:
        """Take the next line."""
        kind, level, marker, text = self._judge(line)
        if not self._continues(line, kind, level, marker):
            self._close()
            self._kind, self._level, self._marker = kind, level, marker
        self._open.append(line if text == line.text else _with_text(line, text))
        self._has_turned = False

    def turn(self) -> None:
        """A page ends."""
        self._has_turned = True

    def finish(self) -> Iterator[Piece]:
        """Everything, in order."""
        self._close()
        yield from self._pieces

    def _judge(self, line: Line) -> tuple[str, int, str, str]:
        """What a line is by itself: kind, level, marker, and its text without the marker."""
        if line.is_fixed:
            return "code", 0, "", line.text
        level = self._heading_level(line)
        if level:
            return "heading", level, "", line.text
        bullet = _BULLET.match(line.text)
        if bullet:
            return "item", 1, "-", line.text[bullet.end() :]
        number = _NUMBERED.match(line.text)
        if number:
            marker = number.group(1) if number.group(1)[0].isdigit() else "-"
            return "item", 1, marker, line.text[number.end() :] if marker != "-" else line.text
        return "paragraph", 0, "", line.text

    def _heading_level(self, line: Line) -> int:
        if line.text.endswith(_NO_HEADING) or not any(letter.isalpha() for letter in line.text):
            return 0
        larger = [place for place, size in enumerate(self._sizes, 1) if abs(line.size - size) < _SAME]
        if larger and len(line.text) <= _LONGEST_HEADING:
            return min(larger[0], _LEVELS)
        is_bold = line.is_bold and line.size >= self._body - _SAME and len(line.text) <= _LONGEST_BOLD
        stands_alone = not self._open or self._has_turned or self._is_apart(line)
        return min(len(self._sizes) + 1, _LEVELS) if is_bold and stands_alone else 0

    def _continues(self, line: Line, kind: str, level: int, marker: str) -> bool:
        """Whether a line goes on with the piece before it."""
        if not self._open or marker:
            return False
        before = self._open[-1]
        if kind == "paragraph" and self._kind == "item":
            return not self._has_turned and not self._is_apart(line) and line.left >= self._open[0].left - 1
        if kind != self._kind or level != self._level:
            return False
        if self._has_turned:
            return kind == "paragraph" and line.text[:1].islower() and not before.text.endswith(_ENDS)
        if kind == "code":
            return True
        return not self._is_apart(line) and abs(line.size - before.size) < _SAME + (kind == "paragraph")

    def _is_apart(self, line: Line) -> bool:
        """Whether there is room between a line and the one before, or it stands elsewhere on the page."""
        before = self._open[-1]
        return before.bottom - line.top > _GAP * max(before.size, 1.0) or line.bottom > before.top

    def _close(self) -> None:
        if self._open:
            text = _joined(self._open) if self._kind != "code" else "\n".join(line.text for line in self._open)
            kind = self._kind
            place = Place("page", 0, None, 0)
            words = len(text.split())
            self._pieces.append(Piece(kind, text, place, words, 0, level=self._level, marker=self._marker))
        self._open = []


def _joined(lines: Sequence[Line]) -> str:
    """Lines of one paragraph as one text; a word that was broken at a line's end is whole again."""
    text = ""
    for line in lines:
        broken = text.endswith("-") and len(text) > 1 and text[-2].isalpha() and line.text[:1].islower()
        if text and not broken:
            text += " "
        text = (text[:-1] if broken else text) + line.text + ("-" if line.is_hyphenated else "")
    return text


def _with_text(line: Line, text: str) -> Line:
    return Line(
        text, line.size, line.left, line.right, line.top, line.bottom, line.is_bold, line.is_fixed, line.is_hyphenated
    )


def _body_size(pages: Sequence[Sequence[Line]]) -> float:
    """The size most characters have."""
    counts: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            counts[line.size] += 0 if line.is_fixed else len(line.text)
    return max(counts, key=lambda size: (counts[size], size)) if counts else 0.0


def _heading_sizes(pages: Sequence[Sequence[Line]], body: float) -> list[float]:
    """The sizes of headings, largest first, those alike taken as one."""
    larger = sorted({line.size for lines in pages for line in lines if line.size >= body * _LARGER}, reverse=True)
    kept: list[float] = []
    for size in larger:
        if not kept or kept[-1] - size >= _SAME:
            kept.append(size)
    return kept


def _repeated(pages: Sequence[Sequence[Line]]) -> frozenset[_Shape]:
    """What stands at the top or bottom of many pages, whatever its numbers; of few, if it counts them."""
    counts: Counter[_Shape] = Counter()
    for lines in pages:
        edges = [*lines[:_EDGE_LINES], *lines[-_EDGE_LINES:]]
        counts.update({_shape(line) for line in edges if _NAME.search(line.text)})
    least = max(_REPEATED_PAGES, _REPEATED_SHARE * len(pages))
    return frozenset(
        shape
        for shape, count in counts.items()
        if count >= least or (count >= _COUNTED_PAGES and shape[0].startswith("#") != shape[0].endswith("#"))
    )


def _shape(line: Line) -> _Shape:
    return _DIGITS.sub("#", line.text), round(line.size)
