"""Reads a parsed page once, from top to bottom, into the pieces of text that a visitor can see."""

from __future__ import annotations

import re
from typing import Self

from lxml.etree import _Element as Element
from lxml.etree import iterwalk

from pipeline.model import Dropped
from pipeline.stages.extract.elements import APART, HEADINGS, INLINE, PARAGRAPHS, UNSEEN
from pipeline.stages.extract.invisible import strip_invisible
from pipeline.stages.extract.pieces import ROLE_HINTS, TAG_HINTS, Hint, Piece, Place, named_hints
from pipeline.stages.extract.tables import is_header_row, is_layout, rows_of, spanned
from pipeline.stages.extract.visibility import Visibility

_MAX_DEPTH = 200
_MAX_PIECES = 40_000
_MAX_EVIDENCE = 100
_EVIDENCE_LENGTH = 500
_COMMENT_WORDS = 4
_WIDE_WORD = 15
_FEW_WORDS = 50
_BESIDE = Hint.NAVIGATION | Hint.HEADER | Hint.FOOTER | Hint.ASIDE | Hint.DIALOG
_CODE_LANGUAGE = re.compile(r"(?:\blang(?:uage)?-|\bbrush:\s?|highlight-source-|\bsourceCode\s+)([\w+#.-]+)")
_GUTTER = re.compile(r"\b(?:lineno|linenos|linenodiv|line-?numbers?|gutter|blob-num)\b")


