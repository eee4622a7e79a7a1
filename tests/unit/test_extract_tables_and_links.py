"""Which tables are facts and how their cells are straightened; where a page leads."""

from __future__ import annotations

import pytest
from lxml import html

from pipeline.model import Link
from pipeline.stages.extract.links import (
    MAX_LINKS,
    MAX_URL_LENGTH,
    absolute,
    base_url,
    find_links,
    find_refresh,
    find_relations,
)
from pipeline.stages.extract.tables import is_header_row, is_layout, rows_of, spanned

URL = "https://www.example.com/help/page.html"
LONG = "A sentence that a table of facts would hardly hold in one cell. " * 10


def tree(content: str) -> html.HtmlElement:
    """A whole page around some elements."""
    return html.document_fromstring(f"<html><body>{content}</body></html>")


def head(content: str) -> html.HtmlElement:
    """A page with this in its head."""
    return html.document_fromstring(f"<html><head>{content}</head><body><p>Text.</p></body></html>")


def table(rows: str, attributes: str = "") -> html.HtmlElement:
    """One table."""
    found: html.HtmlElement = next(tree(f"<table {attributes}>{rows}</table>").iter("table"))
    return found


def straightened(rows: str) -> list[list[str]]:
    """The texts of a table's rows by column."""
    carried: dict[int, tuple[int, str]] = {}
    return [spanned([(cell, cell.text or "") for cell in row], carried) for row in rows_of(table(rows))]


# --- tables --------------------------------------------------------------------------------

GRID = "<tr><td>Plan<td>Price<tr><td>Basic<td>5 EUR"


@pytest.mark.parametrize(
    ("rows", "attributes"),
    [
        (GRID, 'role="presentation"'),
        (GRID, 'role="none"'),
        ("<tr><td>a<td><h2>Title</h2><tr><td>c<td>d", ""),
        ("<tr><td>a<td><table><tr><th>x</table><tr><td>c<td>d", 'border="1"'),
        ("<tr><td>a<td>b<td>c", 'border="1"'),
        ("<tr><td>a<tr><td>b<tr><td>c", 'border="1"'),
        (f"<tr><td>Menu<td>{LONG}<tr><td>Foot<td>Imprint", ""),
        ("<tr><td>Menu<td><p>a<p>b<p>c<p>d<tr><td>Foot<td>Imprint", 'border="0"'),
        ("", ""),
    ],
    ids=["presentation", "none", "heading", "nested", "row", "column", "text", "paragraphs", "empty"],
)
def test_a_table_that_arranges_a_page_is_layout(rows: str, attributes: str) -> None:
    """A role, blocks or long texts inside, and a single row or column tell a table that only arranges."""
    assert is_layout(table(rows, attributes))


@pytest.mark.parametrize(
    ("rows", "attributes"),
    [
        (GRID, ""),
        ("<tr><th>Plan<td>Basic", ""),
        ("<thead><tr><td>Plan</thead>", ""),
        (f"<tr><td>Plan<td>{LONG}<tr><td>Basic<td>5 EUR", 'border="1"'),
        ("<tr><td>Plan<td><p>a<p>b<p>c<tr><td>Basic<td>5 EUR", ""),
    ],
    ids=["grid", "header", "head", "border", "three paragraphs"],
)
def test_a_table_of_facts_is_no_layout(rows: str, attributes: str) -> None:
    """Header cells or drawn borders make a table of facts; so do short cells in rows and columns."""
    assert not is_layout(table(rows, attributes))


def test_only_a_tables_own_rows_count() -> None:
    """Rows of every part come in order; captions, columns and rows of inner tables are left out."""
    rows = (
        "<caption>Plans</caption><colgroup><col></colgroup><thead><tr id=a></thead>"
        "<tbody><tr id=b><td><table><tr id=x></table></td></tr></tbody><tfoot><tr id=c></tfoot>"
    )

    assert [row.get("id") for row in rows_of(table(rows))] == ["a", "b", "c"]


