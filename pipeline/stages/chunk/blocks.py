"""Reads Markdown into blocks: where each heading, paragraph, list, table, code fence and quote stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
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
        kind, stop = _block(lines, at)
        yield Block(kind, lines[at].start, lines[stop - 1].end, _level(lines[at]))
        at = stop


def _level(line: Line) -> int:
    found = _HEADING.match(line.text)
    return len(found.group(1)) if found else 0


def _block(lines: list[Line], at: int) -> tuple[Kind, int]:
    """What begins at line `at`, and the line after its last."""
    line = lines[at]
    if _level(line):
        return Kind.HEADING, at + 1
    if fence := _FENCE.match(line.text):
        return Kind.CODE, _end_of_fence(lines, at, fence.group(1))
    if _is_table(lines, at):
        return Kind.TABLE, _while(lines, at, lambda one: "|" in one.text)
    if is_item(line):
        return Kind.LIST, _end_of_list(lines, at)
    if line.text.lstrip().startswith(">"):
        return Kind.QUOTE, _while(lines, at, lambda one: one.text.lstrip().startswith(">"))
    stop = at + 1
    while stop < len(lines) and not lines[stop].is_blank and not _interrupts(lines, stop):
        stop += 1
    return Kind.PARAGRAPH, stop


def _interrupts(lines: list[Line], at: int) -> bool:
    line = lines[at]
    return bool(
        _level(line)
        or _FENCE.match(line.text)
        or is_item(line)
        or line.text.lstrip().startswith(">")
        or _is_table(lines, at)
    )


def _is_table(lines: list[Line], at: int) -> bool:
    """A row with bars above a line of bars and dashes."""
    if at + 1 >= len(lines) or "|" not in lines[at].text:
        return False
    rule = lines[at + 1].text
    return "-" in rule and "|" in rule and not rule.strip("|-: \t\r")


def _end_of_fence(lines: list[Line], at: int, mark: str) -> int:
    """After the closing fence, or the end of the page where none closes it."""
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


def _while(lines: list[Line], at: int, belongs: Callable[[Line], bool]) -> int:
    stop = at + 1
    while stop < len(lines) and not lines[stop].is_blank and belongs(lines[stop]):
        stop += 1
    return stop
