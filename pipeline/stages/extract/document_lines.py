"""Reads the lines of a PDF document, page by page, with what they look like."""

from __future__ import annotations

import re
from ctypes import byref, c_int, c_uint, create_string_buffer
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.model import Dropped
from pipeline.stages.extract.invisible import strip_invisible
from pipeline.stages.extract.links import absolute

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

MAX_LINKS = 5_000
MAX_OBJECTS = 5_000
"""Of one page, looked through for what lies behind white text; on a page with more, white text counts as seen."""

_SMALLEST = 2.0  # points; smaller is not read by people
_WHITE = 245  # of 255 in each colour
_BOLD = 600
_FIXED_PITCH = 1
_HYPHENS = "\u0002\ufffe\uffff\u00ad"
_BROKEN_WORD = re.compile("[\u0002\ufffe\uffff]\\s*(?=\\w)")
_LIGATURES = {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb06": "st"}
_CLEAN = str.maketrans({**_LIGATURES, **{chr(code): " " for code in range(0x20) if code not in {2, 10, 13}}})
_BOLD_NAME = re.compile(rb"bold|black|heavy|demi|cmbx|medi", re.IGNORECASE)
_FIXED_NAME = re.compile(rb"mono|courier|consolas|cmtt|typewriter|menlo", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. `size` is the height of its letters in points; `top` counts up from the page's bottom."""

    text: str
    size: float
    left: float
    right: float
    top: float
    bottom: float
    is_bold: bool = False
    is_fixed: bool = False
    is_hyphenated: bool = False


@dataclass(slots=True)
class LineReader:
    """Collects the lines of a document's pages, the addresses they link to, and what nobody would see."""

    url: str
    pages: list[list[Line]] = field(default_factory=list)
    links: dict[str, None] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    characters: int = 0
    unread: int = 0

    def read(self, pdf: PdfDocument, number: int) -> None:
        """Read one page, counted from 0; one that is damaged counts as unread."""
        from pypdfium2 import PdfiumError  # noqa: PLC0415 - a child that reads no document does not load it

        try:
            page = pdf[number]
            text_page = page.get_textpage()
        except PdfiumError:
            self.unread += 1
            return
        try:
            self.pages.append(self._lines(page, text_page))
            self._collect_links(pdf, page)
        finally:
            text_page.close()
            page.close()

    def _lines(self, page: PdfPage, text_page: PdfTextPage) -> list[Line]:
        text = text_page.get_text_range()
        self.characters += len(text)
        sheet = _Sheet(page)
        lines = []
        start = 0
        for part in re.split(r"(\r?\n)", text):
            if part.strip():
                line = _line(text_page, part, start)
                hidden = sheet.why_hidden(text_page, line, start + len(part) // 2)
                if hidden is None:
                    lines.append(line)
                else:
                    self.dropped.append(Dropped(hidden, line.text))
            start += len(part)
        return lines

    def _collect_links(self, pdf: PdfDocument, page: PdfPage) -> None:
        from pypdfium2 import raw  # noqa: PLC0415 - as above

        position, link = c_int(0), raw.FPDF_LINK()
        while len(self.links) < MAX_LINKS and raw.FPDFLink_Enumerate(page, byref(position), byref(link)):
            action = raw.FPDFLink_GetAction(link)
            length = raw.FPDFAction_GetURIPath(pdf, action, None, 0) if action else 0
            if not 1 < length <= MAX_LINKS:
                continue
            room = create_string_buffer(length)
            raw.FPDFAction_GetURIPath(pdf, action, room, length)
            target = absolute(self.url, room.value.decode("utf-8", "replace"))
            if target is not None:
                self.links[target] = None


def _line(text_page: PdfTextPage, part: str, start: int) -> Line:
    """A line with the size of the character in its middle, and the room from its first to its last."""
    first = start + len(part) - len(part.lstrip())
    last = start + len(part.rstrip()) - 1
    middle = next(place for place in range((first + last) // 2, last + 1) if not part[place - start].isspace())
    left, right, look = (_box(text_page, place) for place in (first, last, middle))
    fonts = [_font(text_page, place) for place in (first, middle, last)]
    text, _ = strip_invisible(
        _BROKEN_WORD.sub("", part.translate(_CLEAN)).rstrip(_HYPHENS + "\r\n ").replace("\u0002", "-")
    )
    return Line(
        text=" ".join(text.split()),
        size=round(max(0.0, look[1] - look[3]), 1),
        left=left[0],
        right=right[2],
        top=look[1],
        bottom=look[3],
        is_bold=all(weight >= _BOLD or _BOLD_NAME.search(name) for name, _, weight in fonts),
        is_fixed=all(flags & _FIXED_PITCH or _FIXED_NAME.search(name) for name, flags, _ in fonts),
        is_hyphenated=part.rstrip()[-1] in _HYPHENS,
    )


def _box(text_page: PdfTextPage, place: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a character, with the room its font gives it."""
    from pypdfium2 import raw  # noqa: PLC0415 - as above

    box = raw.FS_RECTF()
    if not raw.FPDFText_GetLooseCharBox(text_page, _index(text_page, place), byref(box)):
        return (0.0, 0.0, 0.0, 0.0)
    return box.left, box.top, box.right, box.bottom


def _font(text_page: PdfTextPage, place: int) -> tuple[bytes, int, int]:
    """Name, flags and weight of a character's font."""
    from pypdfium2 import raw  # noqa: PLC0415 - as above

    index, flags, room = _index(text_page, place), c_int(0), create_string_buffer(128)
    raw.FPDFText_GetFontInfo(text_page, index, room, 128, byref(flags))
    return room.value, flags.value, raw.FPDFText_GetFontWeight(text_page, index)


def _index(text_page: PdfTextPage, place: int) -> int:
    """The number under which PDFium knows the character at a place of the text."""
    from pypdfium2 import raw  # noqa: PLC0415 - as above

    return int(raw.FPDFText_GetCharIndexFromTextIndex(text_page, place))


class _Sheet:
    """The paper of one page: its edges, and what is painted on it besides text."""

    def __init__(self, page: PdfPage) -> None:
        self._page = page
        self._edges: tuple[float, float, float, float] = page.get_cropbox()
        self._painted: list[tuple[float, float, float, float]] | None = None

    def why_hidden(self, text_page: PdfTextPage, line: Line, place: int) -> str | None:
        """Why nobody would read a line; None when they would."""
        if line.size < _SMALLEST:
            return "too small to read"
        left, bottom, right, top = self._edges
        x, y = (line.left + line.right) / 2, (line.top + line.bottom) / 2
        if not (left <= x <= right and bottom <= y <= top):
            return "off the page"
        red, green, blue, opacity = _colour(text_page, place)
        if opacity == 0:
            return "transparent"
        if min(red, green, blue) >= _WHITE and not self._is_painted(x, y):
            return "white on white"
        return None

    def _is_painted(self, x: float, y: float) -> bool:
        if self._painted is None:
            self._painted = self._look()
        return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in self._painted)

    def _look(self) -> list[tuple[float, float, float, float]]:
        from pypdfium2 import raw  # noqa: PLC0415 - as above

        found = []
        for count, one in enumerate(self._page.get_objects(max_depth=2)):
            if count >= MAX_OBJECTS:
                return [self._edges]
            if one.type != raw.FPDF_PAGEOBJ_TEXT:
                found.append(one.get_bounds())
        return found


def _colour(text_page: PdfTextPage, place: int) -> tuple[int, int, int, int]:
    """Red, green, blue and opacity of a character, 0 to 255."""
    from pypdfium2 import raw  # noqa: PLC0415 - as above

    parts: list[Any] = [c_uint(0) for _ in range(4)]
    if not raw.FPDFText_GetFillColor(text_page, _index(text_page, place), *map(byref, parts)):
        return 0, 0, 0, 255
    red, green, blue, opacity = (int(part.value) for part in parts)
    return red, green, blue, opacity
