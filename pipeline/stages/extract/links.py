"""Finds where a page leads: its links, its canonical address, its refresh, its twins in other languages."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urljoin

from lxml.etree import _Element as Element

from pipeline.model import Link
from pipeline.stages.extract.elements import live_metas

MAX_LINKS = 20_000
"""Links kept of one page; a page with more is a trap or a site map for machines."""

MAX_URL_LENGTH = 2_048
_MAX_REFRESH_SECONDS = 60.0
_REFRESH = re.compile(r"\s*([\d.]{1,10})\s*[;,]?\s*(?:url\s*=)?\s*['\"]?\s*([^'\"]*)", re.IGNORECASE)
_BELOW = re.compile(r"\w[\w-]*(?:[./][\w-]+)*(?:#.*)?\Z", re.ASCII)
"""A plain path below the folder of the page: it needs no joining."""
_CONTROLS = dict.fromkeys([9, 10, 13])


def base_url(root: Element, url: str) -> str:
    """What relative addresses on this page are relative to: `<base href>`, else the page itself."""
    for base in root.iter("base"):
        href = base.get("href", "").strip()
        if href:
            return absolute(url, href) or url
    return url


def absolute(base: str, href: str) -> str | None:
    """An http or https address without fragment, or None when it leads elsewhere or nowhere."""
    href = href.strip()
    if not href.isprintable():
        href = href.translate(_CONTROLS)
    if not href.startswith(("http://", "https://")) or "[" in href:
        scheme = href.partition(":")[0]
        if scheme != href and scheme.isalpha() and scheme.lower() not in {"http", "https"}:
            return None
        if _BELOW.match(href):
            href = _folder(base) + href
        else:
            try:
                href = urljoin(base, href)
            except ValueError:
                return None
    target = href.partition("#")[0]
    if len(target) > MAX_URL_LENGTH or target.endswith("://") or not target.startswith(("http://", "https://")):
        return None
    return target


@lru_cache(maxsize=256)
def _folder(base: str) -> str:
    """What a plain relative path is appended to."""
    return urljoin(base, "x").removesuffix("x")


def find_links(root: Element, base: str) -> tuple[Link, ...]:
    """Every link of the page once, in order, and what its frames show; `nofollow` only when each place says so."""
    followed: dict[str, bool] = {}
    seen: dict[str, str | None] = {}
    for element in root.iter("a", "area", "frame"):
        href = element.get("href") or element.get("src")
        if not href or href[0] == "#":
            continue
        if href not in seen:
            if len(seen) >= MAX_LINKS:
                break
            seen[href] = absolute(base, href)
        target = seen[href]
        if target:
            rel = element.get("rel")
            nofollow = rel is not None and "nofollow" in rel.lower()
            followed[target] = followed.get(target, True) and nofollow
    return tuple(Link(url, nofollow) for url, nofollow in followed.items())


def find_relations(root: Element, base: str) -> tuple[str | None, tuple[tuple[str, str], ...], tuple[Link, ...]]:
    """The canonical address, the alternates by language, and the next and previous pages of `<link>`.

    Two canonicals that disagree are none.
    """
    canonicals: list[str] = []
    alternates: dict[tuple[str, str], None] = {}
    neighbours: list[Link] = []
    for element in root.iter("link"):
        rel = element.get("rel", "").lower().split()
        href = element.get("href")
        target = absolute(base, href) if href and rel else None
        if not target:
            continue
        if "canonical" in rel:
            canonicals.append(target)
        elif "alternate" in rel and element.get("hreflang"):
            alternates[element.get("hreflang", "").lower(), target] = None
        elif "next" in rel or "prev" in rel:
            neighbours.append(Link(target))
    canonical = canonicals[0] if canonicals and len(set(canonicals)) == 1 else None
    return canonical, tuple(alternates), tuple(neighbours)


def find_refresh(root: Element, base: str, url: str) -> str | None:
    """Where `<meta http-equiv="refresh">` sends a visitor of `url` within a minute, if to another page."""
    for element in live_metas(root):
        if element.get("http-equiv", "").lower() == "refresh":
            match = _REFRESH.match(element.get("content", ""))
            if match and match.group(2) and _seconds(match.group(1)) <= _MAX_REFRESH_SECONDS:
                target = absolute(base, match.group(2))
                return target if target != url.partition("#")[0] else None
    return None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
