"""How extraction is measured, and held to its floors."""

from __future__ import annotations

import json

import pytest

from tests.evaluation.extraction import FLOORS, Sample, digest, fold_of, shortfalls, word_f1

TABLES = {
    "pages": {
        "sitewise": {"article": 0.95, "product": 0.74, "mean": 0.845, "ms": 9.0},
        "trafilatura": {"article": 0.94, "product": 0.69, "mean": 0.815, "ms": 30.0},
        "trafilatura recall": {"article": 0.96, "product": 0.60, "mean": 0.780, "ms": 40.0},
    }
}
FLOOR = {
    "corpus": "a",
    "word_f1": {"pages": {"article": 0.94, "product": 0.73, "mean": 0.84}},
    "ahead_of_trafilatura": {"kind": 0.0, "mean": 0.03},
}


def test_words_count_as_often_as_they_stand_there() -> None:
    """Two of three words found, and one too many, are two thirds; two empty texts agree."""
    assert word_f1("bean pole pole", "Bean, pole; hazel!") == pytest.approx(2 / 3)
    assert word_f1("", "") == 1.0
    assert word_f1("bean", "") == 0.0


def test_a_website_is_never_on_both_sides() -> None:
    """All hosts of one website are in one fold: networks are never judged on pages like those they learnt from."""
    assert len({fold_of(f"https://{host}.example.com/page") for host in ("www", "shop", "docs", "blog")}) == 1
    assert {fold_of(f"https://site{number}.com/") for number in range(40)} == {0, 1, 2}


def test_figures_at_their_floors_pass() -> None:
    """The best single configuration of trafilatura is the one with the best mean, however well another does a kind."""
    assert shortfalls(TABLES, "a", FLOOR) == []


@pytest.mark.parametrize(
    ("kind", "figure", "words"),
    [
        ("product", 0.72, "pages, product: 0.720 is below its floor of 0.73"),
        ("article", 0.939, "pages, article: 0.939 is not 0.0 above trafilatura's 0.940"),
        ("mean", 0.842, "pages, mean: 0.842 is not 0.03 above trafilatura's 0.815"),
    ],
)
def test_a_figure_below_its_floor_or_below_trafilatura_is_told(kind: str, figure: float, words: str) -> None:
    """Each shortfall is named, with what was reached and what was to be."""
    tables = {"pages": TABLES["pages"] | {"sitewise": TABLES["pages"]["sitewise"] | {kind: figure}}}

    assert words in shortfalls(tables, "a", FLOOR)


def test_floors_belong_to_the_pages_they_were_measured_on() -> None:
    """Another page, or another text for it, makes other figures: the floors do not apply."""
    pages = [Sample("article", "https://a.example/", "<p>Beans", "Beans")]
    other = [Sample("article", "https://a.example/", "<p>Beans", "Peas")]

    assert digest({"pages": pages}) != digest({"pages": other})
    assert "not the pages" in shortfalls(TABLES, "b", FLOOR)[0]


def test_the_pinned_floors_can_be_read() -> None:
    """Every kind of page has a floor, and the mean has to stay 0.03 above trafilatura's."""
    floors = json.loads(FLOORS.read_text(encoding="utf-8"))

    assert len(floors["word_f1"]["pages"]) == 8
    assert floors["ahead_of_trafilatura"]["mean"] == 0.03
