"""What extraction makes of a page: Markdown, links, and what the page says about itself."""

from __future__ import annotations

import pytest

from pipeline.errors import ExtractionFailed
from pipeline.model import Document
from pipeline.stages.extract import EXTRACTOR, extract

URL = "https://www.example.com/help/page.html"


def read(body: str, head: str = "", **options: str) -> Document:
    """The document made of a page whose main part is `body`."""
    language = options.get("language", ' lang="en"')
    return page(f"<!doctype html><html{language}><head>{head}</head><body><main>{body}</main></body></html>")


def page(html: str) -> Document:
    """The document made of a whole page."""
    return extract(html.encode(), url=URL)


PROSE = "<p>The pump is delivered with a hose of three metres, a filter, and a short manual in four languages.</p>"


def test_headings_keep_their_levels() -> None:
    """Headings become Markdown headings of the same level."""
    document = read(f"<h1>Pumps</h1>{PROSE}<h2>Delivery</h2>{PROSE}<h4>Abroad</h4>{PROSE}")

    assert [line for line in document.markdown.splitlines() if line.startswith("#")] == [
        "# Pumps",
        "## Delivery",
        "#### Abroad",
    ]


def test_nested_lists_keep_their_nesting_and_numbers() -> None:
    """A list in a list is indented; an ordered one is counted from its start."""
    document = read(
        f"{PROSE}<ol start=3><li>Open the valve and wait.<ul><li>It clicks twice.</li></ul></li><li>Close it.</li></ol>"
    )

    assert document.markdown.splitlines()[2:] == [
        "3. Open the valve and wait.",
        "    - It clicks twice.",
        "4. Close it.",
    ]


def test_a_table_keeps_rows_columns_and_header() -> None:
    """A table of facts becomes a Markdown table; a cell over two rows is repeated."""
    document = read(
        f"{PROSE}<table><tr><th>Plan</th><th>Price</th></tr>"
        "<tr><td rowspan=2>Basic | small</td><td>5 EUR</td></tr><tr><td>50 EUR a year</td></tr></table>"
    )

    assert document.markdown.splitlines()[2:] == [
        "| Plan | Price |",
        "| --- | --- |",
        "| Basic \\| small | 5 EUR |",
        "| Basic \\| small | 50 EUR a year |",
    ]


def test_a_layout_table_is_unwrapped() -> None:
    """A table that only arranges the page leaves no trace."""
    document = read(f"<table><tr><td><h1>Pumps</h1>{PROSE}</td><td>{PROSE}</td></tr></table>")

    assert "|" not in document.markdown
    assert document.markdown.startswith("# Pumps\n\nThe pump")


def test_code_keeps_its_lines_and_language() -> None:
    """A code block is fenced, with its indentation and its language."""
    document = read(f'{PROSE}<pre><code class="language-python">def f():\n    return <b>1</b>\n</code></pre>')

    assert "```python\ndef f():\n    return 1\n```" in document.markdown


def test_definitions_quotes_and_line_breaks() -> None:
    """Terms stand above their definitions, quotes are marked, line breaks stay."""
    document = read(
        f"{PROSE}<dl><dt>Lead time</dt><dd><p>Two days for all parts in stock.</p></dd></dl>"
        "<blockquote><p>It has run for ten years without a single fault.</p></blockquote>"
        "<p>Mill Lane 4<br>Oxford, which is where we are at home</p>"
    )

    assert "Lead time\n: Two days for all parts in stock." in document.markdown
    assert "> It has run for ten years without a single fault." in document.markdown
    assert "Mill Lane 4\nOxford" in document.markdown


def test_text_cannot_pose_as_markdown() -> None:
    """A paragraph that begins like a heading, a list or a fence is no such thing."""
    document = read(f"<p># Not a heading but a text of some length, as anyone can see.</p>{PROSE}")

    assert "\\# Not a heading" in document.markdown


