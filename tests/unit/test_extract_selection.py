"""Which pieces of a page are its main text."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.stages.extract import extract, parse
from pipeline.stages.extract.opinion import weigh
from pipeline.stages.extract.pieces import Piece
from pipeline.stages.extract.reading import Reading
from pipeline.stages.extract.selection import judge, keep

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

    likelihood = judge(pieces)

    assert likelihood.shape == (len(pieces),)
    assert np.all((likelihood >= 0) & (likelihood <= 1))


def test_a_page_without_text_has_no_main_text() -> None:
    """No pieces, nothing to judge, nothing kept."""
    assert keep([], judge([])) == []


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


def test_a_second_opinion_counts_only_near_the_first() -> None:
    """Where trafilatura reads another part of the page, our judgement stands; where it mostly agrees, both count."""
    html = f"<html><body>{LAYOUTS['semantic']}</body></html>"
    pieces = pieces_of(html)
    far = np.array([piece.text not in TEXT for piece in pieces], dtype=np.float32)
    near = np.array([0.9 if piece.text in TEXT[:3] else 0.3 if piece.text in TEXT else 0.0 for piece in pieces])

    assert np.array_equal(weigh(pieces, far, parse(html), ()), far)
    assert TEXT[3] in [piece.text for piece in keep(pieces, weigh(pieces, near.astype(np.float32), parse(html), ()))]
