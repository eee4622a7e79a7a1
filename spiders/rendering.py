"""Which pages of a crawl are rendered by a browser, and what then counts as the page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.model import Document
from pipeline.words import count_words
from spiders.body import DOCUMENT
from spiders.fetch import Answer

Ask = Callable[[str, Mapping[str, str]], Awaitable[Answer | None]]
"""GETs a URL with these headers; None where we may not ask. Raises `FetchFailed`."""

_SCRIPT = re.compile(rb"<script\b", re.IGNORECASE)
_ASKS_FOR_SCRIPTS = re.compile(r"\bjava\s?script\b", re.IGNORECASE)
_FEW_WORDS = 40  # a plea to switch scripts on is shorter; a page about them says more


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page after its scripts ran. `leads_to` is where they would have taken a visitor."""

    html: bytes
    leads_to: str | None = None


class Renderer(Protocol):
    """What runs a page's scripts."""

    async def render(self, answer: Answer, ask: Ask) -> Rendered:
        """What a page shows once its scripts have run.

        Raises:
            FetchFailed: If it needs more than a page may have.
        """
        ...

    async def close(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a crawl renders: every page, or those that say nothing without scripts."""

    renderer: Renderer
    is_always: bool
    minimum_words: int

    def wants(self, document: Document, html: bytes) -> bool:
        """Whether a page, read without its scripts, is to be rendered."""
        if document.noindex or document.refresh or html.startswith(DOCUMENT):
            return False
        if self.is_always:
            return True
        words = count_words(document.markdown)
        is_plea = words < _FEW_WORDS and _ASKS_FOR_SCRIPTS.search(document.markdown) is not None
        return (words < self.minimum_words or is_plea) and _SCRIPT.search(html) is not None

    async def render(self, answer: Answer, ask: Ask) -> tuple[Answer, str | None]:
        """The page as rendered, and where its scripts would have led.

        Its validators are left out: they speak of the page without its scripts.
        """
        rendered = await self.renderer.render(answer, ask)
        dropped = {"content-type", "etag", "last-modified", "content-encoding"}
        headers = {name: values for name, values in answer.headers.items() if name not in dropped}
        headers["content-type"] = ["text/html; charset=utf-8"]
        return replace(answer, body=rendered.html, headers=headers), rendered.leads_to