@pytest.mark.parametrize(
    "block",
    [
        "<nav><a href=/a>All our pumps</a> <a href=/b>All our hoses</a></nav>",
        "<footer><p>Copyright 2024 Example Ltd. All rights reserved.</p></footer>",
        '<div class="cookie-banner" role="dialog"><p>We use cookies. Accept them all, please.</p></div>',
        '<aside class="related"><h2>Related</h2><ul><li><a href=/x>Other pumps</a></li></ul></aside>',
        '<ol class="breadcrumbs"><li><a href="/">Help</a></li><li><a href="/p">Pumps and hoses</a></li></ol>',
        '<ul class="share"><li><a href="#">Share on Facebook</a></li><li><a href="#">Tweet</a></li></ul>',
    ],
    ids=["navigation", "footer", "cookies", "related", "trail", "share"],
)
def test_what_is_on_every_page_is_left_out(block: str) -> None:
    """Navigation, footers, cookie bars, related links and share bars are no knowledge."""
    document = page(f"<html lang=en><body>{block}<main><h1>Pumps</h1>{PROSE * 4}</main>{block}</body></html>")

    assert document.markdown.count("\n\n") == 4


def test_links_are_absolute_once_and_followable() -> None:
    """Links are absolute, without fragments, once each; mail, scripts and files are none."""
    document = read(
        '<a href="/a#top">A</a><a href="/a">A</a><a href="b?x=1">B</a><a href="//cdn.example.org/c">C</a>'
        '<a href="mailto:a@b.c">M</a><a href="javascript:void(0)">J</a><a href="file:///etc/passwd">F</a>'
        '<a href="http://[bad">X</a><a href="/n" rel="nofollow ugc">N</a>'
    )

    assert [(link.url, link.nofollow) for link in document.links] == [
        ("https://www.example.com/a", False),
        ("https://www.example.com/help/b?x=1", False),
        ("https://cdn.example.org/c", False),
        ("https://www.example.com/n", True),
    ]


def test_base_changes_what_links_are_relative_to() -> None:
    """`<base href>` counts for links, canonical and refresh."""
    document = read(
        '<a href="a">A</a>',
        '<base href="/de/"><link rel=canonical href="page"><meta http-equiv=refresh content="0; url=next">',
    )

    assert document.links[0].url == "https://www.example.com/de/a"
    assert document.canonical == "https://www.example.com/de/page"
    assert document.refresh == "https://www.example.com/de/next"


def test_canonicals_that_disagree_are_none() -> None:
    """Two different canonical addresses cancel each other."""
    document = read(PROSE, '<link rel=canonical href="/a"><link rel=canonical href="/b">')

    assert document.canonical is None


@pytest.mark.parametrize(
    ("content", "noindex", "nofollow"),
    [("noindex", True, False), ("index, NOFOLLOW", False, True), ("none", True, True), ("all", False, False)],
)
def test_robots_meta(content: str, noindex: bool, nofollow: bool) -> None:  # noqa: FBT001 - a row of the table
    """A page's wishes to robots are read."""
    document = read(PROSE, f'<meta name="robots" content="{content}">')

    assert (document.noindex, document.nofollow) == (noindex, nofollow)


def test_what_a_page_says_in_noscript_is_not_said_of_it() -> None:
    """A browser that runs scripts never sees it, nested or not: neither robots' wishes nor a description."""
    metas = '<meta name="robots" content="noindex"><meta name="description" content="Switch scripts on.">'
    document = read(PROSE, f"<noscript><noscript>{metas}</noscript></noscript>")

    assert not document.noindex
    assert document.description is None


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>Pumps | Example</title>", "Pumps"),
        ("<title>Example - Pumps - Prices</title>", "Pumps - Prices"),
        ("<title>Pumps - Prices</title>", "Pumps - Prices"),
        ('<title>Pumps · Sun &amp; Co</title><meta property="og:site_name" content="Sun &amp; Co">', "Pumps"),
        ('<meta property="og:title" content="Pumps">', "Pumps"),
        ("", "The headline"),
    ],
)
def test_the_title_loses_the_sites_name(head: str, title: str) -> None:
    """The title is the page's own; the site's name is cut off only where it clearly is one."""
    document = read(f"<h1>The headline</h1>{PROSE}", head)

    assert document.title == title


