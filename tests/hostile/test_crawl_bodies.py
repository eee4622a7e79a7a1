"""Pages made to hurt: each ends with its own reason, and the pages beside it are all there."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import repeat

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from pipeline.model import Reason
from spiders.body import BodyBroken, BodyTooLarge, decode, gunzip, why_not_html
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabRequest, LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import HTML, make_page

MEBIBYTE = 2**20
BOMB = b"\0" * (64 * MEBIBYTE)
SMALL = b"<p>hello</p>" * 100
ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;">]>
<urlset><url><loc>http://example.org/&lol2;</loc></url></urlset>"""
EXTERNAL = b"""<?xml version="1.0"?><!DOCTYPE u [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<urlset><url><loc>http://example.org/&x;</loc></url></urlset>"""


def layered(body: bytes, layers: int) -> bytes:
    """A body packed in gzip so many times."""
    for _ in range(layers):
        body = gzip.compress(body, 1)
    return body


def encoded(body: bytes, encoding: str) -> Reply:
    """A page that claims this encoding."""
    return Reply(200, body, (HTML, ("Content-Encoding", encoding)))


def endless() -> Iterator[bytes]:
    """A body without end."""
    return repeat(b"<p>" + b"word " * 10_000)


def build(site: LabSite) -> None:
    """A site where every second page is out to hurt."""
    hostile = {
        "/bomb-gzip": encoded(gzip.compress(BOMB), "gzip"),
        "/bomb-br": encoded(brotli.compress(BOMB, quality=1), "br"),
        "/bomb-zstd": encoded(zstandard.compress(BOMB), "zstd"),
        "/bomb-inside-bomb": encoded(layered(BOMB, 2), "gzip, gzip"),
        "/layers": encoded(b"x", ", ".join(["gzip"] * 200)),
        "/unknown-encoding": encoded(SMALL, "rot13"),
        "/false-encoding": encoded(SMALL, "gzip"),
        "/endless": Reply(200, b"", (HTML,), pieces=endless()),
        "/drip": Reply(200, b"", (HTML,), pieces=repeat(b"x"), pause=0.2),
        "/headers": Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n"),
        "/many-headers": Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 40_000 + b"\r\n"),
        "/reset": Reply(reset=True),
        "/cut": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9999\r\n\r\n<p>half"),
        "/no-http": Reply(raw=b"220 mail.example.com ESMTP\r\n"),
        "/nested": Reply(200, b"<div>" * 170_000, (HTML,)),
        "/attributes": Reply(200, b"<p " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">", (HTML,)),
        "/declared-large": Reply(
            raw=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99999999999\r\n\r\n"
        ),
        "/bad-location": Reply(302, b"", (("Location", "http://[bad"),)),
        "/long-location": Reply(302, b"", (("Location", "/" + "x" * 60_000),)),
    }
    links = [*hostile, *(f"/fine/{number}" for number in range(20)), "/" + "u" * 4_000, "http://[bad", "http://\0/"]
    site.page("/", links=links)
    for path, reply in hostile.items():
        site.answers(path, reply)
    site.serve(fine)
    site.robots(f"Sitemap: {site.url}/lol.xml\nSitemap: {site.url}/external.xml\nSitemap: {site.url}/loop.xml\n")
    site.respond("/lol.xml", body=ENTITIES)
    site.respond("/external.xml", body=EXTERNAL)
    site.sitemap_index(["/loop.xml", "/bomb.xml.gz"], path="/loop.xml")
    site.respond("/bomb.xml.gz", body=gzip.compress(BOMB))


def fine(request: LabRequest) -> Reply | None:
    """The pages a customer wants."""
    if request.path.startswith("/fine/"):
        return Reply(200, make_page(f"Fine {request.path}").encode(), (HTML,))
    return None


@pytest.fixture(scope="module")
def ledger() -> Iterator[FakeLedger]:
    """The hostile site, crawled once with a short patience."""
    settings = {"SITEWISE_CRAWL__REQUEST_TIMEOUT": "PT3S", "SITEWISE_EXTRACT__TIMEOUT": "PT5S"}
    with LabSite() as site:
        build(site)
        kept = FakeLedger(make_plan(f"{site.url}/"))
        assert crawl(kept, settings=settings, seconds=120) == 0
        yield kept


def reason(ledger: FakeLedger, path: str) -> Reason | None:
    """Why a path was left out."""
    return ledger.reasons().get(ledger.crawl.start_url.rstrip("/") + path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/bomb-gzip", Reason.TOO_LARGE),
        ("/bomb-br", Reason.TOO_LARGE),
        ("/bomb-zstd", Reason.TOO_LARGE),
        ("/bomb-inside-bomb", Reason.TOO_LARGE),
        ("/layers", Reason.TOO_LARGE),
        ("/unknown-encoding", Reason.HTTP_ERROR),
        ("/false-encoding", Reason.HTTP_ERROR),
        ("/endless", Reason.TOO_LARGE),
        ("/drip", Reason.TOO_SLOW),
        ("/headers", Reason.TOO_LARGE),
        ("/many-headers", Reason.TOO_LARGE),
        ("/reset", Reason.HTTP_ERROR),
        ("/cut", Reason.HTTP_ERROR),
        ("/no-http", Reason.HTTP_ERROR),
        ("/nested", Reason.TOO_COMPLEX),
        ("/attributes", Reason.TOO_COMPLEX),
        ("/declared-large", Reason.TOO_LARGE),
        ("/bad-location", Reason.HTTP_ERROR),
        ("/long-location", Reason.HTTP_ERROR),
    ],
)
def test_a_hostile_page_ends_with_its_own_reason(ledger: FakeLedger, path: str, why: Reason) -> None:
    """Bombs, drips, floods and lies each have a word, and none ends the crawl."""
    assert reason(ledger, path) is why


def test_the_pages_beside_them_are_all_there(ledger: FakeLedger) -> None:
    """Nothing a hostile page does costs a good one."""
    assert sum("/fine/" in url for url in ledger.kept()) == 20


def test_no_sitemap_entity_is_expanded(ledger: FakeLedger) -> None:
    """Entity declarations make a sitemap unreadable, whatever they name."""
    assert not any("lol" in key or "hostname" in key for key in ledger.rows)


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


def test_a_zstd_window_we_cannot_afford_is_refused() -> None:
    """The sender does not choose our memory."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = writer.compress(SMALL) + writer.flush()

    with pytest.raises(BodyBroken):
        decode(packed, "zstd", limit=MEBIBYTE)


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
