"""Sitemaps in every form they have, and in forms they should not have."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spiders.sitemap import ENTRY_LIMIT, SitemapBroken, SitemapEntry, read_sitemap

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def test_pages_come_with_their_date_and_their_other_languages() -> None:
    """`lastmod` and `hreflang` alternates belong to the page they stand with."""
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
    <urlset {NAMESPACE} xmlns:xhtml="http://www.w3.org/1999/xhtml" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
      <url>
        <loc> https://example.com/a?b=1&amp;c=2 </loc><lastmod>2026-01-02</lastmod>
        <xhtml:link rel="alternate" hreflang="de" href="https://example.com/de/a"/>
        <image:image><image:loc>https://example.com/a.png</image:loc></image:image>
      </url>
      <url><loc>https://example.com/b</loc></url>
      <url><lastmod>2026-01-02</lastmod></url>
    </urlset>""".encode()

    found = read_sitemap(body)

    assert found.children == []
    assert found.entries == [
        SitemapEntry("https://example.com/a?b=1&c=2", "2026-01-02", ("https://example.com/de/a",)),
        SitemapEntry("https://example.com/b"),
    ]


def test_an_index_names_further_sitemaps() -> None:
    """Their dates are theirs, not a page's."""
    body = (
        f"<sitemapindex {NAMESPACE}><sitemap><loc>/a.xml</loc><lastmod>2026</lastmod></sitemap></sitemapindex>".encode()
    )

    found = read_sitemap(body)

    assert found.children == ["/a.xml"]
    assert found.entries == []


@pytest.mark.parametrize(
    "body",
    [
        b"<urlset><url><loc>https://example.com/a</loc></url></urlset>",
        b"\xef\xbb\xbf<urlset><url><loc>https://example.com/a</loc></url></urlset>",
        b"<urlset><url><loc><![CDATA[https://example.com/a]]></loc></url></urlset>",
        b"<urlset><url><loc>https://example.com/a</loc></url><url><loc>https://exam",
        b"<rss><channel><item><link>https://example.com/a</link></item></channel></rss>",
        b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="https://example.com/a"/></entry></feed>',
        b"https://example.com/a\n",
        b"\xef\xbb\xbfhttps://example.com/a\r\nnot a url\r\n",
        "<urlset><url><loc>https://example.com/a</loc></url></urlset>".encode("utf-16"),
    ],
)
def test_every_common_form_is_read(body: bytes) -> None:
    """With and without namespaces, marks, CDATA, broken off, feeds and plain lists."""
    assert [entry.url for entry in read_sitemap(body).entries] == ["https://example.com/a"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><title>Not found</title>",
        b'<!DOCTYPE u [<!ENTITY a "b">]><urlset><url><loc>https://example.com/&a;</loc></url></urlset>',
        b'<!DOCTYPE u [<!ENTITY a SYSTEM "file:///etc/hostname">]><urlset><url><loc>&a;</loc></url></urlset>',
        b'<!DOCTYPE u [<!ENTITY % a SYSTEM "http://127.0.0.1/"> %a;]><urlset/>',
        b'<?xml version="1.0" encoding="no-such"?><urlset><url><loc>a</loc></url></urlset>',
        b"\x00\x01\x02",
    ],
)
def test_what_is_no_sitemap_is_said_to_be_none(body: bytes) -> None:
    """Error pages, entities of any kind and noise."""
    with pytest.raises(SitemapBroken):
        read_sitemap(body)


def test_one_file_gives_no_more_than_it_may() -> None:
    """The fifty-thousandth URL is the last."""
    body = b"<urlset>" + b"<url><loc>https://example.com/a</loc></url>" * (ENTRY_LIMIT + 10) + b"</urlset>"

    assert len(read_sitemap(body).entries) == ENTRY_LIMIT


PAGE = b"<url><loc>https://example.com/a</loc></url>"


