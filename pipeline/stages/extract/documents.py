"""Turns a PDF document into a page: its text as Markdown, its title, dates, language and links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pipeline.errors import DocumentTooLong, DocumentUnreadable
from pipeline.model import Document, Link
from pipeline.stages.extract.document_layout import Layout
from pipeline.stages.extract.document_lines import LineReader
from pipeline.stages.extract.fingerprints import fact_hash, text_hash
from pipeline.stages.extract.language import language_of
from pipeline.stages.extract.markdown import to_markdown

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MAGIC = b"%PDF-"
MAX_PAGES = 2_000
MAX_CHARACTERS = 4 * 2**20
"""Of text. The longest manuals have a quarter of that; a document with more is made to have more."""

_MAX_TITLE = 300
_MAX_DESCRIPTION = 1_000
_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?(?:(\d{2})(\d{2})(\d{2})?)?")
_NO_TITLE = re.compile(
    r"untitled|document\d*|microsoft \w+ - .*|.*\.(?:docx?|pdf|indd|tex|dvi|pptx?|xlsx?|qxd|rtf)", re.IGNORECASE
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?![a-z])", re.IGNORECASE)
_PASSWORD = 4  # FPDF_ERR_PASSWORD


def extractor() -> str:
    """What made the text of a document."""
    return f"sitewise-documents/1 (pypdfium2 {version('pypdfium2')})"


def extract_document(body: bytes, *, url: str) -> Document:
    """Read one PDF document. The same bytes give the same page.

    Args:
        body: The document, beginning with `MAGIC`.
        url: Where it came from.

    Raises:
        DocumentTooLong: If it has more pages or characters than anybody writes.
        DocumentUnreadable: If it is encrypted or damaged.
    """
    import pypdfium2  # noqa: PLC0415 - a child that reads no document does not load it

    try:
        pdf = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        problem = "it is encrypted" if getattr(error, "err_code", None) == _PASSWORD else f"damaged: {error}"
        raise DocumentUnreadable(problem=problem) from error
    try:
        return _read(pdf, url)
    finally:
        pdf.close()


def _read(pdf: PdfDocument, url: str) -> Document:
    if len(pdf) > MAX_PAGES:
        raise DocumentTooLong(pages=len(pdf), limit=MAX_PAGES)
    reader = LineReader(url)
    for number in range(len(pdf)):
        reader.read(pdf, number)
        if reader.characters > MAX_CHARACTERS:
            raise DocumentTooLong(characters=f"more than {MAX_CHARACTERS}")
    if len(pdf) == 0 or reader.unread == len(pdf):
        raise DocumentUnreadable(problem="damaged: no page can be read")
    layout = Layout.of(reader.pages)
    markdown = to_markdown(layout.pieces)
    told: Mapping[str, str] = pdf.get_metadata_dict()
    return Document(
        url=url,
        title=_title(_printable(told.get("Title", ""), _MAX_TITLE), layout, url),
        markdown=markdown,
        text_hash=text_hash(markdown),
        fact_hash=fact_hash(()),
        language=language_of(_declared_language(pdf), markdown),
        description=_printable(told.get("Subject", ""), _MAX_DESCRIPTION) or None,
        published_at=_date(told.get("CreationDate", "")),
        modified_at=_date(told.get("ModDate", "")),
        links=tuple(Link(link) for link in reader.links),
        dropped=(*reader.dropped, *layout.dropped),
        extractor=extractor(),
    )


def _title(told: str, layout: Layout, url: str) -> str:
    """What it calls itself, else its first main heading, else its file's name."""
    if told and not _NO_TITLE.fullmatch(told):
        return told
    headline = next((piece.text for piece in layout.pieces if piece.kind == "heading" and piece.level == 1), "")
    name = PurePosixPath(unquote(urlsplit(url).path)).stem
    return (headline or name.replace("_", " ").replace("-", " "))[:_MAX_TITLE]


def _printable(told: str, most: int) -> str:
    """At most so many characters of what a document says of itself, none of them for machines."""
    text = "".join(character if character.isprintable() else " " for character in told[: 4 * most])
    return " ".join(text.split())[:most]


def _date(told: str) -> str | None:
    """A date of a PDF, `D:20260131120000+01'00'`, in ISO 8601; its time without zone."""
    match = _DATE.match(told)
    if match is None:
        return None
    year, month, day, *time = (part or "" for part in match.groups())
    text = f"{year}-{month or '01'}-{day or '01'}"
    if time[0]:
        text += f"T{time[0]}:{time[1]}:{time[2] or '00'}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


def _declared_language(pdf: PdfDocument) -> str | None:
    from ctypes import c_ushort  # noqa: PLC0415 - as above

    from pypdfium2 import raw  # noqa: PLC0415 - as above

    room = (c_ushort * 32)()
    length = raw.FPDFCatalog_GetLanguage(pdf, room, 32)
    text = bytes(room)[: max(0, min(length, 32) * 2 - 2)].decode("utf-16-le", "replace").strip("\0")
    match = _LANGUAGE.match(text)
    return match.group().lower() if match else None
