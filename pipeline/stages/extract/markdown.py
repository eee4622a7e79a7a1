"""Writes pieces as Markdown: headings, nested lists, tables, code, quotes and definitions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.tables import MAX_BLANKS

_SPECIAL = re.compile(r"#{1,6}(?=\s)|>|[-+*](?=\s)|\d{1,9}[.)](?=\s)|```|~~~|\||={3,}\Z|-{3,}\Z")
_INDENT = "    "
"""Four spaces nest under every marker from `-` to `10.`."""


def to_markdown(pieces: Sequence[Piece]) -> str:
    """The pieces in order as one Markdown text."""
    lines: list[str] = []
    before: Piece | None = None
    for index, piece in enumerate(pieces):
        if before is not None and not _belong(before, piece):
            lines.append(">" * min(before.quote, piece.quote) if before.quote and piece.quote else "")
        if piece.kind == "row" and (before is None or before.group != piece.group):
            rows = _table(pieces, index)
            lines.extend(rows)
        elif piece.kind != "row":
            prefix = "> " * piece.quote
            lines.extend((prefix + line).rstrip() for line in _lines(piece))
        before = piece
    return "\n".join(lines).strip("\n")


def _belong(before: Piece, piece: Piece) -> bool:
    """Whether two pieces stand without an empty line between them."""
    if piece.kind == "row":
        return before.kind == "row" and before.group == piece.group
    if _defines(piece):
        return before.kind == "term" or _defines(before)
    if piece.kind == "term":
        return before.kind == "term"
    return piece.kind == "item" and before.kind == "item"


def _defines(piece: Piece) -> bool:
    return piece.kind == "definition" or piece.marker == ":"


def _lines(piece: Piece) -> list[str]:
    if piece.kind == "heading":
        return [f"{'#' * piece.level} {piece.text}"]
    indent = _INDENT * max(0, piece.level - 1)
    if piece.kind == "code":
        fence = "```" if "```" not in piece.text else "~~~~"
        deep = _INDENT * piece.level
        return [deep + line for line in (fence + piece.marker, *piece.text.split("\n"), fence)]
    first, *rest = (f"\\{line}" if _SPECIAL.match(line) else line for line in piece.text.split("\n"))
    if piece.kind == "item":
        hanging = indent + " " * (len(piece.marker) + 1)
        return [f"{indent}{piece.marker} {first}", *(hanging + line for line in rest)]
    if _defines(piece):
        return [f": {first}", *(f"  {line}" for line in rest)]
    if piece.kind == "summary":
        return [f"**{' '.join((first, *rest))}**"]
    deep = _INDENT * piece.level
    return [deep + line for line in (first, *rest)]


def _table(pieces: Sequence[Piece], start: int) -> list[str]:
    """The whole table that begins at `start`, with the header row that Markdown asks for.

    Columns without any text are left out.
    """
    group = pieces[start].group
    rows: list[Piece] = []
    for piece in pieces[start:]:
        if piece.kind != "row" or piece.group != group:
            break
        rows.append(piece)
    told = sorted({column for row in rows for column, cell in enumerate(row.cells) if cell})
    straight = [[row.cells[column] for column in told if column < len(row.cells)] for row in rows]
    width = min(len(told), MAX_BLANKS)
    header, body = (straight[0], straight[1:]) if rows[0].is_header else ([], straight)
    return [_row(header, width), "|" + " --- |" * max(width, len(header)), *(_row(cells, width) for cells in body)]


def _row(cells: Sequence[str], width: int) -> str:
    padded = [*cells, *[""] * (width - len(cells))]
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in padded) + " |"
