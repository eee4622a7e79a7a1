"""How many words a text has, in scripts with spaces between words and in those without."""

from __future__ import annotations

import re

UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
"""Runs of scripts written without spaces, or (Hangul) with particles joined: Thai, Lao, Burmese, Khmer, CJK."""

LETTERS_A_WORD = 2
"""Letters of such a run that count as a word: about what words of Chinese, Japanese and Korean have."""


def count_words(text: str) -> int:
    """Words of a text: what spaces part, and of a run without spaces one for each two letters."""
    return sum(1 if (length := _unspaced(word)) == 0 else -(-length // LETTERS_A_WORD) for word in text.split())


def _unspaced(word: str) -> int:
    """Letters of scripts without spaces in what spaces part."""
    return 0 if word.isascii() else sum(map(len, UNSPACED.findall(word)))
