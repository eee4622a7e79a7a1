"""Reads what a page says about itself: title, language, dates, description, robots, breadcrumbs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from lxml.etree import _Element as Element

from pipeline.stages.extract.elements import live_metas

_SEPARATOR = re.compile(r"\s+[|\-\u2013\u2014\u00b7\u2022\u00bb\u00ab:]{1,2}\s+|\s*[|\u00bb]\s*")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?\s?(Z|[+-]\d{2}:?\d{2})?)?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?![a-z])", re.IGNORECASE)
_LETTERS = re.compile(r"[^\w]+")
_MAX_TITLE = 300
_MAX_DESCRIPTION = 1_000
_PUBLISHED = (
    "article:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.created",
    "pubdate",
    "publishdate",
)
_MODIFIED = ("article:modified_time", "og:updated_time", "datemodified", "last-modified", "dcterms.modified", "revised")


def read_meta(root: Element) -> dict[str, str]:
    """`<meta>` values by name, property, itemprop or http-equiv in lower case; the first one counts."""
    values: dict[str, str] = {}
    for element in live_metas(root):
        name = element.get("name") or element.get("property") or element.get("itemprop") or element.get("http-equiv")
        content = element.get("content")
        if name and content:
            values.setdefault(name.strip().lower(), " ".join(content.split()))
    return values


def read_robots(root: Element) -> tuple[bool, bool]:
    """Whether robots are asked not to index this page, and not to follow its links."""
    wishes: set[str] = set()
    for element in live_metas(root):
        if element.get("name", "").strip().lower() in {"robots", "sitewisebot"}:
            wishes.update(part.strip().lower() for part in element.get("content", "").split(","))
    return not wishes.isdisjoint(("noindex", "none")), not wishes.isdisjoint(("nofollow", "none"))


def read_full_title(root: Element) -> str:
    """The text of `<title>`, the site's name and all."""
    element = next(root.iter("title"), None)
    return " ".join((element.text or "").split()) if element is not None else ""


def read_title(root: Element, meta: Mapping[str, str], url: str, headline: str) -> str:
    """The page's own title, without the site's name where that is clearly what it is.

    `headline` is the first main heading of the text, or empty.
    """
    full = read_full_title(root)
    shared = meta.get("og:title", "")
    site = meta.get("og:site_name", "")
    title = _without_site(full, site, url, (headline, shared)) or _without_site(shared, site, url, ()) or headline
    if headline and _same(title, site) and not _same(headline, site):
        title = headline
    return title[:_MAX_TITLE]


def _without_site(title: str, site: str, url: str, known: Sequence[str]) -> str:
    pieces = list(_SEPARATOR.finditer(title))
    if not pieces:
        return title
    first, rest = title[: pieces[0].start()].strip(), title[pieces[0].end() :].strip()
    start, last = title[: pieces[-1].start()].strip(), title[pieces[-1].end() :].strip()
    for kept, removed in ((start, last), (first, rest), (rest, first)):
        if kept and removed and _names_site(removed, site, url):
            return kept
    for kept in (start, first):
        if kept and any(_same(kept, one) for one in known):
            return kept
    return title


def _names_site(text: str, site: str, url: str) -> bool:
    letters = _fold(text)
    if not letters:
        return False
    if site and letters == _fold(site):
        return True
    labels = (urlsplit(url).hostname or "").removeprefix("www.").split(".")
    host = _fold("".join(labels[:-1]))
    return letters in {host, _fold("".join(labels)), _fold(labels[-2] if len(labels) > 1 else "")}


def _same(one: str, other: str) -> bool:
    return bool(letters := _fold(one)) and letters == _fold(other)


def _fold(text: str) -> str:
    return _LETTERS.sub("", text).lower()


def declared_language(root: Element, meta: Mapping[str, str]) -> str | None:
    """The language a page says it is in, as its two or three letters."""
    html = root if root.tag == "html" else root.getroottree().getroot()
    body = root.find("body")
    candidates = (
        html.get("lang"),
        html.get("{http://www.w3.org/XML/1998/namespace}lang") or html.get("xml:lang"),
        body.get("lang") if body is not None else None,
        meta.get("content-language"),
        meta.get("dc.language"),
        meta.get("og:locale"),
    )
    for candidate in candidates:
        match = _LANGUAGE.match(candidate.strip()) if candidate else None
        if match:
            return match.group().lower()
    return None


def read_description(meta: Mapping[str, str]) -> str | None:
    """The page's own summary of itself."""
    text = meta.get("description") or meta.get("og:description") or meta.get("twitter:description")
    return text[:_MAX_DESCRIPTION] if text else None


def read_dates(root: Element, meta: Mapping[str, str], structured: Mapping[str, str]) -> tuple[str | None, str | None]:
    """When the page was published and last changed, in ISO 8601, as far as it says."""
    published = [structured.get("datePublished", ""), *(meta.get(name, "") for name in _PUBLISHED)]
    modified = [structured.get("dateModified", ""), *(meta.get(name, "") for name in _MODIFIED)]
    for element in root.iter("time"):
        value = element.get("datetime", "")
        if element.get("itemprop") == "dateModified" or "updated" in element.get("class", ""):
            modified.append(value)
        elif (
            element.get("itemprop") == "datePublished"
            or element.get("pubdate") is not None
            or "published" in element.get("class", "")
        ):
            published.append(value)
    return _first_date(published), _first_date(modified)


def _first_date(candidates: Sequence[str]) -> str | None:
    for candidate in candidates:
        match = _DATE.match(candidate.strip())
        if match:
            day = "-".join(match.group(1, 2, 3))
            told = f"{day}T{match.group(4)}{match.group(5) or ''}" if match.group(4) else day
            if _is_date(told):
                return told
    return None


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_breadcrumbs(root: Element) -> tuple[str, ...]:
    """The trail of pages above this one, as the page shows it."""
    for element in _trails(root):
        parts = [" ".join("".join(map(str, link.itertext())).split()) for link in element.iter("a", "li")]
        trail = [part for part in dict.fromkeys(parts) if 0 < len(part) < 100 and part.strip("/>\u203a\u00bb \u2192")]  # noqa: PLR2004 - a longer one is no name
        if trail:
            return tuple(part for part in trail if not any(part != other and other in part for other in trail))[:10]
    return ()


def _trails(root: Element) -> Iterator[Element]:
    for element in root.iter("nav", "ol", "ul", "div"):
        attributes = element.attrib
        if attributes:
            names = f"{attributes.get('class', '')} {attributes.get('id', '')} {attributes.get('aria-label', '')}"
            if "breadcrumb" in names.lower():
                yield element
