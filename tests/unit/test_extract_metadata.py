"""What a page says about itself in its head, and by what letters its bytes are read."""

from __future__ import annotations

import pytest
from lxml import html

from pipeline.stages.extract.decoding import decode
from pipeline.stages.extract.language import language_of
from pipeline.stages.extract.metadata import declared_language, read_breadcrumbs, read_dates, read_meta, read_title

URL = "https://www.aqua-pumps.com/help/page.html"


def page(head: str = "", body: str = "<p>Text.</p>", attributes: str = "") -> html.HtmlElement:
    """A page with this head and body."""
    return html.document_fromstring(f"<html {attributes}><head>{head}</head><body>{body}</body></html>")


def dates(body: str, head: str = "", **structured: str) -> tuple[str | None, str | None]:
    """When a page says it was published and changed."""
    root = page(head, body)
    return read_dates(root, read_meta(root), structured)


def test_the_first_value_of_a_name_counts() -> None:
    """Names of all four kinds are folded, blanks become one, and tags without name or content are none."""
    root = page(
        '<meta charset="utf-8"><meta name=" Description " content="A\n pump"><meta name="description" content="Other">'
        '<meta property="og:title" content="Pump"><meta itemprop="datePublished" content="2024-05-01">'
        '<meta http-equiv="Content-Language" content="de"><meta name="empty" content=""><meta content="lost">'
    )

    assert read_meta(root) == {
        "description": "A pump",
        "og:title": "Pump",
        "datepublished": "2024-05-01",
        "content-language": "de",
    }


@pytest.mark.parametrize(
    ("title", "shared", "site", "headline", "expected"),
    [
        ("Fit the filter | Aqua Pumps", "", "", "", "Fit the filter"),
        ("Aqua Pumps: shop", "", "Aqua Pumps", "Fit the filter", "Aqua Pumps: shop"),
        ("Aqua Pumps", "", "Aqua Pumps", "Fit the filter", "Fit the filter"),
        ("Aqua Pumps", "", "Aqua Pumps", "Aqua-Pumps", "Aqua Pumps"),
        ("Aqua Pumps", "", "Aqua Pumps", "", "Aqua Pumps"),
        ("Help - Fit the filter - Unknown Ltd", "", "", "Help: Fit the filter", "Help - Fit the filter"),
        ("Fit the filter - a guide - Unknown Ltd", "Fit the filter", "", "", "Fit the filter"),
        ("Fit the filter - a guide", "", "", "", "Fit the filter - a guide"),
        ("", "Fit the filter | aqua-pumps.com", "", "", "Fit the filter"),
        ("", "", "", "Fit the filter", "Fit the filter"),
        ("?? | !!", "", "", "", "?? | !!"),
        ("x" * 400, "", "", "", "x" * 300),
    ],
)
def test_a_title_is_the_pages_own(title: str, shared: str, site: str, headline: str, expected: str) -> None:
    """The site's name goes where it surely is one; a title that is only the site's name gives way to the headline."""
    root = page(f"<title>{title}</title>")

    assert read_title(root, {"og:title": shared, "og:site_name": site}, URL, headline) == expected


def test_a_page_without_a_title_element_has_a_headline() -> None:
    """Without `<title>` the first heading is the title; without any there is none."""
    assert read_title(page(), {}, URL, "Fit the filter") == "Fit the filter"
    assert read_title(page(), {}, URL, "") == ""


@pytest.mark.parametrize(
    ("attributes", "meta", "language"),
    [
        ('lang="de-AT"', {}, "de"),
        ('xml:lang="FIL"', {}, "fil"),
        ('lang="english"', {"content-language": "en-GB, de"}, "en"),
        ('lang=" "', {"dc.language": "x-default", "og:locale": "pt_BR"}, "pt"),
        ("", {"dc.language": "fr"}, "fr"),
        ("", {}, None),
    ],
)
def test_the_first_language_that_is_one_counts(attributes: str, meta: dict[str, str], language: str | None) -> None:
    """Languages are two or three letters; words and blanks are passed over."""
    assert declared_language(page(attributes=attributes), meta) == language


def test_the_bodys_language_counts_after_the_pages() -> None:
    """A body may say the language where the page does not."""
    root = html.document_fromstring('<html><head></head><body lang="nl"><p>Tekst.</p></body></html>')

    assert declared_language(root, {"og:locale": "en_US"}) == "nl"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The pump is sold with a hose and a filter, and you can order more of them from our shop.", "en"),
        ("Die Pumpe wird mit einem Schlauch in einem Karton an Sie versandt, samt dem Lied: The wind and you.", "de"),
        ("La pompe est livr\u00e9e avec un tuyau et un filtre que vous pouvez commander dans notre magasin.", "fr"),
        ("De pomp wordt geleverd met een slang en een filter, en is in de winkel of op het web te koop.", "nl"),
        ("Pump, 12 V", None),
    ],
)
def test_an_undeclared_language_is_the_texts(text: str, language: str | None) -> None:
    """Common English words settle it where they are many; elsewhere the whole text is looked at, if it is enough."""
    assert language_of(None, text) == language


