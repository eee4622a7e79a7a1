"""Pages made to hurt, each with the reason it has to end with."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat

import brotli  # type: ignore[import-untyped]
import zstandard

from pipeline.model import Reason
from tests.lab import LabRequest, Reply
from tests.lab.site import HTML, prose

MEBIBYTE = 2**20
BOMB = b"\0" * (64 * MEBIBYTE)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
TEXT = f"<p>{prose('Hostile')}</p>".encode()
GZIP = ("Content-Encoding", "gzip")
SMUGGLED = "smuggled-into-another-page"


@dataclass(frozen=True, slots=True)
class Hostile:
    """What a page answers, and why it is left out; None when it is read nevertheless."""

    reply: Reply
    reason: Reason | None


def html(body: bytes, reason: Reason | None, *headers: tuple[str, str]) -> Hostile:
    """A page that is hostile by what it says."""
    return Hostile(Reply(200, body, headers or (HTML,)), reason)


def encoded(body: bytes, encoding: str, reason: Reason) -> Hostile:
    """A page that claims this encoding."""
    return html(body, reason, HTML, ("Content-Encoding", encoding))


def raw(answer: bytes, reason: Reason | None, pieces: Iterable[bytes] | None = None, pause: float = 0) -> Hostile:
    """An answer that is hostile as HTTP."""
    return Hostile(Reply(raw=answer, pieces=pieces, pause=pause), reason)


def layered(body: bytes, layers: int) -> bytes:
    """A body packed in gzip so many times."""
    for _ in range(layers):
        body = gzip.compress(body, 1)
    return body


def zstd_with_window(body: bytes, log: int) -> bytes:
    """A body whose decoder must set aside two to the power of `log` bytes."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=log)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return writer.compress(body) + writer.flush()


def numbered(pattern: bytes, times: int) -> bytes:
    """A pattern with `%d` so many times, each with its number."""
    return b"".join(pattern % number for number in range(times))


def packed() -> dict[str, Hostile]:
    """Bodies that grow."""
    return {
        "/bomb-gzip": encoded(gzip.compress(BOMB), "gzip", Reason.TOO_LARGE),
        "/bomb-gzip-members": encoded(gzip.compress(BOMB[:MEBIBYTE]) * 200, "gzip", Reason.TOO_LARGE),
        "/bomb-br": encoded(brotli.compress(BOMB, quality=1), "br", Reason.TOO_LARGE),
        "/bomb-zstd": encoded(zstandard.compress(BOMB), "zstd", Reason.TOO_LARGE),
        "/bomb-zstd-window": encoded(zstd_with_window(TEXT, 27), "zstd", Reason.HTTP_ERROR),
        "/bomb-inside-bomb": encoded(layered(BOMB, 2), "gzip, gzip", Reason.TOO_LARGE),
        "/bomb-svg": html(
            gzip.compress(BOMB), Reason.TOO_LARGE, ("Content-Type", "image/svg+xml"), ("Content-Encoding", "gzip")
        ),
        "/layers": encoded(layered(b"x", 200), ", ".join(["gzip"] * 200), Reason.TOO_LARGE),
        "/unknown-encoding": encoded(TEXT, "rot13", Reason.HTTP_ERROR),
        "/false-encoding": encoded(TEXT, "gzip", Reason.HTTP_ERROR),
        "/endless": Hostile(Reply(200, b"", (HTML,), pieces=repeat(b"<p>" + b"word " * 10_000)), Reason.TOO_LARGE),
    }