def test_what_a_page_says_about_itself() -> None:
    """Description, dates, breadcrumbs, alternates and language are read from the head and JSON-LD."""
    document = read(
        PROSE,
        '<meta name=description content="All about  pumps.">'
        '<link rel=alternate hreflang=de href="/de/pumpen">'
        '<script type="application/ld+json">[{"@type": "Article", "datePublished": "2024-03-01T10:00:00Z",'
        '"dateModified": "2024-04-02"}, {"@type": "BreadcrumbList", "itemListElement": ['
        '{"@type": "ListItem", "name": "Help"}, {"@type": "ListItem", "item": {"name": "Pumps"}}]}]</script>',
        language=' lang="en-GB"',
    )

    assert document.description == "All about pumps."
    assert (document.published_at, document.modified_at) == ("2024-03-01T10:00:00Z", "2024-04-02")
    assert document.breadcrumbs == ("Help", "Pumps")
    assert document.alternates == (("de", "https://www.example.com/de/pumpen"),)
    assert document.language == "en"
    assert document.extractor == EXTRACTOR


def test_an_undeclared_language_is_detected() -> None:
    """A page that does not say its language is read for it."""
    document = read(
        "<p>Die Lieferung erfolgt innerhalb von zwei Werktagen, sofern der Artikel auf Lager ist.</p>" * 2, language=""
    )

    assert document.language == "de"


def test_facts_for_machines_fill_what_the_text_lacks() -> None:
    """A price, an article number and an answer that only JSON-LD states are added; what is shown is not repeated."""
    document = read(
        f"<h1>Pump 300</h1>{PROSE}<p>It costs 149.00 EUR with all taxes, and is in stock today.</p>",
        '<script type="application/ld+json">{"@graph": [{"@type": "Product", "name": "Pump 300", "sku": "P-300-X",'
        '"offers": {"@type": "Offer", "price": "149.00", "priceCurrency": "EUR"}},'
        '{"@type": "FAQPage", "mainEntity": [{"@type": "Question", "name": "Is it loud?",'
        '"acceptedAnswer": {"@type": "Answer", "text": "<p>No, 32 decibels.</p>"}}]}]}</script>',
    )

    assert "- SKU: P-300-X" in document.markdown
    assert document.markdown.count("149.00") == 1
    assert "### Is it loud?\n\nNo, 32 decibels." in document.markdown


@pytest.mark.parametrize("block", ["{broken", "[" * 50_000, '"text"', "null", '{"@type": 5}', '{"@type": ["Product"]}'])
def test_broken_facts_are_passed_over(block: str) -> None:
    """JSON-LD that cannot be read never costs the page."""
    document = read(PROSE, f'<script type="application/ld+json">{block}</script>')

    assert "The pump is delivered" in document.markdown


def test_the_same_page_gives_the_same_document_whatever_came_before() -> None:
    """Extraction has no memory: a repeated block is kept on the hundredth page as on the first."""
    first = read(f"<h1>Pumps</h1>{PROSE * 3}")
    for number in range(20):
        read(f"<h1>Page {number}</h1>{PROSE * 3}")

    assert read(f"<h1>Pumps</h1>{PROSE * 3}") == first


def test_white_space_does_not_change_the_hashes_but_a_number_does() -> None:
    """The text's hash ignores how the source is laid out, and sees one digit."""
    one = read("<h1>Pumps</h1><p>It weighs 12.5 kg with its hose and filter, and 11 kg without.</p>")
    same = read("<h1>Pumps</h1>\n\n<p>It  weighs 12.5 kg\nwith its hose and filter, and 11 kg without.</p>")
    other = read("<h1>Pumps</h1><p>It weighs 12.6 kg with its hose and filter, and 11 kg without.</p>")

    assert (one.text_hash, one.fact_hash) == (same.text_hash, same.fact_hash)
    assert one.text_hash != other.text_hash


@pytest.mark.parametrize("html", [b"", b"   ", b"\x00\x00"])
def test_nothing_is_not_a_page(html: bytes) -> None:
    """An empty body cannot be read, and says so."""
    with pytest.raises(ExtractionFailed):
        extract(html, url=URL)


@pytest.mark.parametrize("opening", ["<main><p>", "<article><p>", "<section><div>", "<my-part><p>"])
def test_a_page_without_body_tags_is_read_whole(opening: str) -> None:
    """HTML 5 lets a page leave out `<head>` and `<body>`; its first visible element ends the head."""
    page = f"<!doctype html><html lang=en><title>Lamps</title>{opening}Lamps may be returned within thirty days."

    document = extract(page.encode(), url="https://shop.example/")

    assert document.title == "Lamps"
    assert "Lamps may be returned within thirty days." in document.markdown
