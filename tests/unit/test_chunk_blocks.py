"""What the blocks of a page's Markdown are named by."""

from __future__ import annotations

import pytest

from pipeline.stages.chunk.blocks import heading_text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("## Delivery", "Delivery"),
        ("## Delivery ##", "Delivery"),
        ("# C#", "C#"),
        ("### #", ""),
        ("# **Hose** and `filter`", "Hose and filter"),
        ("# See [the  parts](/parts) ", "See the parts"),
    ],
)
def test_a_headings_words_are_without_marks(source: str, words: str) -> None:
    """Number signs around it, emphasis, code marks and link targets are no words; a sign that ends a word is one."""
    assert heading_text(source) == words