def spoken() -> dict[str, Hostile]:
    """Answers that bend HTTP."""
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    smuggled = OK + b"Content-Length: 9999\r\n\r\n<h1>" + SMUGGLED.encode() + b"</h1>"
    cookies = b"".join(b"Set-Cookie: c%d=%s\r\n" % (number, b"x" * 4_000) for number in range(200))
    return {
        "/drip": Hostile(Reply(200, b"", (HTML,), pieces=repeat(b"x"), pause=0.2), Reason.TOO_SLOW),
        "/drip-headers": raw(OK, Reason.TOO_SLOW, repeat(b"X-Slow: 1\r\n"), 0.2),
        "/drip-chunks": raw(chunked, Reason.TOO_SLOW, repeat(b"1\r\nx\r\n"), 0.2),
        "/header-long": raw(OK + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n", Reason.TOO_LARGE),
        "/headers-10000": raw(OK + b"X-A: b\r\n" * 10_000 + b"\r\n", Reason.TOO_LARGE),
        "/headers-endless": raw(OK, Reason.TOO_LARGE, repeat(b"X-A: b\r\n" * 1_000)),
        "/header-endless": raw(OK + b"X-A: ", Reason.TOO_LARGE, repeat(b"b" * 10_000)),
        "/status-endless": raw(b"HTTP/1.1 200 ", Reason.TOO_LARGE, repeat(b"O" * 10_000)),
        "/interim-endless": raw(b"", Reason.TOO_LARGE, repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 500)),
        "/cookies": raw(OK + cookies + b"\r\n" + TEXT, Reason.TOO_LARGE),
        "/chunks-garbage": raw(chunked + b"zz\r\nnonsense", Reason.HTTP_ERROR),
        "/chunks-negative": raw(chunked + b"-5\r\nhello\r\n0\r\n\r\n", Reason.HTTP_ERROR),
        "/chunks-endless": raw(chunked, Reason.TOO_LARGE, repeat(b"10000\r\n" + b"word " * 13_107 + b"x\r\n")),
        "/chunks-tiny": raw(chunked, Reason.TOO_LARGE, repeat(b"1\r\nx\r\n" * 20_000)),
        "/chunk-extension": raw(chunked + b"5;a=", Reason.HTTP_ERROR, repeat(b"b" * 10_000)),
        "/chunk-trailers": raw(chunked + b"1\r\nx\r\n0\r\n", Reason.HTTP_ERROR, repeat(b"X-A: b\r\n" * 1_000)),
        "/length-short": raw(OK + b"Content-Length: 0\r\n\r\n" + smuggled, Reason.NOT_HTML),
        "/length-long": raw(OK + b"Content-Length: 9999\r\n\r\n<p>half", Reason.HTTP_ERROR),
        "/length-huge": raw(OK + b"Content-Length: 99999999999\r\n\r\n", Reason.TOO_LARGE),
        "/length-negative": raw(OK + b"Content-Length: -1\r\n\r\n" + TEXT, Reason.HTTP_ERROR),
        "/length-twice": raw(OK + b"Content-Length: 1\r\nContent-Length: 500\r\n\r\n" + TEXT, Reason.HTTP_ERROR),
        "/no-http": raw(b"220 mail.example.com ESMTP\r\n", Reason.HTTP_ERROR),
        "/http-0.9": raw(b"<!doctype html>" + TEXT, Reason.HTTP_ERROR),
        "/status-nonsense": raw(b"HTTP/1.1 abc OK\r\n\r\n" + TEXT, Reason.HTTP_ERROR),
        "/status-odd": raw(b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", Reason.HTTP_ERROR),
        "/switching": raw(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n" + b"\0" * 100, Reason.HTTP_ERROR),
        "/reset": Hostile(Reply(reset=True), Reason.HTTP_ERROR),
        "/silent": raw(b"", Reason.HTTP_ERROR),
    }


def led() -> dict[str, Hostile]:
    """Redirects that lead nowhere."""
    return {
        "/to-itself": Hostile(Reply(302, b"", (("Location", "/to-itself"),)), Reason.REDIRECT_LOOP),
        "/to-itself-cookie": Hostile(
            Reply(302, b"", (("Location", "/to-itself-cookie"), ("Set-Cookie", "a=b"))), Reason.REDIRECT_LOOP
        ),
        "/bad-location": Hostile(Reply(302, b"", (("Location", "http://[bad"),)), Reason.HTTP_ERROR),
        "/long-location": Hostile(Reply(302, b"", (("Location", "/" + "x" * 60_000),)), Reason.HTTP_ERROR),
        "/no-location": Hostile(Reply(302), Reason.REDIRECT_LOOP),
        "/file-location": Hostile(Reply(302, b"", (("Location", "file:///etc/hostname"),)), Reason.HTTP_ERROR),
    }


def written() -> dict[str, Hostile]:
    """Pages that hurt whoever parses them."""
    deep = b"<ul><li>" * 200 + b"bottom" + b"</li></ul>" * 200
    entities = b'<!DOCTYPE html [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    external = b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///proc/self/environ">]>'
    large = b"<div>" * 2_000_000 + b"x" * 400_000
    structured = b'<script type="application/ld+json">'
    return {
        **{f"/large-{number}": html(large, Reason.TOO_COMPLEX) for number in range(10)},
        "/nested": html(b"<div>" * 170_000, Reason.TOO_COMPLEX),
        "/tables": html(b"<table><tr><td>" * 20_000, Reason.TOO_COMPLEX),
        "/lists": html(b"<ul><li>" * 20_000, Reason.TOO_COMPLEX),
        "/lists-read": html(TEXT + deep, None),
        "/attributes": html(b"<p " + numbered(b" a%d=1", 100_000) + b">", Reason.TOO_COMPLEX),
        "/links": html(b"<a href=#>x" * 900_000, Reason.TOO_COMPLEX),
        "/links-packed": html(gzip.compress(b"<a href=#>x" * 1_000_000), Reason.TOO_LARGE, HTML, GZIP),
        "/links-read": html(TEXT + numbered(b'<a href="/fine/0#%d">x</a>', 20_000), None),
        "/urls-64k": html(TEXT + b'<a href="/' + b"u" * 65_536 + b'">x</a>' * 50, None),
        "/base-64k": html(b'<base href="http://' + b"b" * 65_536 + b'/">' + TEXT, None),
        "/pdf": html(b"%PDF-1.7\n" + b"\0" * 1_000, Reason.NOT_HTML),
        "/binary": html(bytes(range(256)) * 4_000, Reason.NOT_HTML),
        "/nul": html(TEXT.replace(b" ", b"\0 "), None),
        "/charset-utf16": html(TEXT, None, ("Content-Type", "text/html; charset=utf-16")),
        "/charset-codec": html(TEXT, None, ("Content-Type", "text/html; charset=zlib_codec")),
        "/charset-long": html(TEXT, None, ("Content-Type", "text/html; charset=" + "x" * 60_000)),
        "/entities": html(entities + TEXT + b"&b;" * 100_000, None),
        "/external": html(external + TEXT + b"<p>&x;</p>", None),
        "/references": html(TEXT + b"<p>" + b"&amp;&#x41;&notanentity" * 100_000, None),
        "/css": html(b"<style>" + b".a{color:red}" * 200_000 + b"</style>" + TEXT, None),
        "/css-open": html(b"<style>" + b"/*" * 500_000 + b"</style>" + TEXT, None),
        "/css-inline": html(TEXT + b'<p style="' + b"display : none ;" * 100_000 + b'">x', None),
        "/json": html(structured + b'{"@type":"Thing","a":"' + b"x" * (4 * MEBIBYTE) + b'"}</script>' + TEXT, None),
        "/json-deep": html(structured + b"[" * 500_000 + b"</script>" + TEXT, None),
        "/regex": html(TEXT + b'<p class="' + b"a-" * 500_000 + b'" id="' + b" " * 500_000 + b'">x', None),
        "/title": html(b"<title>" + b"- " * 500_000 + b"</title>" + TEXT, None),
        "/comment": html(TEXT + b"<!--" * 500_000, None),
        "/svg": html(TEXT + b"<svg>" + b"<path d='M0 0'></path>" * 50_000 + b"</svg>", None),
        "/options": html(TEXT + b"<select>" + b"<option>x" * 100_000 + b"</select>", None),
        "/spans": html(TEXT + b"<table>" + b"<tr><td rowspan=65000 colspan=1000>x" * 500 + b"</table>", None),
    }


LEADING = {f"/circle/{number}": Reason.REDIRECT_LOOP for number in range(3)}


def hostile() -> dict[str, Hostile]:
    """Every hostile page by its path."""
    return packed() | spoken() | led() | written()


def circle(request: LabRequest) -> Reply | None:
    """Redirects in a circle, and from one address to the next for ever."""
    kind, _, number = request.path.strip("/").partition("/")
    if kind == "circle":
        return Reply(302, b"", (("Location", f"/circle/{(int(number) + 1) % 3}"),))
    if kind == "chain":
        return Reply(302, b"", (("Location", f"/chain/{int(number) + 1}"),))
    return None


def sitemaps(url: str) -> dict[str, bytes]:
    """Sitemaps that hurt, by their path."""
    page = f"<url><loc>{url}/fine/0</loc></url>".encode()
    lol = b"".join(b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10))
    return {
        "/lol.xml": b'<!DOCTYPE u [<!ENTITY l0 "lol">' + lol + b"]><urlset><url><loc>/lol/&l9;</loc></url></urlset>",
        "/external.xml": b'<!DOCTYPE u [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
        b"<urlset><url><loc>/external/&x;</loc></url></urlset>",
        "/loop.xml": f"<sitemapindex><sitemap><loc>{url}/loop.xml</loc></sitemap>"
        f"<sitemap><loc>{url}/loop2.xml</loc></sitemap></sitemapindex>".encode(),
        "/loop2.xml": f"<sitemapindex><sitemap><loc>{url}/loop.xml</loc></sitemap></sitemapindex>".encode(),
        "/bomb.xml.gz": gzip.compress(BOMB),
        "/bomb-elements.xml.gz": gzip.compress(b"<urlset>" + page + b"<a>" * 10_000_000),
        "/attlist.xml": b"<!DOCTYPE u [<!ATTLIST url " + numbered(b" a%d CDATA 'x'", 200_000) + b">]><urlset/>",
        "/name.xml.gz": gzip.compress(b"<" + b"a" * 40_000_000),
        "/long.xml": b"<urlset><url><loc>/long/" + b"x" * 65_536 + b"</loc></url></urlset>",
    }
