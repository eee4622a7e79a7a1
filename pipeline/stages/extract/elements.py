"""What kinds of elements there are: those never shown, those inside a line, those that hold one block of text."""

from __future__ import annotations

from collections.abc import Iterator

from lxml.etree import _Element as Element

UNSEEN = frozenset(
    """
    script style template noscript svg math iframe object embed canvas audio video head title meta link base input
    select textarea option datalist map area param source track noembed noframes progress meter img
    """.split()  # noqa: SIM905 - forty names in quotes hide the names
)
"""Elements whose content is no text for a visitor."""

INLINE = frozenset(
    """
    a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rp rt ruby s samp small span
    strike strong sub sup time tt u var wbr nobr button picture output blink
    """.split()  # noqa: SIM905 - forty names in quotes hide the names
)
"""Elements inside a line of text."""

APART = frozenset(("a", "button", "label", "time"))
"""Inline elements that visitors see apart from what follows, even without white space between."""

PARAGRAPHS = {
    "p": "paragraph",
    "dt": "term",
    "dd": "definition",
    "figcaption": "caption",
    "caption": "caption",
    "summary": "summary",
}
"""Elements that hold one block of text, and the kind of piece it becomes."""

HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
"""Headings and their levels."""


def live_metas(root: Element) -> Iterator[Element]:
    """The `<meta>` elements that a browser with scripts reads: none in `<noscript>` or `<template>`."""
    inert: set[Element] = set()
    for box in root.iter("noscript", "template"):
        if box not in inert:
            inert.update(box.iter("noscript", "template", "meta"))
    return (meta for meta in root.iter("meta") if meta not in inert)
