"""Words are counted in every script alike."""

from __future__ import annotations

import pytest

from pipeline.words import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("  \n ", 0),
        ("A lamp costs nine euros.", 5),
        ("Ein Lampenschirm für 9,90 €", 5),
        ("החנות פתוחה ביום שישי", 4),
        ("退货政策", 2),
        ("返品は30日以内に無料で承ります。", 7),
        ("สินค้า", 3),
        ("Preis: 退货", 2),
    ],
)
def test_words_are_counted(text: str, words: int) -> None:
    """By spaces where a script has them, else by two letters."""
    assert count_words(text) == words
