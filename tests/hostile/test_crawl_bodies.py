"""Bodies are unpacked within limits, and known for what they are."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from random import Random

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from spiders.body import BodyBroken, BodyTooLarge, decode, gunzip, why_not_html
from tests.hostile.pages import BOMB, MEBIBYTE, zstd_with_window

SMALL = b"<p>hello</p>" * 100


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(SMALL), "gzip"),
        (gzip.compress(SMALL[:600]) + gzip.compress(SMALL[600:]), "x-gzip"),
        (zlib.compress(SMALL), "deflate"),
        (zlib.compress(SMALL)[2:-4], "deflate"),
        (brotli.compress(SMALL), "br"),
        (zstandard.compress(SMALL), "zstd"),
        (gzip.compress(brotli.compress(SMALL)), "br, gzip"),
        (SMALL, "identity"),
        (SMALL, ""),
    ],
    ids=["gzip", "two members", "zlib", "raw deflate", "br", "zstd", "br in gzip", "identity", "none"],
)
def test_honest_encodings_are_undone(packed: bytes, encoding: str) -> None:
    """Every encoding we ask for is read, two layers deep."""
    assert decode(packed, encoding, limit=MEBIBYTE) == SMALL


def test_a_truncated_body_gives_what_it_holds() -> None:
    """Some servers cut the last bytes of a stream."""
    assert SMALL.startswith(decode(gzip.compress(SMALL)[:-8], "gzip", limit=MEBIBYTE))


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    """The limit is met while unpacking, not after."""
    for packed, encoding in ((gzip.compress(BOMB), "gzip"), (zstandard.compress(BOMB), "zstd")):
        with pytest.raises(BodyTooLarge):
            decode(packed, encoding, limit=MEBIBYTE)


def test_a_body_of_empty_members_is_broken() -> None:
    """Each has 20 bytes and gives none: what unpacks them has an end."""
    member = gzip.compress(b"")

    assert decode(member * 999 + gzip.compress(SMALL), "gzip", limit=MEBIBYTE) == SMALL
    with pytest.raises(BodyBroken, match="1000 gzip members"):
        decode(member * 1_001, "gzip", limit=MEBIBYTE)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda body: zlib.compress(body)[2:-4]])
def test_bodies_longer_than_a_window_come_whole(pack: Callable[[bytes], bytes]) -> None:
    """What is fed piece by piece is joined without a gap, incompressible or long-repeated."""
    mixed = Random(1).randbytes(300_000) + b"ab" * 200_000  # noqa: S311 - an example

    assert decode(pack(mixed), "gzip" if pack is gzip.compress else "deflate", limit=MEBIBYTE) == mixed
    assert decode(gzip.compress(mixed) * 3, "gzip", limit=4 * MEBIBYTE) == mixed * 3


def test_a_zstd_window_we_cannot_afford_is_refused() -> None:
    """The sender does not choose our memory."""
    with pytest.raises(BodyBroken):
        decode(zstd_with_window(SMALL, 27), "zstd", limit=MEBIBYTE)


def test_a_file_that_is_not_gzip_is_itself() -> None:
    """Sitemaps named .gz are often sent unpacked."""
    assert gunzip(b"<urlset/>", limit=MEBIBYTE) == b"<urlset/>"


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (b"<!doctype html><p>hi", "text/html", None),
        (b"<!doctype html><p>hi", "Text/HTML; charset=x", None),
        (b"\xff\xfe" + "<p>hi".encode("utf-16-le") * 20, "text/html", None),
        (b"<p>plain words", "application/xhtml+xml", None),
        (b"  <!-- c --> <html>", "", None),
        (b"just text", "", "no content type"),
        (b"%PDF-1.7", "text/html", "PDF"),
        (b"\x89PNG\r\n", "text/html", "PNG image"),
        (bytes(range(1, 9)) * 100, "text/html", "binary"),
        (b"{}", "application/json", "application/json"),
        (b"hello", "text/plain", "text/plain"),
    ],
)
def test_html_is_told_by_its_type_and_its_bytes(body: bytes, content_type: str, problem: str | None) -> None:
    """What lies about its type is found out, what has none is looked at."""
    assert why_not_html(body, content_type) == problem