@pytest.mark.parametrize(
    "rest",
    [
        b"<a>" * 3_000_000,
        b"<a " + b" ".join(b"a%d='1'" % number for number in range(500_000)) + b">",
        b"<a " + b" ".join(b"xmlns:a%d='u'" % number for number in range(50_000)) + b"/>",
        b"<" + b"a" * 20_000_000,
        b"<a b='" + b"x" * 20_000_000,
        b"<!--" + b" >" * 10_000_000,
        b"<![CDATA[" + b"x>" * 10_000_000,
        b"<a/>" * 2_000_000,
        b"".join(b"<a%d/>" % number for number in range(300_000)),
        b"<loc>" + b"x" * 20_000_000,
        b"&#65;" * 2_000_000,
        b"<url>" + b"<link hreflang='a' href='b'/>" * 300_000,
        b"<sitemap><loc>https://example.com/b.xml</loc></sitemap>" * 200_000,
    ],
    ids=[
        "nesting",
        "attributes",
        "namespaces",
        "name",
        "value",
        "comment",
        "cdata",
        "elements",
        "names",
        "text",
        "references",
        "alternates",
        "index",
    ],
)
def test_nonsense_costs_no_time(rest: bytes) -> None:
    """What came before it is kept, and what no sitemap needs is not read to its end."""
    began = process_time()

    found = read_sitemap(b"<urlset>" + PAGE + rest)

    assert process_time() - began < 5
    assert [entry.url for entry in found.entries] == ["https://example.com/a"]


@pytest.mark.parametrize(
    "declared",
    [
        b"<!ATTLIST a " + b" ".join(b"a%d CDATA 'x'" % number for number in range(200_000)) + b">",
        b"<!ELEMENT a (b)>" * 100_000,
        b'<!ENTITY a "b">' * 100_000,
    ],
    ids=["attributes", "elements", "entities"],
)
def test_declarations_are_not_read(declared: bytes) -> None:
    """A file that declares anything is refused where that begins."""
    began = process_time()

    with pytest.raises(SitemapBroken, match="declares"):
        read_sitemap(b"<!DOCTYPE a [" + declared + b"]><urlset>" + PAGE + b"</urlset>")

    assert process_time() - began < 2


def test_a_list_of_nothing_costs_no_memory() -> None:
    """Lines are looked at one by one, and only so many of them."""
    body = b"http://example.com/a\n" + b"x\n" * 5_000_000

    assert [entry.url for entry in read_sitemap(body).entries] == ["http://example.com/a"]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_sitemap_or_none(body: bytes) -> None:
    """No file makes the reader fail in another way."""
    for start in (b"", b"<urlset><url><loc>", b"http"):
        try:
            found = read_sitemap(start + body)
        except SitemapBroken:
            continue
        assert len(found.entries) <= ENTRY_LIMIT


@pytest.mark.parametrize(
    "body",
    [
        "<rss><channel><link>/</link><pubDate>1</pubDate><image><url>/i.png</url><link>/</link></image>{}</channel></rss>",
        '<feed><link href="/"/><link rel="alternate" hreflang="de" href="/de/"/><updated>1</updated>{}</feed>',
    ],
    ids=["RSS", "Atom"],
)
def test_what_a_feed_says_of_itself_is_of_no_entry(body: str) -> None:
    """The first article is itself, not the feed's front page."""
    entry = "item" if "<rss>" in body else "entry"
    items = f"<{entry}><link>/new</link><image><url>/n.png</url></image></{entry}><{entry}><link>/old</link></{entry}>"

    found = read_sitemap(body.format(items).encode())

    assert found.entries == [SitemapEntry("/new"), SitemapEntry("/old")]


def test_blank_lines_before_the_declaration_are_passed_over() -> None:
    """Templates often leave one there, and no XML parser takes it."""
    body = b'\xef\xbb\xbf\r\n\n <?xml version="1.0"?><urlset><url><loc>/a</loc></url></urlset>'

    assert read_sitemap(body).entries == [SitemapEntry("/a")]
