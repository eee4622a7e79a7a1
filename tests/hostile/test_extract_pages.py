"""Pages made to hurt a parser are refused in time, or read."""

from __future__ import annotations

import codecs
import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DocumentTooLong, ExtractionFailed, PageTooComplex
from pipeline.stages.extract import extract
from pipeline.stages.extract.decoding import decode
from pipeline.stages.extract.guard import check_complexity
from pipeline.stages.extract.links import MAX_LINKS

URL = "https://www.example.com/"
TEXT = "<p>The pump is delivered with a hose of three metres, a filter and a short manual.</p>"


@pytest.mark.parametrize(
    "html",
    [
        b"<div>" * 170_000,
        b'<div a="</div>">' * 170_000,
        b"<div><!-- </div> -->" * 20_000,
        b"<font><b>" * 20_000,
        b"<p " + b" ".join(b"a%d" % number for number in range(100_000)) + b">x",
        b'<p x=">" ' + b" ".join(b'a%d="1"' % number for number in range(100_000)) + b">x",
        b"<i></i>" * 450_000,
    ],
    ids=["nested", "closed in attributes", "closed in comments", "inline", "attributes", "quoted", "tags"],
)
def test_a_page_that_would_cost_minutes_is_refused_at_once(html: bytes) -> None:
    """Absurd nesting, attributes and tags are refused before parsing, in linear time."""
    began = time.process_time()

    with pytest.raises(PageTooComplex):
        extract(html, url=URL)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "html",
    [
        b"<" * 1_000_000,
        b"<a " * 300_000,
        b"<a b='" * 200_000,
        b'<a b="x' * 200_000,
        b"<!--" * 300_000,
        b"</" * 500_000,
        b"<script>" * 150_000,
        b"<p>&" + b"amp;" * 300_000,
        b"<style>" + b"/*" * 300_000 + b"</style><p>x",
        b"<style>" + b".a{" * 200_000 + b"</style><p>x",
        b"<p style='" + b"a:b;" * 200_000 + b"'>x",
        b"<title>" + b" - " * 200_000 + b"</title><p>x",
        b"<p>" + b" ." * 300_000,
        b"<p class='" + b"Aa-" * 300_000 + b"'>x",
        b"<table>" + b"<tr><td rowspan=9999 colspan=9999>x" * 3_000,
    ],
)
def test_long_nonsense_takes_no_time(html: bytes) -> None:
    """No input makes extraction slower than its length explains."""
    began = time.process_time()

    with contextlib.suppress(ExtractionFailed):
        extract(html, url=URL)

    assert time.process_time() - began < 5


def test_a_million_links_are_cut_off() -> None:
    """A page of links keeps the first of them; the others are a trap."""
    html = TEXT.encode() + b"".join(b"<a href=/%d>x</a>" % number for number in range(100_000))

    document = extract(html, url=URL)

    assert len(document.links) == MAX_LINKS


def test_deep_but_real_nesting_is_read() -> None:
    """Text nested deeper than any real page still comes out, hidden text still not."""
    html = "<div>" * 400 + TEXT + "<p hidden>secret words</p>" + "</div>" * 400

    document = extract(html.encode(), url=URL)

    assert "The pump is delivered" in document.markdown
    assert "secret" not in document.markdown


@pytest.mark.parametrize(
    ("html", "content_type"),
    [
        ("<p>Größe</p>".encode("latin-1"), "text/html; charset=iso-8859-1"),
        ("<p>Größe</p>".encode("latin-1"), "text/html; charset=utf-8"),
        ("<p>Größe</p>".encode(), "text/html; charset=iso-8859-1"),
        ("<meta charset=utf-16><p>Größe</p>".encode(), None),
        ("<meta charset=windows-1252><p>Größe</p>".encode("cp1252"), None),
        (codecs.BOM_UTF16_LE + "<p>Größe</p>".encode("utf-16-le"), "text/html; charset=utf-8"),
        ("\ufeff<p>Größe</p>".encode(), None),
        ("<p>Gr\x00öße</p>".encode(), "text/html; charset=none-such"),
        ("<p>Größe</p>".encode(), "text/html; charset=hex"),
        (b"\xff" + "<p>Größe, Maße, Öl, Übermaß</p>".encode(), None),
    ],
)
def test_lying_charsets_are_seen_through(html: bytes, content_type: str | None) -> None:
    """The bytes decide where the label cannot be right."""
    assert "Größe" in decode(html, content_type)


def test_binary_is_no_page() -> None:
    """A file that is no text leaves no text, and raises nothing but its own failure."""
    try:
        document = extract(bytes(range(256)) * 4_000, url=URL)
    except ExtractionFailed:
        return

    assert len(document.markdown) < 4_000 * 256


@settings(max_examples=150, deadline=2_000)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(html: bytes) -> None:
    """Whatever the bytes, the outcome is a document or a named failure."""
    try:
        document = extract(html, url=URL)
    except ExtractionFailed:
        return

    assert document.url == URL


_TAGS = st.sampled_from(
    (
        "div",
        "p",
        "ul",
        "li",
        "table",
        "tr",
        "td",
        "th",
        "h1",
        "a",
        "b",
        "pre",
        "code",
        "dl",
        "dt",
        "dd",
        "details",
        "nav",
        "br",
    )
)


@settings(max_examples=150, deadline=2_000)
@given(st.lists(st.tuples(_TAGS, st.sampled_from(("<", "</")), st.text(max_size=8)), max_size=40))
def test_any_mix_of_tags_keeps_its_words_sane(parts: list[tuple[str, str, str]]) -> None:
    """Tags in any order give a document whose hash is that of a second reading."""
    html = "".join(f"{mark}{tag}>{text}" for tag, mark, text in parts).encode("utf-8", "replace") or b"<p>"

    try:
        one, two = extract(html, url=URL), extract(html, url=URL)
    except ExtractionFailed:
        return

    assert one == two


def test_an_ordinary_page_passes_the_guard() -> None:
    """Unclosed paragraphs, rows and items are no nesting."""
    check_complexity(b"<p>x<li>y<tr><td>z<br><img src=a>" * 20_000)


@pytest.mark.parametrize("cells", ["<th colspan=50>a</th>" * 400, "<th>a</th>" * 2_000], ids=["spanned", "single"])
def test_one_wide_row_does_not_widen_all_others(cells: str) -> None:
    """A table's Markdown is about as long as the table: what is wide is not what every other row is padded to."""
    rows = "<tr><td>A kettle costs 5 EUR and holds two litres.</td></tr>" * 200
    html = f"<main>{TEXT}<table><tr>{cells}</tr>{rows}</table></main>"

    document = extract(html.encode(), url=URL)

    assert document.markdown.count("two litres") > 150
    assert len(document.markdown) < 10 * len(html)


def test_a_page_with_more_text_than_anybody_writes_is_refused() -> None:
    """Cells repeated over many rows may say more than the page's bytes: the text is bounded like a document's."""
    row = "<tr>" + f"<th rowspan=50>{'The pump is delivered with a hose. ' * 60}</th>" * 50 + "<td>a</td></tr>"
    html = f"<main>{TEXT}<table>{row}{'<tr><td>b</td></tr>' * 49}</table></main>"

    with pytest.raises(DocumentTooLong):
        extract(html.encode(), url=URL)
