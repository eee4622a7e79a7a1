"""Notices addresses that never end: calendars, filters, sessions in paths, pages past the last one.

URLs that differ only in numbers, long identifiers or queries share a template. When most pages of a
template say nothing new, its further URLs are not fetched. Whether something is new is asked of the
text, not of the address, so that a catalogue with numbered products is taken whole.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from pipeline.model import Document
from pipeline.urls import split

SAMPLE = 12
"""Pages of a template that are looked at before judging it."""

STALE = 10
"""Pages of the sample that must say nothing new."""

SIMILAR = 0.75
"""Share of words two pages have in common (Jaccard) from which they say the same."""

_COMPARED = 4  # earlier pages a page is compared with
_WORDS = 400
_TEMPLATES = 2_000
_TEXTS = 50_000
_VARIABLE = re.compile(r"[0-9a-f]{16,}|[0-9]+", re.IGNORECASE)


@dataclass(slots=True)
class _Template:
    latest: deque[bool] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    texts: deque[frozenset[int]] = field(default_factory=lambda: deque(maxlen=_COMPARED))
    is_trap: bool = False


class Traps:
    """What a crawl has learnt of its templates; bounded, and forgetting only costs fetches."""

    def __init__(self) -> None:
        """Know of no trap yet."""
        self._templates: dict[str, _Template] = {}
        self._texts: set[int] = set()

    def holds(self, url: str) -> bool:
        """Whether pages like this one say nothing new."""
        known = self._templates.get(_name_of(url) or "")
        return known is not None and known.is_trap

    def note(self, url: str, document: Document | None) -> None:
        """Learn from a page that was fetched; None when it turned out to be no page."""
        is_new_text = document is not None and self._is_new(document.text_hash)
        name = _name_of(url)
        if name is None:
            return
        if name not in self._templates and len(self._templates) >= _TEMPLATES:
            self._templates.pop(next(iter(self._templates)))
        known = self._templates.setdefault(name, _Template())
        words = _words(document) if document is not None else frozenset[int]()
        known.latest.append(not is_new_text or any(_is_similar(words, other) for other in known.texts))
        known.texts.append(words)
        known.is_trap = known.is_trap or (len(known.latest) == SAMPLE and sum(known.latest) >= STALE)

    def _is_new(self, text_hash: str) -> bool:
        if len(self._texts) >= _TEXTS:
            self._texts.clear()
        before = len(self._texts)
        self._texts.add(hash(text_hash))
        return len(self._texts) > before


def template_of(url: str) -> str | None:
    """The shape of a URL with numbers, long identifiers and the query left open; None when nothing is open."""
    parts = split(url)
    path = _VARIABLE.sub("#", parts.path)
    if parts.query is not None:
        return f"{path}?"
    return path if path != parts.path else None


def _name_of(url: str) -> str | None:
    """A template of one host: another host's pages are judged by themselves."""
    template = template_of(url)
    return f"{split(url).site}{template}" if template is not None else None


def _words(document: Document) -> frozenset[int]:
    return frozenset(map(hash, document.markdown.lower().split()[:_WORDS]))


def _is_similar(one: frozenset[int], other: frozenset[int]) -> bool:
    return len(one & other) >= SIMILAR * len(one | other)
