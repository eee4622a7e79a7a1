"""Reads Markdown into blocks: where each heading, paragraph, list, table, code fence and quote stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_MARKS = frozenset("#>`~|-*+0123456789")
_LINK = re.compile(r"\[([^\[\]]{1,300})\]\([^()\s]{0,2000}\)")


class Kind(Enum):
    """What a block of Markdown is."""

    HEADING = auto()
    PARAGRAPH = auto()
    LIST = auto()
    TABLE = auto()
    CODE = auto()
    QUOTE = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """One line: character offsets into the Markdown, without its line end, and its text."""

    start: int
    end: int
    text: str

    @property
    def is_blank(self) -> bool:
        """Whether the line shows nothing."""
        return not self.text or self.text.isspace()

    @property
    def indent(self) -> int:
        """Columns of white space before the text; a tab counts as four."""
        lead = self.text[: len(self.text) - len(self.text.lstrip())]
        return len(lead.expandtabs(4))


@dataclass(frozen=True, slots=True)
class Block:
    """A block and the offsets `[start, end)` of its lines; `level` is a heading's, 1 to 6."""

    kind: Kind
    start: int
    end: int
    level: int = 0


def read_lines(markdown: str, start: int = 0, end: int | None = None) -> list[Line]:
    """The lines of `markdown[start:end]`, with their offsets."""
    lines = []
    at = start
    for text in markdown[start:end].split("\n"):
        lines.append(Line(at, at + len(text), text))
        at += len(text) + 1
    return lines


def is_item(line: Line) -> bool:
    """Whether a list item begins here."""
    return _ITEM.match(line.text) is not None


def heading_text(source: str) -> str:
    """A heading's words, without its number signs and inline marks."""
    words = source.strip().lstrip("#").strip()
    closed = words.rstrip("#")
    if closed != words and (not closed or closed[-1].isspace()):
        words = closed
    words = _LINK.sub(r"\1", words).replace("**", "").replace("`", "")
    return " ".join(words.split())


def read_blocks(markdown: str) -> Iterator[Block]:
    """The blocks in order. Together they hold every line that is not blank, each once."""
    lines = read_lines(markdown)
    at = 0
    while at < len(lines):
        if lines[at].is_blank:
            at += 1
            continue
        kind = _kind(lines, at)
        stop = _end(kind, lines, at)
        yield Block(kind, lines[at].start, lines[stop - 1].end, _level(lines[at]) if kind is Kind.HEADING else 0)
        at = stop


def _level(line: Line) -> int:
    found = _HEADING.match(line.text)
    return len(found.group(1)) if found else 0


def _kind(lines: list[Line], at: int) -> Kind:
    """What begins at line `at`."""
    line = lines[at]
    first = line.text.lstrip()[:1]
    if first not in _MARKS:
        return Kind.TABLE if _is_table(lines, at) else Kind.PARAGRAPH
    if first == "#":
        return Kind.HEADING if _level(line) else Kind.PARAGRAPH
    if first == ">":
        return Kind.QUOTE
    if _FENCE.match(line.text):
        return Kind.CODE
    if _is_table(lines, at):
        return Kind.TABLE
    return Kind.LIST if is_item(line) else Kind.PARAGRAPH


def _end(kind: Kind, lines: list[Line], at: int) -> int:
    """The line after the block that begins at line `at`."""
    if kind is Kind.HEADING:
        return at + 1
    if kind is Kind.CODE:
        return _end_of_fence(lines, at)
    if kind is Kind.LIST:
        return _end_of_list(lines, at)
    stop = at + 1
    while stop < len(lines) and not lines[stop].is_blank and _goes_on(kind, lines, stop):
        stop += 1
    return stop


def _goes_on(kind: Kind, lines: list[Line], at: int) -> bool:
    if kind is Kind.TABLE:
        return "|" in lines[at].text
    return _kind(lines, at) is kind


def _is_table(lines: list[Line], at: int) -> bool:
    """A row with bars above a line of bars and dashes."""
    if at + 1 >= len(lines) or "|" not in lines[at].text:
        return False
    rule = lines[at + 1].text
    return "-" in rule and "|" in rule and not rule.strip("|-: \t\r")


def _end_of_fence(lines: list[Line], at: int) -> int:
    """After the closing fence, or the end of the page where none closes it."""
    opening = lines[at].text.strip()
    mark = opening[: len(opening) - len(opening.lstrip(opening[0]))]
    for stop in range(at + 1, len(lines)):
        text = lines[stop].text.strip()
        if text.startswith(mark) and not text.strip(mark[0]):
            return stop + 1
    return len(lines)


def _end_of_list(lines: list[Line], at: int) -> int:
    """A list goes on through blank lines as long as items or indented lines follow."""
    stop = at + 1
    while stop < len(lines):
        line = lines[stop]
        if line.is_blank:
            after = next((later for later in range(stop, len(lines)) if not lines[later].is_blank), len(lines))
            if after == len(lines) or not (is_item(lines[after]) or lines[after].indent >= 2):  # noqa: PLR2004 - two columns continue an item
                return stop
            stop = after
        elif _level(line) or (line.indent == 0 and _FENCE.match(line.text)):
            return stop
        else:
            stop += 1
    return stop
