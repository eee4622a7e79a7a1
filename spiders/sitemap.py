"""What a sitemap file says, whichever of the known forms it has; entities are never expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from xml.sax import SAXException
from xml.sax.handler import ContentHandler, feature_namespaces

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.sax import make_parser  # type: ignore[import-untyped]

ENTRY_LIMIT = 50_000
"""URLs of one file that are read, as sitemaps.org allows."""

DECODED_LIMIT = 50 * 2**20
"""Bytes of one file, unpacked."""

_FIELD_LIMIT = 4_096  # characters of one field
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

    A file that breaks off gives what came before.

    Raises:
        SitemapBroken: If it is none of these, or declares entities.
    """
    start = body[:1_024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:4].lower() == b"http":
        return _plain(body)
    reader = _Reader()
    parser = make_parser()
    parser.forbid_entities = True
    parser.forbid_external = True
    parser.setFeature(feature_namespaces, True)  # noqa: FBT003 - SAX's signature
    parser.setContentHandler(reader)
    try:
        parser.parse(BytesIO(body))
    except DefusedXmlException as error:
        raise SitemapBroken("declares entities") from error
    except (SAXException, ValueError, LookupError) as error:
        if not (reader.found.entries or reader.found.children):
            raise SitemapBroken("not a sitemap") from error
    return reader.found


def _plain(body: bytes) -> Sitemap:
    lines = body.decode("utf-8", errors="replace").lstrip("\ufeff").splitlines()[:ENTRY_LIMIT]
    return Sitemap([SitemapEntry(line.strip()) for line in lines if line.strip().lower().startswith("http")])


class _Reader(ContentHandler):
    """Collects entries as the parser passes them; nothing is kept of the tree."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Sitemap()
        self._fields: dict[str, str] = {}
        self._alternates: list[str] = []
        self._text: list[str] | None = None
        self._size = 0
        self._within: list[str] = []

    def startElementNS(  # noqa: N802 - SAX's name
        self, name: tuple[str | None, str], qname: str | None, attrs: object
    ) -> None:
        del qname
        local = name[1]
        self._within = [*self._within[-3:], local]
        self._text, self._size = ([], 0) if local in _SEED_FIELDS else (None, 0)
        if local == "link":
            self._link({key[1]: value for key, value in attrs.items()})  # type: ignore[attr-defined]

    def characters(self, content: str) -> None:
        self._size += len(content)
        if self._text is not None and self._size <= _FIELD_LIMIT:
            self._text.append(content)

    def endElementNS(self, name: tuple[str | None, str], qname: str | None) -> None:  # noqa: N802 - SAX's name
        del qname
        local = name[1]
        if local in _SEED_FIELDS and self._text is not None and self._parent() not in {"image", "video"}:
            if text := "".join(self._text).strip():
                self._fields.setdefault("lastmod" if local in {"updated", "pubDate"} else local, text)
            self._text = None
        if local in {"url", "sitemap", "item", "entry"}:
            self._close(local)
        self._within = self._within[:-1]

    def _parent(self) -> str:
        return self._within[-2] if len(self._within) > 1 else ""

    def _link(self, attributes: dict[str, str]) -> None:
        address = attributes.get("href", "")[:_FIELD_LIMIT]
        if not address:
            return
        if attributes.get("hreflang"):
            self._alternates.append(address)
        elif attributes.get("rel", "alternate") == "alternate":
            self._fields.setdefault("link", address)

    def _close(self, local: str) -> None:
        url = self._fields.get("loc") or self._fields.get("link")
        if url and local == "sitemap":
            self.found.children.append(url)
        elif url and len(self.found.entries) < ENTRY_LIMIT:
            entry = SitemapEntry(url, self._fields.get("lastmod"), tuple(self._alternates))
            self.found.entries.append(entry)
        self._fields, self._alternates = {}, []