def test_a_header_row_is_in_the_head_or_has_header_cells_only() -> None:
    """A row of the head is one even with plain cells; a row with one plain cell elsewhere is none."""
    rows = rows_of(table("<thead><tr><td>a</thead><tbody><tr><th>a<th>b<tr><th>a<td>b<tr></tbody>"))

    assert [is_header_row(row) for row in rows] == [True, True, False, False]


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ("<tr><td colspan=2>a<td>b", [["a", "", "b"]]),
        ("<tr><td rowspan=3>a<td>b<tr><td>c<tr><td>d<tr><td>e", [["a", "b"], ["a", "c"], ["a", "d"], ["e"]]),
        ("<tr><td>a<td rowspan=2>b<tr><td>c", [["a", "b"], ["c", "b"]]),
        ("<tr><td colspan=2 rowspan=2>a<td>b<tr><td>c", [["a", "", "b"], ["a", "", "c"]]),
        ("<tr><td>a<td>b<td rowspan=2>c<tr><td>d<tr><td>e<td>f", [["a", "b", "c"], ["d", "", "c"], ["e", "f"]]),
        ("<tr><td>a<td rowspan=2>b<tr><tr><td>c", [["a", "b"], ["", "b"], ["c"]]),
        ("<tr><td colspan=0>a<td colspan=x>b<td rowspan=-1>c<td colspan=٣>d", [["a", "b", "c", "d"]]),
        ("<tr><td colspan=99999>a<td>b", [["a", "b"]]),
    ],
    ids=["columns", "rows", "later", "both", "short row", "empty row", "no numbers", "too many"],
)
def test_cells_over_rows_and_columns_are_straightened(rows: str, texts: list[list[str]]) -> None:
    """A cell over rows is repeated in each, one over columns leaves blanks; short rows keep later columns in place."""
    assert straightened(rows) == texts


def test_a_cell_covers_fifty_columns_at_most() -> None:
    """A page cannot make a row of endless blanks."""
    assert straightened("<tr><td colspan=9999>a<td>b") == [["a", *[""] * 49, "b"]]


def test_cells_over_many_columns_make_no_row_of_thousands() -> None:
    """Blanks end at a width no table of facts has; cells with a text of their own are all kept."""
    first, second = straightened("<tr>" + "<td colspan=50 rowspan=2>a" * 300 + "<tr><td>b")

    assert len(first) < 600
    assert first.count("a") == 300
    assert len(second) < 600
    assert "b" in second


# --- addresses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "target"),
    [
        ("https://other.example/a#b", "https://other.example/a"),
        (" /a\n", "https://www.example.com/a"),
        ("/a\tb\r\nc", "https://www.example.com/abc"),
        ("HTTPS://other.example/a", "https://other.example/a"),
        ("a:b/c", None),
        ("mailto:a@example.com", None),
        ("javascript:void(0)", None),
        ("#top", URL),
        ("?a=b:c", f"{URL}?a=b:c"),
        ("http://[::1/", None),
        ("//[broken", None),
        ("http://[::1]/a", "http://[::1]/a"),
        ("https://", None),
        ("https://#a", None),
        ("x-app:open", None),
        ("/" + "a" * MAX_URL_LENGTH, None),
    ],
)
def test_an_address_is_absolute_or_none(href: str, target: str | None) -> None:
    """Only web addresses of a bearable length are kept, without line breaks and fragments."""
    assert absolute(URL, href) == target


@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        ('<base target="_blank"><base href="/docs/">', "https://www.example.com/docs/"),
        ('<base href=" "><base href="https://cdn.example/">', "https://cdn.example/"),
        ('<base href="/docs/"><base href="/other/">', "https://www.example.com/docs/"),
        ('<base href="javascript:alert(1)"><base href="/other/">', URL),
        ('<base target="_top">', URL),
        ("", URL),
    ],
)
def test_the_first_base_with_an_address_counts(bases: str, expected: str) -> None:
    """A base without an address is passed over; one that leads nowhere leaves the page's own address."""
    assert base_url(head(bases), URL) == expected


