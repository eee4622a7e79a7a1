"""What a look at a website found: told by the spider that looked, read by whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """A page a crawl would keep. `words` are those of its main text."""

    url: str
    title: str
    words: int


@dataclass(frozen=True, slots=True)
class PreviewExample:
    """A URL that a crawl would leave out, with what was seen of it."""

    url: str
    detail: str | None = None
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class PreviewRefusal:
    """How many of the URLs seen a crawl would leave out for one reason, and the first of them."""

    reason: str
    count: int
    examples: tuple[PreviewExample, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a few pages of a site found.

    `found` URLs are those `waiting`, which a crawl would fetch, those `visited`, and those refused
    unvisited. `listed` are the URLs that `sitemaps` files name, on this site or not; `are_all_read`
    says whether there was time for every file. `growing` counts the new URLs that the second half
    of the visits brought. Times are seconds; `crawl_delay` is what robots.txt asks for, its status
    `robots_status`, None while it gave no answer that says what is allowed.
    """

    pages: tuple[PreviewPage, ...] = ()
    refusals: tuple[PreviewRefusal, ...] = ()
    found: int = 0
    waiting: int = 0
    visited: int = 0
    growing: int = 0
    sitemaps: int = 0
    listed: int = 0
    are_all_read: bool = True
    robots_status: int | None = None
    crawl_delay: float = 0.0
    seconds: float = 0.0
    seconds_a_page: float = 0.0
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """This look as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """A look as JSON held it."""
        refusals = (
            PreviewRefusal(one["reason"], one["count"], tuple(PreviewExample(**seen) for seen in one["examples"]))
            for one in told["refusals"]
        )
        pages = tuple(PreviewPage(**page) for page in told["pages"])
        return cls(**{**told, "pages": pages, "refusals": tuple(refusals)})
