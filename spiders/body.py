"""What the bytes of an answer are: decoded within limits, and HTML or not."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator

import brotli  # type: ignore[import-untyped]
import zstandard

ACCEPTED = "gzip, deflate, br, zstd"
MAXIMUM_LAYERS = 2
_STEP = 64 * 2**10
_GZIP = b"\x1f\x8b"
_MEMBER_LIMIT = 1_000  # of one body: an empty one has 20 bytes, and costs as much to begin as any
_WINDOW = 8 * 2**20  # RFC 8878 asks decoders for at least this; more would be the sender's choice of our memory
_SNIFFED = 1_024
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_UNKNOWN_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "unknown/unknown"})
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title|meta|h1|div|p|table|script|style)\b",
    re.IGNORECASE | re.DOTALL,
)
DOCUMENT = b"%PDF-"
"""What a PDF document begins with."""

_MAGIC = (
    (DOCUMENT, "PDF"),
    (b"\x89PNG", "PNG image"),
    (b"GIF8", "GIF image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"PK\x03\x04", "ZIP archive"),
    (_GZIP, "gzip archive"),
    (b"BZh", "bzip2 archive"),
    (b"7z\xbc\xaf", "7z archive"),
    (b"\x7fELF", "program"),
    (b"MZ", "program"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"OggS", "Ogg media"),
    (b"ID3", "MP3 audio"),
    (b"wOFF", "font"),
    (b"wOF2", "font"),
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b\x00")
_TOLERATED_CONTROL = 0.1  # of the first bytes


class BodyTooLarge(Exception):
    """A body decodes to more bytes than the limit, or is packed in more layers."""


class BodyBroken(Exception):
    """A body is not in the encoding it claims."""


def decode(body: bytes, encoding: str, *, limit: int) -> bytes:
    """Undo the content encodings of a body; a truncated one gives what it holds.

    Args:
        body: As received.
        encoding: The `Content-Encoding` header, outermost last.
        limit: Bytes the result may have.

    Raises:
        BodyTooLarge: If it exceeds the limit, or has over two layers.
        BodyBroken: If an encoding is unknown or wrong.
    """
    layers = [layer for name in encoding.lower().split(",") if (layer := name.strip()) not in {"", "identity"}]
    if len(layers) > MAXIMUM_LAYERS:
        raise BodyTooLarge(f"packed in {len(layers)} layers")
    for layer in reversed(layers):
        if body:
            body = _unpack(body, layer, limit)
    if len(body) > limit:
        raise BodyTooLarge(f"over {limit} bytes")
    return body


def gunzip(body: bytes, *, limit: int) -> bytes:
    """Unpack a `.gz` file; a body that is none is returned as it is.

    Raises:
        BodyTooLarge: If it exceeds the limit.
        BodyBroken: If it is damaged from the start.
    """
    return _unpack(body, "gzip", limit) if body[:2] == _GZIP else body


def why_not_html(body: bytes, content_type: str) -> str | None:
    """What an answer is instead of HTML; None when it is HTML."""
    kind = content_type.partition(";")[0].strip().lower()
    start = body[:_SNIFFED]
    for magic, name in _MAGIC:
        if start.startswith(magic):
            return name
    if kind in _UNKNOWN_TYPES:
        return None if _HTML_START.match(start) else kind or "no content type"
    if kind not in _HTML_TYPES:
        return kind
    if start.startswith(_UTF16):
        return None
    if len(start.translate(None, _CONTROL)) < len(start) * (1 - _TOLERATED_CONTROL):
        return "binary"
    return None


def _unpack(body: bytes, layer: str, limit: int) -> bytes:
    opener = _OPENERS.get(layer)
    if opener is None:
        raise BodyBroken(f"unknown content encoding {layer[:40]}")
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in opener(body):
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(f"over {limit} bytes")
            pieces.append(piece)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        if not pieces:
            raise BodyBroken(f"not {layer}: {error}") from error
    return b"".join(pieces)


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflate(body, zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> Iterator[bytes]:
    """Some servers send deflate without its zlib header."""
    is_zlib = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] * 256 + body[1]) % 31 == 0
    return _inflate(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)


def _inflate(body: bytes, window: int) -> Iterator[bytes]:
    """Unpack members one after another, fed piece by piece: what follows a member is copied with each of them."""
    start = 0
    for _ in range(_MEMBER_LIMIT):
        opened = zlib.decompressobj(window)
        while start < len(body) and not opened.eof:
            packed = body[start : start + _STEP]
            start += len(packed)
            yield from _pieces(opened, packed)
        start -= len(opened.unused_data)
        if body[start : start + 2] != _GZIP:
            return
    raise BodyBroken(f"over {_MEMBER_LIMIT} gzip members")


def _pieces(opened: zlib._Decompress, packed: bytes) -> Iterator[bytes]:
    while not opened.eof:
        piece = opened.decompress(packed, _STEP)
        packed = opened.unconsumed_tail
        if piece:
            yield piece
        elif not packed:
            return


def _brotli(body: bytes) -> Iterator[bytes]:
    opened = brotli.Decompressor()
    piece = opened.process(body, output_buffer_limit=_STEP)
    while piece:
        yield piece
        piece = opened.process(b"", output_buffer_limit=_STEP)


def _zstd(body: bytes) -> Iterator[bytes]:
    opened = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(body, read_across_frames=True)
    while piece := opened.read(_STEP):
        yield piece


_OPENERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