def test_a_link_is_not_to_be_followed_only_if_all_its_places_say_so() -> None:
    """One plain link among those that say nofollow makes a page worth following."""
    page = tree(
        '<a href="/a" rel="nofollow">1</a><a href="/a#part" rel="Sponsored NoFollow">2</a><a name="x">3</a>'
        '<a href="/b" rel="nofollow">4</a><area href="/b"><a href="">5</a><a href="#x">6</a><a href="tel:1">7</a>'
    )

    assert find_links(page, URL) == (
        Link("https://www.example.com/a", nofollow=True),
        Link("https://www.example.com/b", nofollow=False),
    )


def test_what_frames_show_is_linked() -> None:
    """A website of frames has its pages in them, and nothing else on the page that lays them out."""
    page = '<frameset cols="20%,80%"><frame src="menu.html"><frame name="main" src="/main.html#top"></frameset>'

    found = find_links(html.fromstring(page), "https://x.example/shop/")

    assert found == (Link("https://x.example/shop/menu.html"), Link("https://x.example/main.html"))


def test_a_page_has_so_many_links_and_no_more() -> None:
    """A page with endless links is a trap: the first ones are kept."""
    page = tree("".join(f'<a href="/{number}">' for number in range(MAX_LINKS + 5)))

    links = find_links(page, URL)

    assert len(links) == MAX_LINKS
    assert links[-1] == Link(f"https://www.example.com/{MAX_LINKS - 1}")


def test_relations_of_the_head_are_told_apart() -> None:
    """Canonical, languages and neighbours are found; style sheets, feeds and broken addresses are none."""
    page = head(
        '<link rel="stylesheet" href="/s.css"><link rel="CANONICAL" href="/a"><link rel="canonical" href="/a#b">'
        '<link rel="alternate" hreflang="DE-at" href="/de"><link rel="alternate" type="rss" href="/feed">'
        '<link rel="alternate" hreflang="de-AT" href="/de"><link rel="next" href="?page=3">'
        '<link rel="prev" href="?page=1">'
        '<link rel="next" href="mailto:a@b"><link rel="next"><link href="/x"><link rel="canonical" href="">'
    )

    assert find_relations(page, URL) == (
        "https://www.example.com/a",
        (("de-at", "https://www.example.com/de"),),
        (Link(f"{URL}?page=3"), Link(f"{URL}?page=1")),
    )


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0; url=/new", "https://www.example.com/new"),
        ("0;URL='/new#part'", "https://www.example.com/new"),
        ("5, /new", "https://www.example.com/new"),
        ("60;url=/new", "https://www.example.com/new"),
        ("1.2.3;url=/new", "https://www.example.com/new"),
        ("61;url=/new", None),
        ("30", None),
        ("soon", None),
        (f"0;url={URL}", None),
        ("0;url=#part", None),
        ("0;url=javascript:go()", None),
    ],
)
def test_a_refresh_within_a_minute_leads_on(content: str, target: str | None) -> None:
    """Where a page sends its visitors soon is where it leads; a page that reloads itself leads nowhere."""
    page = head(f'<meta charset="utf-8"><meta http-equiv="Refresh" content="{content}">')

    assert find_refresh(page, URL, URL) == target


def test_a_refresh_is_compared_with_the_page_not_with_its_base() -> None:
    """A page with a base may send its visitors there, and may still reload itself."""
    base = "https://www.example.com/"

    assert find_refresh(head('<meta http-equiv="refresh" content="0;url=/">'), base, URL) == base
    assert find_refresh(head('<meta http-equiv="refresh" content="9;url=help/page.html">'), base, f"{URL}#a") is None


def test_a_refresh_that_comes_too_late_does_not_hide_another() -> None:
    """The first refresh that a visitor would see within a minute counts."""
    page = head('<meta http-equiv="refresh" content="900;url=/late"><meta http-equiv="refresh" content="1;url=/soon">')

    assert find_refresh(page, URL, URL) == "https://www.example.com/soon"


@pytest.mark.parametrize("box", ["noscript", "template"])
def test_what_only_browsers_without_scripts_are_told_leads_nowhere(box: str) -> None:
    """Sites send those browsers to a page that asks for scripts: no page is lost for that."""
    page = head(f'<{box}><meta http-equiv="refresh" content="0;url=/enable-scripts"></{box}>')

    assert find_refresh(page, URL, URL) is None