class Reading:
    """One reading of one page: its pieces in order, and the text it kept out."""

    def __init__(self, root: Element, *, with_noscript: bool = False) -> None:
        """Read the whole page below `root`, as a browser with scripts shows it or as one without."""
        self._unseen = UNSEEN - {"noscript"} if with_noscript else UNSEEN
        self.pieces: list[Piece] = []
        self.dropped: list[Dropped] = []
        self.hidden: list[Element] = []
        self.asks_password = False
        self._visibility = Visibility(root)
        self._buffer: list[str] = []
        self._link_words = 0
        self._place = Place("html", 0, None, 0)
        self._lists: list[_List] = []
        self._quote = 0
        self._link_depth = 0
        self._groups = 0
        self._in_cell = False
        self._in_code = False
        self._kind = "paragraph"
        self._level = 0
        body = root if root.tag == "body" else root.find("body")
        if body is not None:
            self._visit(body, 1)
            self._flush()

    @classmethod
    def of(cls, root: Element) -> Self:
        """Read a page; one that shows next to nothing without scripts is read by its `<noscript>`."""
        reading = cls(root)
        if reading.words < _FEW_WORDS and next(root.iter("noscript"), None) is not None:
            plain = cls(root, with_noscript=True)
            return plain if plain.words > 2 * reading.words else reading
        return reading

    @property
    def words(self) -> int:
        """Words of visible text."""
        return sum(piece.words for piece in self.pieces)

    def _visit(self, element: Element, depth: int) -> None:
        """Read one element and what is in it; the text after it belongs to its parent."""
        tag = element.tag
        if not isinstance(tag, str):
            self._comment(element)
            return
        if tag == "br":
            self._buffer.append("\n")
            return
        if tag in self._unseen:
            self._machines_only(element, tag)
            return
        reason = self._visibility.hidden_reason(element) if tag != "body" else None
        if reason:
            self._drop(reason, element)
            self.hidden.append(element)
        elif depth > _MAX_DEPTH:
            self._flatten(element)
        elif tag in INLINE or ("-" in tag and self._place.tag in PARAGRAPHS):
            self._inline(element, tag, depth)
        else:
            self._block(element, tag, depth)

    def _children(self, element: Element, depth: int) -> None:
        text = element.text
        if text:
            self._text(text)
        depth += 1
        for child in element:
            self._visit(child, depth)
            tail = child.tail
            if tail:
                self._text(tail)
            elif child.tag in APART and not self._in_code:
                self._buffer.append(" ")

    def _text(self, text: str) -> None:
        if self._link_depth:
            self._link_words += _count(text)
        self._buffer.append(text if self._in_code else text.replace("\n", " "))

    # --- inline ------------------------------------------------------------------------

    def _inline(self, element: Element, tag: str, depth: int) -> None:
        if tag == "a":
            self._link_depth += 1
            self._children(element, depth)
            self._link_depth -= 1
        elif tag == "button":
            self._button(element, depth)
        elif tag == "code" and not self._in_code and len(element) == 0:
            text = " ".join((element.text or "").split())
            if text:
                self._text(f"`{text}`" if "`" not in text else text)
        else:
            self._children(element, depth)

    def _button(self, element: Element, depth: int) -> None:
        """A button that opens something is a heading of sorts; any other is no text."""
        if self._place.tag in HEADINGS or self._place.tag in {"summary", "dt"}:
            self._children(element, depth)
        elif self._visibility.opens(element):
            self._flush()
            outer, self._kind = self._kind, "summary"
            self._children(element, depth)
            self._flush()
            self._kind = outer

    # --- blocks ------------------------------------------------------------------------

    def _block(self, element: Element, tag: str, depth: int) -> None:
        self._flush()
        outer = self._place, self._kind, self._level
        self._place = self._enter(element, tag, depth)
        if tag in HEADINGS:
            self._kind, self._level = "heading", HEADINGS[tag]
            self._children(element, depth)
            self._flush()
        elif tag in PARAGRAPHS:
            self._kind, self._level = PARAGRAPHS[tag], 0
            self._children(element, depth)
            self._flush()
        elif tag in {"ul", "ol", "menu"}:
            self._lists.append(_List(ordered=tag == "ol", number=_start(element)))
            self._children(element, depth)
            self._flush()
            self._lists.pop()
        elif tag == "li":
            self._item(element, depth)
        elif tag == "pre":
            self._code(element, depth)
        elif tag == "table" and not self._in_cell and not is_layout(element):
            self._table(element, depth)
        elif tag == "blockquote":
            self._quote += 1
            self._children(element, depth)
            self._flush()
            self._quote -= 1
        elif not (tag == "td" and _GUTTER.search(element.get("class", ""))):
            self._children(element, depth)
            self._flush()
        self._place, self._kind, self._level = outer

    def _enter(self, element: Element, tag: str, depth: int) -> Place:
        outer = self._place
        hints = TAG_HINTS.get(tag, 0)
        attributes = element.attrib
        if attributes:
            role = attributes.get("role")
            if role:
                hints |= ROLE_HINTS.get(role, 0)
            names = attributes.get("class", "")
            if "id" in attributes:
                names = f"{names} {attributes.get('id', '')}"
            if names and tag != "body":
                hints |= named_hints(names)
        return Place(tag, hints, outer, depth, outer.inherited | hints)

    def _item(self, element: Element, depth: int) -> None:
        if self._lists:
            self._lists[-1].begin()
        self._children(element, depth)
        self._flush()
        if self._lists:
            self._lists[-1].marked = True

    def _code(self, element: Element, depth: int) -> None:
        self._in_code = True
        self._children(element, depth)
        self._in_code = False
        code = "".join(self._buffer).expandtabs(4).rstrip()
        self._buffer.clear()
        code = "\n".join(line.rstrip() for line in code.split("\n")).lstrip("\n")
        if code.strip():
            self._add("code", self._seen(code), marker=_code_language(element))

    def _table(self, element: Element, depth: int) -> None:
        self._groups += 1
        group = self._groups
        for caption in element.iterchildren("caption"):
            self._visit(caption, depth + 1)
        carried: dict[int, tuple[int, str]] = {}
        self._in_cell = True
        for row in rows_of(element):
            if self._visibility.hidden_reason(row):
                self._drop("hidden row", row)
                continue
            cells = [(cell, self._cell(cell, depth + 1)) for cell in row if cell.tag in {"td", "th"}]
            texts = spanned(cells, carried)
            if any(texts):
                self._in_cell = False
                self._add(
                    "row", " ".join(filter(None, texts)), group=group, cells=tuple(texts), is_header=is_header_row(row)
                )
                self._in_cell = True
        self._in_cell = False

    def _cell(self, cell: Element, depth: int) -> str:
        reason = self._visibility.hidden_reason(cell)
        if reason:
            self._drop(reason, cell)
            return ""
        self._buffer.clear()
        self._children(cell, depth)
        text = self._seen(" ".join("".join(self._buffer).split()))
        self._buffer.clear()
        return text

    def _flatten(self, element: Element) -> None:
        """Read what is nested deeper than any real page as one run of text."""
        walk = iterwalk(element, events=("start", "end", "comment"))
        for event, inner in walk:
            if event == "start" and (inner.tag in self._unseen or self._visibility.hidden_reason(inner)):
                walk.skip_subtree()
            elif event == "start":
                self._text(inner.text or "")
            elif inner is not element:
                self._buffer.append(" ")
                self._text(inner.tail or "")

    # --- what comes out ----------------------------------------------------------------

    def _flush(self) -> None:
        """End the block that was being read, if it has any text."""
        buffer = self._buffer
        if not buffer:
            return
        if self._in_cell:
            buffer.append(" ")
            return
        text = "".join(buffer)
        buffer.clear()
        if "\n" in text:
            lines = [" ".join(line.split()) for line in text.split("\n")]
            text = (" " if self._kind == "heading" else "\n").join(filter(None, lines))
        else:
            text = " ".join(text.split())
        text = self._seen(text) if text else ""
        if text:
            self._add(self._kind, text, level=self._level)
        self._link_words = 0

    def _add(  # noqa: D417 - the rest are the piece's own fields
        self,
        kind: str,
        text: str,
        *,
        level: int = 0,
        marker: str = "",
        group: int = 0,
        cells: tuple[str, ...] = (),
        is_header: bool = False,
    ) -> None:
        """Append a piece here.

        Args:
            kind: The piece's kind; a paragraph that opens a list item becomes one.
            text: Its text.
        """
        indent = 0
        if self._lists and kind in {"paragraph", "code", "heading"}:
            current = self._lists[-1]
            if kind == "heading":
                current.flat = True
            if not current.flat:
                indent = len(self._lists)
                if not current.marked and kind == "paragraph":
                    kind, marker = "item", current.next_marker()
            current.marked = True
        if len(self.pieces) >= _MAX_PIECES:
            self._evidence("page too long", text)
            return
        if kind == "paragraph" and not marker and self._defines():
            marker = ":"
        words = _count(text)
        piece = Piece(
            kind=kind,
            text=text,
            place=self._place,
            words=words,
            link_words=min(words, self._link_words),
            level=level or indent,
            marker=marker,
            quote=self._quote,
            group=group,
            cells=cells,
            is_header=is_header,
        )
        self._link_words = 0
        self._place.count(piece)
        self.pieces.append(piece)

    def _defines(self) -> bool:
        """Whether a paragraph here is the first one of a definition."""
        place: Place | None = self._place
        while place is not None and place.tag in {"p", "div", "span"}:
            place = place.parent
        return place is not None and place.tag == "dd" and bool(self.pieces) and self.pieces[-1].kind == "term"

    def _seen(self, text: str) -> str:
        """The text without characters that print nothing; smuggled words become evidence."""
        clean, smuggled = strip_invisible(text)
        if smuggled:
            self._evidence("invisible characters", smuggled)
        return clean

    def _comment(self, element: Element) -> None:
        text = " ".join((element.text or "").split())
        if text.count(" ") >= _COMMENT_WORDS and not text.startswith(("[if", "<![")):
            self._evidence("comment", text)

    def _machines_only(self, element: Element, tag: str) -> None:
        """Keep as evidence what an element that is never shown says in words."""
        if tag in {"template", "noscript"} or (tag == "script" and element.get("type", "").startswith("text/plain")):
            self._drop(tag, element)
        elif tag == "input" and element.get("type", "").lower() == "password":
            is_seen = self._visibility.hidden_reason(element) is None
            self.asks_password |= is_seen and not self._place.inherited & _BESIDE
        elif tag == "input" and element.get("type", "").lower() == "hidden":
            value = " ".join(element.get("value", "").split())
            if value.count(" ") >= _COMMENT_WORDS:
                self._evidence("form value", value)

    def _drop(self, reason: str, element: Element) -> None:
        texts: list[str] = []
        length = 0
        for text in element.itertext():
            words = " ".join(str(text).split())
            if words:
                texts.append(words)
                length += len(words)
                if length > _EVIDENCE_LENGTH:
                    break
        if texts:
            self._evidence(reason, " ".join(texts))

    def _evidence(self, reason: str, text: str) -> None:
        if len(self.dropped) < _MAX_EVIDENCE:
            self.dropped.append(Dropped(reason, strip_invisible(text)[0][:_EVIDENCE_LENGTH]))


class _List:
    """A list being read: what marks its next item."""

    __slots__ = ("flat", "marked", "number", "ordered")

    def __init__(self, *, ordered: bool, number: int) -> None:
        self.ordered = ordered
        self.number = number
        self.marked = True
        self.flat = False

    def begin(self) -> None:
        """Start an item: its first block is marked, unless a heading comes first."""
        self.marked = False
        self.flat = False

    def next_marker(self) -> str:
        """The mark before the next item."""
        if not self.ordered:
            return "-"
        self.number += 1
        return f"{self.number - 1}."


def _start(element: Element) -> int:
    start = element.get("start", "1")
    return int(start) if start.isdecimal() and len(start) < 6 else 1  # noqa: PLR2004 - a longer one is no numbering


def _code_language(element: Element) -> str:
    around = [element, *element.iterchildren("code"), element.getparent()]
    for one in around:
        found = _CODE_LANGUAGE.search(one.get("class", "")) if one is not None else None
        if found:
            return found.group(1).lower()
    return ""


def _count(text: str) -> int:
    """Words in a text; scripts written without spaces count one for every two characters."""
    words = len(text.split())
    return words if len(text) < _WIDE_WORD * (words + 1) else len(text) // 2
