"""Draws what a year of looks cost, and how old copies were, as one SVG: no drawing library is needed for bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

Row = Mapping[str, str | float]

WIDTH, ROW, TOP = 900, 46, 70
NAMES, BARS, GAP = 250, 290, 30
FIXED, OWN, LEAST = "#9aa5b1", "#1f6feb", "#d1242f"


def draw(rows: Sequence[Row]) -> str:
    """Two panels of bars, a row for each website and interval; in each row the schedule is all of the width."""
    height = TOP + ROW * len(rows) + 40
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
            f'font-size="12"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        ),
        _text(10, 20, "A year of looks at a website: one date for all pages, and a date for each", size=15),
        _text(NAMES, 50, "requests for pages (less is better)"),
        _text(NAMES + BARS + GAP, 50, "mean age of a copy, in hours (less is better)"),
    ]
    for number, row in enumerate(rows):
        top = TOP + ROW * number
        parts.append(_text(10, top + 14, str(row["mix"])))
        parts.append(_text(10, top + 30, f"every {_number(row, 'hours'):.0f} h"))
        fixed, own = _number(row, "fixed requests"), _number(row, "own requests")
        parts += _pair(NAMES, top, fixed, own, "{:,.0f}")
        least = NAMES + (BARS - 60) * _number(row, "least requests") / max(fixed, own)
        parts.append(f'<rect x="{least:.1f}" y="{top + 14:.1f}" width="2" height="19" fill="{LEAST}"/>')
        parts += _pair(NAMES + BARS + GAP, top, _number(row, "fixed age"), _number(row, "own age"), "{:.2f}")
    bottom = TOP + ROW * len(rows) + 18
    parts += [_bar(NAMES, bottom - 10, 14, FIXED), _text(NAMES + 20, bottom, "by the schedule")]
    parts += [_bar(NAMES + 140, bottom - 10, 14, OWN), _text(NAMES + 160, bottom, "by a date of its own")]
    parts.append(f'<rect x="{NAMES + 300}" y="{bottom - 13}" width="2" height="19" fill="{LEAST}"/>')
    parts.append(_text(NAMES + 310, bottom, "the least for the schedule's age, were every page's rate known"))
    return "\n".join([*parts, "</svg>\n"])


def _pair(left: float, top: float, fixed: float, own: float, shape: str) -> list[str]:
    most, room = max(fixed, own), BARS - 60
    drawn = []
    for offset, value, colour in ((0, fixed, FIXED), (17, own, OWN)):
        width = room * value / most
        drawn.append(_bar(left, top + offset, width, colour))
        drawn.append(_text(left + width + 5, top + offset + 11, shape.format(value)))
    return drawn


def _bar(left: float, top: float, width: float, colour: str) -> str:
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="13" fill="{colour}"/>'


def _text(left: float, top: float, text: str, *, size: int = 12) -> str:
    return f'<text x="{left:.1f}" y="{top:.1f}" font-size="{size}" fill="#222">{escape(text)}</text>'


def _number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return value
