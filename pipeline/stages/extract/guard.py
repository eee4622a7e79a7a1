"""Refuses pages that would cost a parser minutes, after one linear look at their bytes."""

from __future__ import annotations

import re

from pipeline.errors import PageTooComplex

MAX_DEPTH = 1_000
"""Elements open at once. libxml2 silently drops what is nested deeper than 2,048."""

MAX_ATTRIBUTES = 1_000
"""Attributes of one element. libxml2 compares each with all before it: 100,000 take minutes."""

MAX_TAGS = 400_000
"""Start tags of a page. The longest real pages have some tens of thousands."""

_SMALL = 32_768
"""Bytes in which no single element can hold so many attributes that they take a second."""

_NEVER_OPEN = frozenset(
    b"area base br col embed hr img input link meta param source track wbr "
    b"p li dt dd tr td th option html head body".split()
)
"""Elements without content, and those whose next sibling closes them."""

_RAW = frozenset((b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes"))

_MARKUP = re.compile(
    rb"<(?:(!--)|(/?)([a-zA-Z][^\s/>]*+)"
    rb"((?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>\"'][^\s>]*+)?+)?+)*+)"
    rb"[\s/]*+(?:>|\Z))"
)
"""A comment's start, or one whole tag by the rules of HTML. Possessive throughout: it never looks twice."""

_ATTRIBUTE = re.compile(rb"[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"?+|'[^']*+'?+|[^\s>\"'][^\s>]*+)?+)?+")


def check_complexity(html: bytes) -> None:
    """Let a page through when parsing it takes time in proportion to its length.

    Raises:
        PageTooComplex: If it has too many tags, or one with too many attributes, or too deep a nesting.
    """
    if len(html) <= _SMALL and html.count(b"<") <= MAX_DEPTH:
        return
    depth = tags = position = 0
    match = _MARKUP.search(html)
    while match:
        comment, closing, name, attributes = match.groups()
        position = match.end()
        if comment:
            position = _after(html, b"-->", match.start() + 2)
        else:
            tag = name.lower()
            if closing:
                depth -= depth > 0 and tag not in _NEVER_OPEN
            else:
                tags += 1
                if tags > MAX_TAGS:
                    raise PageTooComplex(elements=f"more than {MAX_TAGS}")
                if len(attributes) > MAX_ATTRIBUTES * 2:
                    _check_attributes(attributes, tag)
                if tag in _RAW:
                    position = _after(html, b"</" + name, position)
                elif tag not in _NEVER_OPEN and not attributes.endswith(b"/"):
                    depth += 1
                    if depth > MAX_DEPTH:
                        raise PageTooComplex(nesting=f"more than {MAX_DEPTH} elements")
        match = _MARKUP.search(html, position)


def _check_attributes(attributes: bytes, tag: bytes) -> None:
    count = sum(1 for _ in _ATTRIBUTE.finditer(attributes))
    if count > MAX_ATTRIBUTES:
        raise PageTooComplex(element=tag.decode("ascii", "replace")[:40], attributes=count, limit=MAX_ATTRIBUTES)


def _after(html: bytes, end: bytes, start: int) -> int:
    """Where to read on after `end`; the whole rest is skipped when it never comes."""
    found = html.find(end, start)
    return len(html) if found < 0 else found + (len(end) if end == b"-->" else 0)
