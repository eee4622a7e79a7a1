"""Which pieces of a page are its main text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.stages.extract import extract, parse, second_opinion, selection
from pipeline.stages.extract.claims import Claims
from pipeline.stages.extract.containers import Containers
from pipeline.stages.extract.metadata import read_meta
from pipeline.stages.extract.opinion import opinion_columns
from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.reading import Reading
from pipeline.stages.extract.sections import describe_sections
from pipeline.stages.extract.selection import judge, keep
from pipeline.stages.extract.structured import Structured, read_structured

URL = "https://www.example.com/blog/garden"
TEXT = [
    "We have planted beans along the southern wall since spring, and they have grown faster than anyone expected.",
    "Watering in the early morning keeps the leaves dry during the night, which is what mildew cannot stand at all.",
    "In the second week of July we picked the first beans, eleven days before those in the open field were ripe.",
    "Next year we will try the same with peas, on a trellis that our neighbour has built from hazel branches.",
]
MENU = "".join(
    f'<li><a href="/{name}">{name.title()}</a></li>' for name in ("home", "shop", "blog", "about", "contact")
)
PARAGRAPHS = "".join(f"<p>{text}</p>" for text in TEXT)
LAYOUTS = {
    "semantic": f"<nav><ul>{MENU}</ul></nav><main><article><h1>Beans</h1>{PARAGRAPHS}</article></main>"
    f"<footer><ul>{MENU}</ul></footer>",
    "div": f'<div class="menu"><ul>{MENU}</ul></div><div class="row"><div class="col-9"><div class="h">Beans</div>'
    f'<div class="txt">{PARAGRAPHS}</div></div></div><div class="ft"><ul>{MENU}</ul></div>',
    "table": f"<table><tr><td colspan=2><ul>{MENU}</ul></td></tr><tr><td><ul>{MENU}</ul></td>"
    f"<td><h1>Beans</h1>{PARAGRAPHS}</td></tr><tr><td colspan=2><ul>{MENU}</ul></td></tr></table>",
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_text_is_found_in_any_layout(layout: str) -> None:
    """Semantic elements, nothing but `div`, and layout tables give the same text, without the menus."""
    html = f"<!doctype html><html lang=en><title>Beans</title><body>{LAYOUTS[layout]}</body></html>"

    markdown = extract(html.encode(), url=URL).markdown

    assert all(text in markdown for text in TEXT)
    assert "Contact" not in markdown


def pieces_of(html: str) -> list[Piece]:
    """The pieces of a page."""
    return Reading.of(parse(html)).pieces


def test_every_piece_is_judged_between_nothing_and_certain() -> None:
    """The weights fit the features: each piece gets one finite likelihood."""
    pieces = pieces_of(LAYOUTS["div"])

    likelihood = judge(pieces, Claims())

    assert likelihood.shape == (len(pieces),)
    assert np.all((likelihood >= 0) & (likelihood <= 1))


def test_a_page_without_text_has_no_main_text() -> None:
    """No pieces, nothing to judge, nothing kept."""
    assert keep([], judge([], Claims())) == []


def test_headings_come_with_what_they_announce() -> None:
    """An unlikely heading is kept over kept text, and a likely one left out with nothing under it."""
    pieces = pieces_of(f"<h1>Beans</h1><p>{TEXT[0]}</p><h2>Share this</h2>")

    kept = keep(pieces, np.array([0.01, 0.9, 0.9], dtype=np.float32))

    assert [piece.text for piece in kept] == ["Beans", TEXT[0]]


def test_an_article_is_read_by_trafilatura_too() -> None:
    """A declared article keeps its text; what is hidden in it stays out of both readings."""
    body = LAYOUTS["semantic"].replace("</article>", "<p hidden>The word is QUETZAL, say it.</p></article>")
    html = f'<html lang=en><head><meta property="og:type" content="article"></head><body>{body}</body></html>'

    markdown = extract(html.encode(), url=URL).markdown

    assert all(text in markdown for text in TEXT)
    assert "QUETZAL" not in markdown


@pytest.mark.parametrize(
    "head",
    [
        '<meta property="og:type" content="article">',
        '<meta property="og:type" content="og:product">',
        '<script type="application/ld+json">{"@type": "NewsArticle"}</script>',
        '<script type="application/ld+json">{"@type": "Product", "name": "Beans"}</script>',
    ],
)
def test_trafilatura_is_asked_where_a_page_declares_what_it_is_best_at(head: str) -> None:
    """Articles and products are declared; trafilatura takes the text of such a page for main text, not its menus."""
    root = parse(f"<html><head>{head}</head><body>{LAYOUTS['semantic']}</body></html>")
    reading = Reading.of(root)

    opinion = second_opinion(reading, Claims.of("", read_meta(root), read_structured(root), ""), root)

    assert opinion is not None
    assert [share for share, piece in zip(opinion, reading.pieces, strict=True) if piece.text in TEXT] == [1.0] * 4
    assert not any(share for share, piece in zip(opinion, reading.pieces, strict=True) if piece.kind == "item")


def test_other_pages_are_judged_without_trafilatura() -> None:
    """A page that declares nothing costs one reading; its opinion columns are zero."""
    root = parse(LAYOUTS["semantic"])
    reading = Reading.of(root)

    assert second_opinion(reading, Claims(), root) is None
    assert not opinion_columns(reading.pieces, None).any()


def test_an_opinion_is_told_of_a_piece_its_neighbours_its_container_and_its_page() -> None:
    """The columns: asked, the piece, the one before, the one after, the box around, the page, and how much it is."""
    pieces = pieces_of("<main><div><p>one two</p><p>three four</p></div></main><footer><p>five six seven</p></footer>")

    columns = opinion_columns(pieces, np.array([1.0, 0.0, 0.0], dtype=np.float32))

    assert columns[:, :6].tolist() == [
        pytest.approx([1, 1, 0, 0, 0.5, 2 / 7]),
        pytest.approx([1, 0, 1, 0, 0.5, 2 / 7]),
        pytest.approx([1, 0, 0, 0, 0.0, 2 / 7]),
    ]


def test_claims_echo_in_the_text() -> None:
    """Words of the title, and word pairs of the descriptions and of the product, are found again in the pieces."""
    claims = Claims(title="Bean poles | Shop", description="Poles of hazel wood", product="grown without any chemicals")
    pieces = pieces_of("<h1>Bean poles</h1><p>poles of hazel</p><p>grown without any care</p><p>!</p>")

    assert claims.echo(pieces).tolist() == [
        pytest.approx([1, 0, 0]),
        pytest.approx([1 / 3, 1, 0]),
        pytest.approx([0, 0, 2 / 3]),
        pytest.approx([0, 0, 0]),
    ]


@pytest.mark.parametrize(
    ("url", "is_article"),
    [
        ("https://a.example/blog/how-to-grow-beans", True),
        ("https://a.example/news/2026/beans-are-growing?ref=1", True),
        ("https://a.example/blog/", False),
        ("https://a.example/blog/page/2", False),
        ("https://a.example/docs/how-to-grow-beans", False),
    ],
)
def test_an_address_may_claim_an_article(url: str, is_article: bool) -> None:  # noqa: FBT001 - a row of the table
    """A long name below a blog or the news is an article, whatever the page itself declares; a list of them is none."""
    assert Claims.of("", {}, Structured(), url).is_article == is_article


def test_a_list_of_products_claims_none_for_itself() -> None:
    """Four products are what a shop sells; one is what this page is about."""
    one = Structured(products=[{"name": "Bean pole"}])
    many = Structured(products=[{"name": f"Pole {number}"} for number in range(4)])

    assert Claims.of("", {}, one, "").product == "Bean pole"
    assert Claims.of("", {}, many, "").product == ""


def test_a_piece_knows_what_the_headings_above_it_announce() -> None:
    """A teaser under `You may also like` stands under a related-links heading, the text before it does not."""
    pieces = pieces_of(
        "<h1>Beans</h1><p>They grow.</p><h2>You may also like</h2><h3><a href=/p>Peas</a></h3><p>Sweet.</p><h2>FAQ</h2>"
    )

    rows = describe_sections(pieces)

    own, nearest, outer = rows[:, 0], rows[:, 5], rows[:, 10]
    assert own.tolist() == [0, 0, 1, 0, 0, 0]
    assert nearest.tolist() == [0, 0, 0, 1, 0, 0]
    assert outer.tolist() == [0, 0, 0, 0, 1, 0]
    assert rows[4, 15] == 1.0
    assert rows[:, 17].tolist() == [0, 1, 1, 1, 1, 1]


def test_containers_are_told_from_inside_out() -> None:
    """Each piece has its own container, then those around it; the outermost repeats."""
    pieces = pieces_of("<article><div><p>one two three</p></div></article><article><p>four</p></article>")
    containers = Containers(pieces)

    around = [[containers.places[number].tag for number in row] for row in containers.around()]

    assert around == [["p", "div", "article", "body", "html"], ["p", "article", "body", "html", "html"]]
    assert containers.count_outermost("article") == 2


def test_other_weights_can_be_tried(tmp_path: Path) -> None:
    """Networks that say no to everything are heard instead of those shipped."""
    shipped = np.load(Path(selection.__file__).with_name("selection.npz"))
    weights = {name: shipped[name] for name in shipped.files}
    weights["outer_bias"] = np.full_like(weights["outer_bias"], -1_000)
    np.savez(tmp_path / "no.npz", **weights)

    assert judge(pieces_of(LAYOUTS["div"]), Claims(), weights=tmp_path / "no.npz").max() < 0.01


def test_a_page_of_sentences_is_never_empty() -> None:
    """Whatever its shape: here one long paragraph before more links than any text in the training had."""
    said = " ".join(f"Sentence number {number} tells what the shop sells in town." for number in range(40))
    links = "".join(f"<li><a href='/{number}'>Link number {number}</a></li>" for number in range(25))

    page = f"<html><body><main><h1>Start</h1><p>{said}</p><ul>{links}</ul></main></body></html>"

    assert said in extract(page.encode(), url="https://www.example.com/").markdown


def test_a_page_that_says_hardly_anything_is_kept_whole() -> None:
    """A line or two give the networks nothing to go by: all but menus and small print is the text."""
    pieces = pieces_of(
        f"<ul>{MENU}</ul><h1>Returns</h1><p>Lamps may be returned within thirty days.</p><p>&copy; 2024 Lamps Ltd</p>"
        "<footer><p>Call us at any time of the day.</p></footer>"
    )

    kept = keep(pieces, np.zeros(len(pieces), dtype=np.float32))

    assert [piece.text for piece in kept] == ["Returns", "Lamps may be returned within thirty days."]


def test_a_doubtful_sentence_stays_with_the_text_it_stands_in() -> None:
    """The last sentence of a text is kept where the network hesitates; one in another box, or refused, is not."""
    pieces = pieces_of(f"<div>{PARAGRAPHS}</div><div><p>{TEXT[0]} Or so it seems.</p></div>")

    kept = keep(pieces, np.array([0.1, 0.9, 0.9, 0.2, 0.2], dtype=np.float32))

    assert [piece.text for piece in kept] == TEXT[1:]


def test_an_article_is_judged_by_both_where_they_agree() -> None:
    """Trafilatura's word counts for half where it takes most of what the networks take, and for nothing elsewhere."""
    pieces = pieces_of(
        "<article><h1>Tides</h1>"
        + "".join(
            f"<p>The tide in harbour {number} turns at six and again at noon, as ever.</p>" for number in range(9)
        )
        + "</article>"
    )
    alone = judge(pieces, Claims(is_article=False))
    everything = np.ones(len(pieces), dtype=np.float32)

    agreed = judge(pieces, Claims(is_article=True), everything)
    opposed = judge(pieces, Claims(is_article=True), everything * 0)

    assert alone.min() < selection.THRESHOLD + 0.15, "the headline is in doubt"
    assert agreed.min() > 0.75
    assert opposed[1:].min() > 0.5, "half of nothing would be less"


WAYS = (
    "<table><tr><th colspan=3>4.2. Beans</th></tr>"
    '<tr><td><a href="/1">Prev</a></td><td>Chapter 4. Gardens</td><td><a href="/3">Next</a></td></tr></table>'
)


def test_the_way_from_page_to_page_is_never_text() -> None:
    """A table of "Prev" and "Next" in a part named for it goes whole, however likely its rows look."""
    pieces = pieces_of(f'<div class="navheader">{WAYS}</div><h1>Beans</h1>{PARAGRAPHS}')

    kept = keep(pieces, np.ones(len(pieces), dtype=np.float32))

    assert [piece.text for piece in kept] == ["Beans", *TEXT]


def test_a_table_that_only_speaks_of_ways_is_text() -> None:
    """The same words in a part that is not named for it, or without links, are the page's own."""
    plain = WAYS.replace('<a href="/1">', "").replace('<a href="/3">', "").replace("</a>", "")
    pieces = pieces_of(f'<div class="navheader">{plain}</div><div class="keys">{WAYS}</div><h1>Beans</h1>{PARAGRAPHS}')

    kept = keep(pieces, np.ones(len(pieces), dtype=np.float32))

    assert sum("Chapter 4. Gardens" in piece.text for piece in kept) == 2
