"""Turns the bytes of a page into text, whatever its labels claim."""

from __future__ import annotations

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_HEAD_BYTES = 4_096
_BROWSER_NAMES = {
    "iso-8859-1": "windows-1252",
    "latin-1": "windows-1252",
    "latin1": "windows-1252",
    "us-ascii": "windows-1252",
    "ascii": "windows-1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "iso-8859-9": "windows-1254",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
}
"""What browsers read instead of what a page says."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]+")


def decode(html: bytes, content_type: str | None = None) -> str:
    """The page as text: byte order mark, then header, then `<meta>`, then UTF-8, then Windows-1252.

    A label is believed only when the bytes can be read by it; bytes that are valid UTF-8 and say
    something beyond ASCII are UTF-8 whatever the label. NUL and other control characters are removed.
    """
    for mark, name in _BOMS:
        if html.startswith(mark):
            return _clean(html[len(mark) :].decode(name, "replace"))
    try:
        return _clean(html.decode("utf-8"))
    except UnicodeDecodeError as error:
        invalid_at = error.start
    for label in _labels(html, content_type):
        text = _read_as(html, label)
        if text is not None:
            return _clean(text)
    if _is_mostly_utf8(html, invalid_at):
        return _clean(html.decode("utf-8", "replace"))
    return _clean(html.decode("windows-1252", "replace"))


def tells_its_charset(html: bytes) -> bool:
    """Whether the bytes alone say how they are read, with no need of the header they came with."""
    if any(html.startswith(mark) for mark, _ in _BOMS) or _labels(html, None):
        return True
    try:
        html.decode("utf-8")
    except UnicodeDecodeError as error:
        return html.startswith(b"%PDF") or _is_mostly_utf8(html, error.start)
    return True


def _labels(html: bytes, content_type: str | None) -> list[str]:
    header = _HEADER.search(content_type or "")
    meta = _META.search(html, 0, _HEAD_BYTES)
    names = [header.group(1)] if header else []
    if meta:
        names.append(meta.group(1).decode("ascii", "replace"))
    return [_BROWSER_NAMES.get(name.lower(), name.lower()) for name in names]


def _read_as(html: bytes, label: str) -> str | None:
    """The text under this label, or None when the label is unknown or plainly wrong."""
    try:
        if not codecs.lookup(label)._is_text_encoding:  # noqa: SLF001 - the only way to refuse hex, zip and rot13
            return None
        text = html.decode(label, "replace")
    except (LookupError, UnicodeError, ValueError):
        return None
    return text if text.count("\ufffd") * 100 <= len(text) else None


def _is_mostly_utf8(html: bytes, invalid_at: int) -> bool:
    """Whether bytes that are not quite UTF-8 still were meant to be: few errors among many sequences."""
    sample = html[max(0, invalid_at - 50_000) : invalid_at + 50_000].decode("utf-8", "replace")
    errors = sample.count("\ufffd")
    beyond_ascii = sum(1 for character in sample if character > "\x7f")
    return beyond_ascii > errors * 2


def _clean(text: str) -> str:
    return _CONTROL.sub("", text) if _CONTROL.search(text) else text
