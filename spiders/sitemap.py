"""What a sitemap file says, whichever of the known forms it has; entities are never expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from xml.parsers.expat import ExpatError, ParserCreate

ENTRY_LIMIT = 50_000
"""URLs of one file that are read, as sitemaps.org allows."""

DECODED_LIMIT = 50 * 2**20
"""Bytes of one file, unpacked."""

_FIELD_LIMIT = 4_096  # characters of one field
_ALTERNATES_LIMIT = 4 * ENTRY_LIMIT  # of one file
_ELEMENT_LIMIT = 1_000_000  # of one file; a full one with five fields a page has 300,000
_DEPTH_LIMIT = 64  # the parser keeps every open element
_TOKEN_LIMIT = 2**20  # bytes without anything new: the parser looks at an unfinished tag again with every piece
_LINE_LIMIT = 1_000_000
_PIECE = 2**16
_ENTRIES = frozenset({"url", "sitemap", "item", "entry"})
_SEED_FIELDS = frozenset({"loc", "lastmod", "link", "updated", "pubDate"})


class SitemapBroken(Exception):
    """A file is not a sitemap."""


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """A page a sitemap names, as spelt there. `alternates` are its other languages."""

    url: str
    lastmod: str | None = None
    alternates: tuple[str, ...] = ()


@dataclass(slots=True)
class Sitemap:
    """A sitemap's pages, and the further sitemaps it names."""

    entries: list[SitemapEntry] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


def read_sitemap(body: bytes) -> Sitemap:
    """Read XML sitemaps and indexes, RSS and Atom feeds, and plain lists of URLs.

    A file that breaks off, or goes on beyond what any sitemap needs, gives what came before.

    Raises:
        SitemapBroken: If it is none of these, or declares entities.
    """
    body = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if body[:4].lower() == b"http":
        return _plain(body)
    reader = _Reader()
    try:
        reader.read(body)
    except (ExpatError, ValueError, LookupError, _Enough) as error:
        if not (reader.found.entries or reader.found.children):
            raise SitemapBroken("not a sitemap") from error
    return reader.found


def _plain(body: bytes) -> Sitemap:
    found = Sitemap()
    for line in islice(BytesIO(body), _LINE_LIMIT):
        text = line[: 2 * _FIELD_LIMIT].decode("utf-8", errors="replace").strip("\ufeff \t\r\n")
        if text.lower().startswith("http"):
            found.entries.append(SitemapEntry(text))
            if len(found.entries) >= ENTRY_LIMIT:
                break
    return found


class _Enough(Exception):
    """A file goes on beyond what any sitemap needs."""


class _Reader:
    """Collects entries as the parser passes them; nothing is kept of the tree."""

    def __init__(self) -> None:
        self.found = Sitemap()
        self._fields: dict[str, str] = {}
        self._alternates: list[str] = []
        self._alternates_left = _ALTERNATES_LIMIT
        self._elements_left = _ELEMENT_LIMIT
        self._text: list[str] | None = None
        self._size = 0
        self._within: list[str] = []
        self._parser = ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self, body: bytes) -> None:
        """Read a file, piece by piece.

        Raises:
            ExpatError: Where it is no XML.
            SitemapBroken: If it declares entities, or anything else about its elements.
        """
        for start in range(0, max(len(body), 1), _PIECE):
            end = start + _PIECE
            self._parser.Parse(body[start:end], end >= len(body))
            if end - max(self._parser.CurrentByteIndex, 0) > _TOKEN_LIMIT:
                raise _Enough

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        """Entities multiply text and name files, default attributes multiply elements: no sitemap needs them."""
        del name, system, public
        if has_subset:
            raise SitemapBroken("declares entities")

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        self._elements_left -= 1
        if not self._elements_left or len(self._within) >= _DEPTH_LIMIT:
            raise _Enough
        if self._is_entry(local):
            self._fields, self._alternates = {}, []  # what came before is of the whole feed
        self._within.append(local)
        self._text, self._size = ([], 0) if local in _SEED_FIELDS else (None, 0)
        if local == "link":
            self._link(attributes)

    def _characters(self, content: str) -> None:
        self._size += len(content)
        if self._text is not None and self._size <= _FIELD_LIMIT:
            self._text.append(content)

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local in _SEED_FIELDS and self._text is not None and self._parent() not in {"image", "video"}:
            if text := "".join(self._text).strip():
                self._fields.setdefault("lastmod" if local in {"updated", "pubDate"} else local, text)
            self._text = None
        self._within.pop()
        if self._is_entry(local):
            self._close(local)

    def _is_entry(self, local: str) -> bool:
        """Whether an element that stands within the open ones is an entry, and not a part of one or of an image."""
        return local in _ENTRIES and _ENTRIES.isdisjoint(self._within) and "image" not in self._within

    def _parent(self) -> str:
        return self._within[-2] if len(self._within) > 1 else ""

    def _link(self, attributes: dict[str, str]) -> None:
        address = attributes.get("href", "")[:_FIELD_LIMIT]
        if not address:
            return
        if attributes.get("hreflang"):
            self._alternates_left -= 1
            if self._alternates_left >= 0:
                self._alternates.append(address)
        elif attributes.get("rel", "alternate") == "alternate":
            self._fields.setdefault("link", address)

    def _close(self, local: str) -> None:
        url = self._fields.get("loc") or self._fields.get("link")
        if url and local == "sitemap":
            self.found.children.append(url)
        elif url:
            entry = SitemapEntry(url, self._fields.get("lastmod"), tuple(self._alternates))
            self.found.entries.append(entry)
        self._fields, self._alternates = {}, []
        if max(len(self.found.entries), len(self.found.children)) >= ENTRY_LIMIT:
            raise _Enough
