"""Decides which URLs seen on the way enter the frontier, each of them once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from pipeline.errors import InvalidUrl
from pipeline.model import Discovered, Reason
from pipeline.rules import CrawlRules
from pipeline.urls import canonical, split, url_key
from spiders.traps import Traps, template_of

VARIANT_LIMIT = 50
"""Queries one path may be fetched with."""

_REMEMBERED_KEYS = 2**16
_REMEMBERED_PATHS = 10_000


class Scope:
    """A crawl's rules, and a bounded memory of what was already passed on.

    Forgetting is harmless: the frontier itself holds each key once.
    """

    def __init__(self, rules: CrawlRules) -> None:
        """Judge by `rules`."""
        self.rules = rules
        self.traps = Traps()
        self._listed: set[int] = set()
        self._seen = array("q", bytes(8 * _REMEMBERED_KEYS))
        """Hashes of keys, each at its own place: a later one may take it, and nothing ever grows."""
        self._variants: dict[int, set[int]] = {}

    def discover(
        self, url: str, *, base: str, depth: int, found_on: str, lastmod: str | None = None, is_listed: bool = False
    ) -> Discovered | None:
        """A URL found on `base` as the frontier takes it; None when it is seen, of another site, or none at all.

        What a sitemap lists (`is_listed`) is never taken for a trap: the site vouches for it.
        """
        try:
            absolute = canonical(url, base)
            key = url_key(absolute)
        except InvalidUrl:
            return None
        is_news = is_listed and hash(key) not in self._listed  # it may have been refused as a link
        if is_listed:
            self._remember_listed(key)
        if self._seen[hash(key) % _REMEMBERED_KEYS] == hash(key) and not is_news:
            return None
        reason = self.rules.decide(absolute, depth)
        if reason is Reason.OFF_SITE:
            return None
        detail = self.rules.excluded_by(split(absolute)) if reason is Reason.EXCLUDED_RULE else None
        if reason is None and not is_listed:
            detail = self._endless(absolute, key)
            reason = Reason.PAGE_LIMIT if detail is not None else None
        self._remember(key)
        return Discovered(key, absolute, depth, found_on, lastmod, reason, detail, is_listed)

    def discover_all(self, urls: Iterable[str], *, base: str, depth: int, found_on: str) -> tuple[Discovered, ...]:
        """What is new among URLs found on one page."""
        found = (self.discover(url, base=base, depth=depth, found_on=found_on) for url in urls)
        return tuple(one for one in found if one is not None)

    def trap(self, url: str, key: str) -> str | None:
        """What a URL in the frontier was since found to be part of; None when it may be fetched."""
        if hash(key) in self._listed or not self.traps.holds(url):
            return None
        return f"pages at {template_of(url)} say nothing new"

    def _endless(self, url: str, key: str) -> str | None:
        if not self._within_variants(key):
            return f"over {VARIANT_LIMIT} queries of one path"
        return self.trap(url, key)

    def _remember(self, key: str) -> None:
        self._seen[hash(key) % _REMEMBERED_KEYS] = hash(key)

    def _remember_listed(self, key: str) -> None:
        if len(self._listed) >= _REMEMBERED_KEYS:
            self._listed.clear()
        self._listed.add(hash(key))

    def _within_variants(self, key: str) -> bool:
        address, _, query = key.partition("?")
        if not query:
            return True
        path = hash(address)
        if path not in self._variants and len(self._variants) >= _REMEMBERED_PATHS:
            self._variants.pop(next(iter(self._variants)))
        variants = self._variants.setdefault(path, set())
        if len(variants) < VARIANT_LIMIT:
            variants.add(hash(query))
        return hash(query) in variants