@pytest.mark.parametrize(
    ("element", "found"),
    [
        ('<time itemprop="datePublished" datetime="2024-05-01">', ("2024-05-01", None)),
        ('<time pubdate datetime="2024-05-01T08:30">', ("2024-05-01T08:30", None)),
        ('<time class="entry-date published" datetime="2024-05-01">', ("2024-05-01", None)),
        ('<time itemprop="dateModified" datetime="2024-05-02">', (None, "2024-05-02")),
        ('<time class="updated" datetime="2024-05-02T08:30:00+02:00">', (None, "2024-05-02T08:30:00+02:00")),
        ('<time class="published updated" datetime="2024-05-02">', (None, "2024-05-02")),
        ('<time datetime="2024-05-03">', (None, None)),
        ('<time class="published">yesterday</time>', (None, None)),
    ],
)
def test_a_time_counts_if_it_says_what_it_is(element: str, found: tuple[str | None, str | None]) -> None:
    """A marked time is the page's date of publication or change; any other time is text."""
    assert dates(f"<p>{element}</p>") == found


@pytest.mark.parametrize(
    ("told", "date"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01 08:30:15.250 Z", "2024-05-01T08:30:15Z"),
        ("2024-05-01T08:30:15+0200", "2024-05-01T08:30:15+0200"),
        ("2024-02-29 is a day", "2024-02-29"),
        ("2023-02-29", None),
        ("2024-13-01", None),
        ("0000-01-01", None),
        ("2024-05-01T25:00", None),
        ("01.05.2024", None),
        ("May 2024", None),
    ],
)
def test_only_days_of_the_calendar_are_dates(told: str, date: str | None) -> None:
    """A date is one in ISO 8601 that exists; fractions of seconds go."""
    assert dates("", f'<meta name="date" content="{told}">') == (date, None)


def test_the_first_date_that_can_be_read_counts() -> None:
    """JSON-LD goes before `<meta>`, `<meta>` before `<time>`; what cannot be read is passed over."""
    body = '<time class="published" datetime="2024-01-03"></time><time class="updated" datetime="2024-01-04"></time>'
    head = '<meta property="article:published_time" content="2024-01-02">'

    assert dates(body, head, datePublished="2024-01-01", dateModified="now") == ("2024-01-01", "2024-01-04")
    assert dates(body, head) == ("2024-01-02", "2024-01-04")


@pytest.mark.parametrize(
    ("body", "trail"),
    [
        ('<nav aria-label="Breadcrumb"><a>Home</a> &rsaquo; <a>Pumps</a></nav>', ("Home", "Pumps")),
        ('<ol class="breadcrumbs"><li><a>Home</a> &rsaquo;</li><li>Pumps</li></ol>', ("Home", "Pumps")),
        ('<div id="breadcrumb"></div><ul class="breadcrumb"><li>Home</li><li>&raquo;</li></ul>', ("Home",)),
        (f'<ul class="breadcrumb"><li>Home</li><li>{"x" * 100}</li></ul>', ("Home",)),
        ('<ul class="menu"><li>Home</li></ul>', ()),
    ],
    ids=["nav", "list", "first with names", "long", "menu"],
)
def test_the_shown_trail_is_a_list_of_names(body: str, trail: tuple[str, ...]) -> None:
    """Separators and long texts are no part of the trail, and an empty one does not hide the next."""
    assert read_breadcrumbs(page(body=body)) == trail


# --- letters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        (b"\xef\xbb\xbfa\xc3\xa4", "text/html; charset=latin1", "a\xe4"),
        (b"\xff\xfea\x00\xe4\x00", None, "a\xe4"),
        (b"\xfe\xff\x00a\x00\xe4", None, "a\xe4"),
        (b"a\xc3\xa4", "text/html; charset=iso-8859-1", "a\xe4"),
        (b"a\xe4\x80", "text/html; charset=ISO-8859-1", "a\xe4\u20ac"),
        (b"\xc4\xe3\xba\xc3", "text/html; charset='gb2312'", "\u4f60\u597d"),
        (b'<meta charset="shift_jis">\x82\xa0', None, '<meta charset="shift_jis">\u3042'),
        (b"a\xe4", "text/html; charset=hex", "a\xe4"),
        (b"a\xe4", "text/html; charset=rot13", "a\xe4"),
        (b"a\xe4", "text/html; charset=klingon", "a\xe4"),
        (b"a\xe4", "text/html; charset=idna", "a\xe4"),
        (b"a\xe4", "text/html; charset=utf-8", "a\xe4"),
        (b"a\xe4", None, "a\xe4"),
        (b"\xc3\xa4\xc3\xb6\xc3\xbc\xff", "text/html", "\xe4\xf6\xfc\ufffd"),
        (b"a\x00b\x07c\nd", None, "abc\nd"),
    ],
)
def test_bytes_are_read_as_they_were_meant(content: bytes, content_type: str | None, text: str) -> None:
    """Marks go before labels, and a label that cannot be true, is none or names no letters is passed over."""
    assert decode(content, content_type) == text
