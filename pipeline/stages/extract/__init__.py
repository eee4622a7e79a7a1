"""Turns the HTML of a page, or a document, into its main text as Markdown, its links, and what it says about itself."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from lxml import etree
from lxml import html as html_parser

from pipeline.errors import DocumentTooLong, ExtractionFailed
from pipeline.model import Document
from pipeline.stages.extract.claims import Claims
from pipeline.stages.extract.decoding import decode
from pipeline.stages.extract.documents import MAGIC, MAX_CHARACTERS, extract_document
from pipeline.stages.extract.fingerprints import fact_hash, own_pieces, text_hash
from pipeline.stages.extract.guard import check_complexity
from pipeline.stages.extract.language import language_of
from pipeline.stages.extract.links import base_url, find_links, find_refresh, find_relations
from pipeline.stages.extract.markdown import to_markdown
from pipeline.stages.extract.metadata import (
    declared_language,
    read_breadcrumbs,
    read_dates,
    read_description,
    read_full_title,
    read_meta,
    read_robots,
    read_title,
)
from pipeline.stages.extract.opinion import Shares, hear
from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.reading import Reading
from pipeline.stages.extract.selection import judge, keep
from pipeline.stages.extract.structured import facts_markdown, read_structured

EXTRACTOR = f"sitewise-extract/4 (trafilatura {version('trafilatura')}, lxml {version('lxml')})"
"""What made a text. It is kept with every version, so that a better extractor is not taken for a changed site."""

__all__ = ["EXTRACTOR", "extract", "parse", "second_opinion"]


def extract(html: bytes, *, url: str, content_type: str | None = None, weights: Path | None = None) -> Document:
    """Read one page, or a PDF document taken as one. The same bytes give the same document, whatever was read before.

    Args:
        html: The body as fetched, decompressed: HTML, or a PDF document.
        url: Where it came from after redirects; relative links are relative to it.
        content_type: The `Content-Type` header, for its charset.
        weights: Other weights to choose the main text by than those shipped.

    Raises:
        PageTooComplex: If parsing it could take minutes.
        DocumentTooLong: If it has more text than anybody writes.
        ExtractionFailed: If there is nothing to parse.
    """
    if html.startswith(MAGIC):
        return extract_document(html, url=url)
    check_complexity(html)
    root = parse(decode(html, content_type))
    base = base_url(root, url)
    canonical, alternates, neighbours = find_relations(root, base)
    links = find_links(root, base)
    noindex, nofollow = read_robots(root)
    meta = read_meta(root)
    structured = read_structured(root)
    reading = Reading.of(root)
    headline = next((piece.text for piece in reading.pieces if piece.kind == "heading" and piece.level == 1), "")
    published, modified = read_dates(root, meta, structured.dates)
    title = read_title(root, meta, url, headline)
    breadcrumbs = structured.breadcrumbs or read_breadcrumbs(root)
    declared, refresh = declared_language(root, meta), find_refresh(root, base, url)
    claims = Claims.of(read_full_title(root), meta, structured, url)
    opinion = second_opinion(reading, claims, root)
    kept = keep(reading.pieces, judge(reading.pieces, claims, opinion, weights=weights))
    own_kept = own_pieces(kept)
    markdown = to_markdown(kept)
    facts = facts_markdown(structured, _words(reading.pieces), kept=_words(kept))
    own = markdown if len(own_kept) == len(kept) else to_markdown(own_kept)
    if facts:
        markdown, own = f"{markdown}\n\n{facts}".strip(), f"{own}\n\n{facts}"
    if len(markdown) > MAX_CHARACTERS:
        raise DocumentTooLong(characters=f"more than {MAX_CHARACTERS}")
    return Document(
        url=url,
        title=title,
        markdown=markdown,
        text_hash=text_hash(own),
        fact_hash=fact_hash(structured.facts()),
        language=language_of(declared, markdown),
        description=read_description(meta),
        published_at=published,
        modified_at=modified,
        breadcrumbs=breadcrumbs,
        canonical=canonical,
        refresh=refresh,
        noindex=noindex,
        nofollow=nofollow,
        asks_password=reading.asks_password,
        links=tuple({link.url: link for link in (*neighbours, *links)}.values()),
        alternates=alternates,
        dropped=tuple(reading.dropped),
        extractor=EXTRACTOR,
    )


def _words(pieces: Iterable[Piece]) -> str:
    return " ".join(piece.text for piece in pieces)


def second_opinion(reading: Reading, claims: Claims, root: html_parser.HtmlElement) -> Shares | None:
    """What trafilatura takes for main text, where the page declares what it is best at; the tree is used up."""
    if not (claims.is_article or claims.is_product):
        return None
    return hear(reading.pieces, root, reading.hidden, is_article=claims.is_article)


HEAD_TAGS = frozenset({"title", "base", "link", "meta", "style", "script", "noscript", "template", etree.Comment})
"""What may stand in a head; anything else ends it."""


def parse(text: str) -> html_parser.HtmlElement:
    """The tree of a page.

    Raises:
        ExtractionFailed: If there is nothing to parse.
    """
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_pis=True)
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=html_parser.HtmlElement))
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ExtractionFailed(problem="no HTML in it") from error
    if root is None:
        raise ExtractionFailed(problem="no HTML in it")
    _end_head(root)
    return root


def _end_head(root: html_parser.HtmlElement) -> None:
    """Move into the body what a page without `<body>` starts with: libxml2 leaves HTML 5's elements in the head."""
    head, body = root.find("head"), root.find("body")
    if head is None:
        return
    first = next((place for place, child in enumerate(head) if child.tag not in HEAD_TAGS), None)
    if first is None:
        return
    if body is None:
        body = etree.SubElement(root, "body")
    moved = list(head)[first:]
    text, body.text = body.text, None
    for place, child in enumerate(moved):
        body.insert(place, child)
    moved[-1].tail = f"{moved[-1].tail or ''}{text or ''}"
