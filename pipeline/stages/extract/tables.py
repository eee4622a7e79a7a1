"""Tells tables of facts from tables that only lay out a page, and straightens their cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml.etree import _Element as Element

_BLOCKS = ("table", "h1", "h2", "h3", "pre", "form", "nav", "article", "section", "blockquote", "main")
_LONG_CELL = 600
_MAX_SPAN = 50

MAX_BLANKS = 200
"""Columns up to which cells over several columns or rows leave their blanks, and short rows are padded."""


def is_layout(table: Element) -> bool:
    """Whether a table only arranges the page: it holds blocks, or has no second row or column."""
    if table.get("role") in {"presentation", "none"}:
        return True
    if next(table.iterdescendants(*_BLOCKS), None) is not None:
        return True
    if next(table.iterdescendants("th", "thead"), None) is not None:
        return False
    widest = rows = 0
    for row in rows_of(table):
        rows += 1
        widest = max(widest, sum(1 for cell in row if cell.tag in {"td", "th"}))
        if widest > 1 and rows > 1 and table.get("border") not in {None, "0"}:
            return False
    if widest < 2 or rows < 2:  # noqa: PLR2004 - one row or one column is no table
        return True
    return any(
        sum(len(text) for text in cell.itertext()) > _LONG_CELL or sum(1 for _ in cell.iterdescendants("p", "li")) > 3  # noqa: PLR2004 - more is a text
        for cell in table.iterdescendants("td")
    )


def rows_of(table: Element) -> Iterator[Element]:
    """The table's own rows, in order."""
    for part in table:
        if part.tag == "tr":
            yield part
        elif part.tag in {"thead", "tbody", "tfoot"}:
            yield from part.iterchildren("tr")


def is_header_row(row: Element) -> bool:
    """Whether a row names the columns."""
    parent = row.getparent()
    if parent is not None and parent.tag == "thead":
        return True
    cells = [cell for cell in row if cell.tag in {"td", "th"}]
    return bool(cells) and all(cell.tag == "th" for cell in cells)


def spanned(cells: Sequence[tuple[Element, str]], carried: dict[int, tuple[int, str]]) -> list[str]:
    """The row's texts by column: a cell over many rows is repeated, one over many columns leaves blanks.

    `carried` holds, by column, how many rows a text still covers; it is brought up to date. A row is
    no wider than it has cells of its own, or `MAX_BLANKS`.
    """
    texts: list[str] = []

    def fill_carried() -> None:
        while len(texts) in carried:
            column = len(texts)
            left, text = carried[column]
            texts.append(text)
            if left > 1:
                carried[column] = (left - 1, text)
            else:
                del carried[column]

    for cell, text in cells:
        fill_carried()
        width = min(_span(cell, "colspan"), max(1, MAX_BLANKS - len(texts)))
        height = _span(cell, "rowspan")
        for offset in range(width):
            if height > 1 and len(texts) < MAX_BLANKS:
                carried[len(texts)] = (height - 1, text if offset == 0 else "")
            texts.append(text if offset == 0 else "")
    fill_carried()
    while any(column > len(texts) for column in carried):
        texts.append("")
        fill_carried()
    return texts


def _span(cell: Element, name: str) -> int:
    value = cell.get(name, "1")
    return min(_MAX_SPAN, max(1, int(value))) if value.isascii() and value.isdecimal() and len(value) < 5 else 1  # noqa: PLR2004 - four digits are beyond any table
