"""What must hold whatever a parser is given. Each target takes any bytes, and fails only where a promise is broken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from pipeline.errors import ExtractionFailed, InvalidPattern, InvalidUrl
from pipeline.rules import CrawlRules, PathPattern
from pipeline.stages.extract import extract
from pipeline.urls import MAXIMUM_LENGTH, canonical, split, url_key
from spiders.body import BodyBroken, BodyTooLarge, decode, why_not_html
from spiders.robots import BODY_LIMIT, header_directives, read_robots
from spiders.sitemap import ENTRY_LIMIT, SitemapBroken, read_sitemap

BASE = "https://www.example.com/a/b?c=d"
AGENT = "SitewiseBot"
LIMIT = 2**20


def canonical_urls(given: bytes) -> None:
    """A canonical URL is its own canonical form, names one host, and folds to the key of what it was made of."""
    text = given.decode("utf-8", "replace")
    for base in (None, BASE):
        try:
            once = canonical(text, base)
        except InvalidUrl:
            continue
        assert canonical(once) == once
        assert canonical(once, BASE) == once
        assert once.isascii()
        assert len(once) <= MAXIMUM_LENGTH
        assert once.startswith(("http://", "https://"))
        assert str(split(once)) == once
        assert url_key(url_key(once)) == url_key(once)
        if base is None:
            assert url_key(text) == url_key(once)


def robots(given: bytes) -> None:
    """Any file gives rules that answer, and a delay within its bounds."""
    rules = read_robots(200, given, AGENT)
    for url in (BASE, "https://www.example.com/", "https://www.example.com/" + "a" * 500):
        assert rules.allows(url) in {True, False}
    assert 0 <= rules.delay.total_seconds() <= 30
    assert all(isinstance(url, str) for url in rules.sitemaps)
    assert all(word == word.lower() for word in header_directives([given[:500].decode("latin-1")], AGENT))
    assert len(given) <= BODY_LIMIT or read_robots(200, given[:BODY_LIMIT], AGENT).sitemaps == rules.sitemaps


def sitemaps(given: bytes) -> None:
    """Any file is a sitemap of bounded size, or none."""
    for start in (b"", b"<urlset><url><loc>", b"<!DOCTYPE u [", b"http://"):
        with suppress(SitemapBroken):
            found = read_sitemap(start + given)
            assert max(len(found.entries), len(found.children)) <= ENTRY_LIMIT


def patterns(given: bytes) -> None:
    """Any text is a pattern that decides every URL, or is refused; it never means another site."""
    text = given.decode("utf-8", "replace")
    for source in (text, f"re:{text}"):
        with suppress(InvalidPattern):
            pattern = PathPattern.read(source)
            for url in (BASE, "https://www.example.com/" + "a" * 1_000 + "!"):
                assert pattern.matches(split(url)) in {True, False}
            rules = CrawlRules.read(BASE, include=[source])
            assert rules.decide("https://elsewhere.example/", 0) is not None


def pages(given: bytes) -> None:
    """Any bytes are a document, the same one twice, or are refused by name."""
    for start, content_type in ((b"", None), (b"<!doctype html><body>", "text/html; charset=utf-8")):
        with suppress(ExtractionFailed):
            one = extract(start + given, url=BASE, content_type=content_type)
            assert one == extract(start + given, url=BASE, content_type=content_type)
            assert "\0" not in one.markdown


def bodies(given: bytes) -> None:
    """Any bytes under any encoding come out within the limit, or are refused."""
    name, _, body = given.partition(b"\n")
    for encoding in (name.decode("latin-1"), "gzip", "deflate", "br", "zstd", "br, gzip"):
        with suppress(BodyBroken, BodyTooLarge):
            assert len(decode(body, encoding, limit=LIMIT)) <= LIMIT
    assert why_not_html(body, name.decode("latin-1")) != ""


TARGETS: dict[str, Callable[[bytes], None]] = {
    "urls": canonical_urls,
    "robots": robots,
    "sitemaps": sitemaps,
    "patterns": patterns,
    "pages": pages,
    "bodies": bodies,
}

SEEDS: dict[str, tuple[bytes, ...]] = {
    "urls": (
        b"http://user@[::1]:080/%2e%2E/a;jsessionid=1/index.html?b=1&utm_source=x#y",
        "http:\\\\\u2460.\u24ea\u3002b\u00fccher.example:443//./..?%zz".encode(),
        b"//0x7f.1/(S(a))/default.aspx/index.php?sid=0123456789abcdef",
    ),
    "robots": (
        b"\xef\xbb\xbfUser-agent: *\nDisallow: /*?a=$\nAllow: /%7e*\nCrawl-delay: 1e9\nSitemap: /x.xml\n",
        b"\xff\xfeU\0s\0e\0r\0-\0a\0g\0e\0n\0t\0:\0*\0\n\0",
        b"max-snippet: 5, SitewiseBot: noindex, none",
    ),
    "sitemaps": (
        b"http://a</loc><lastmod>2026</lastmod></url><sitemap><loc>b</loc></sitemap><!-- -->",
        b'<?xml version="1.0" encoding="utf-16"?><rss><item><link>x</link></item><![CDATA[',
        b'<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>',
    ),
    "patterns": (b"/docs/**?a=*", b"^/(a|b){2,5}[^\\]\\d\\p{L}(?i)$", b"(((((.*)*)*)*)*)"),
    "pages": (
        b"<main><h1>a</h1><ul><li>b<table><tr><td rowspan=9>c</table></ul><pre>\td</pre><details><summary>e",
        b'<style>.a{display:none}</style><p class=a style="color:#fff;background:#fff">x<base href="//[">',
        b'<script type="application/ld+json">{"@type":["FAQPage",1],"mainEntity":[null,{}]}</script><svg><![CDATA[',
        b"<?x><!x><p>\xff\xfe\0&#0;&#x110000;&#xD800;\xef\xbf\xbf<plaintext></p>",
    ),
    "bodies": (b"gzip\n\x1f\x8b\x08", b"br\n\x0b\x02\x80hello\x03", b"zstd, gzip\n\x28\xb5\x2f\xfd"),
}
"""Where a fuzzer begins: inputs that reach deep."""
