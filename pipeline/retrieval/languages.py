"""What each half of the search is worth for a message: a model that never learnt its language finds by accident.

BM25 works in every language; a model's half counts whole only in a language that the model reads. In another one of
the same letters names and loan words still lead somewhere; in other letters next to nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pipeline.model import SparseVector

READ, SAME_LETTERS, OTHER_LETTERS = 1.0, 0.25, 0.1
"""Weight of the model's half beside 1 for BM25: measured on German, Spanish, Russian and Chinese."""

ENGLISH_MODELS = ("all-minilm", "all-mpnet", "all-distilroberta", "multi-qa-", "msmarco-", "potion-base", "-en-v")
"""Parts of names of models that were taught English alone."""

EVERY = "*"

_LETTERS = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")
_OTHER_LETTERS = frozenset((
    "am", "ar", "as", "be", "bg", "bn", "bo", "dv", "dz", "el", "fa", "gu", "he", "hi", "hy", "ja", "ka", "kk",
    "km", "kn", "ko", "ky", "lo", "mk", "ml", "mn", "mr", "my", "ne", "or", "pa", "ps", "ru", "sa", "sd", "si",
    "sr", "ta", "te", "tg", "th", "ti", "ug", "uk", "ur", "yi", "zh",
))  # fmt: skip
"""Languages not written in Latin letters."""

_WORDS = re.compile(r"\w+")

Encode = Callable[..., SparseVector]
"""BM25 terms of a text in a language: its stop words are left out."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each half counts, and the language that decided it, if any did."""

    dense: float
    sparse: float
    language: str | None


def weights(language: str | None, message: str, *, read: Collection[str]) -> Weights:
    """Weigh the halves for a message in this language, by a model that reads these.

    Args:
        language: Of the message; none where nothing tells.
        message: Its letters are looked at in any case: they do not lie.
        read: Codes of languages, or `*` for every one.
    """
    if EVERY in read:
        return Weights(READ, 1.0, language)
    codes = {base(code) for code in read}
    reads_latin = not codes <= _OTHER_LETTERS
    is_latin = is_in_latin_letters(message)
    if language is not None and base(language) in codes and (is_latin or base(language) in _OTHER_LETTERS):
        return Weights(READ, 1.0, language)
    if not is_latin and reads_latin and not codes & _OTHER_LETTERS:
        return Weights(OTHER_LETTERS, 1.0, language)
    return Weights(READ if language is None else SAME_LETTERS, 1.0, language)


def language_of(message: str, among: Sequence[str], encode: Encode) -> str | None:
    """Which of these languages a message is in: that of most of its stop words, else the first.

    A message in letters that none of them is written in is in none of them.
    """
    is_latin = is_in_latin_letters(message)
    possible = [code for code in among if (base(code) not in _OTHER_LETTERS) == is_latin]
    if len(possible) < 2:  # noqa: PLR2004 - nothing to choose between
        return possible[0] if possible else None
    words = len({word.lower() for word in _WORDS.findall(message)})
    return max(possible, key=lambda code: words - len(encode(message, code).indices))


def read_by(model: str, given: Collection[str]) -> tuple[str, ...]:
    """The languages a model reads: those given, else English for models known to be taught nothing else."""
    if given:
        return tuple(given)
    return ("en",) if any(part in model.lower() for part in ENGLISH_MODELS) else (EVERY,)


def is_in_latin_letters(text: str) -> bool:
    """Whether at least half of its letters are Latin; so it is without any letter."""
    letters = _LETTERS.findall(text)
    return 2 * sum(map(bool, map(_LATIN.match, letters))) >= len(letters)


def base(code: str) -> str:
    """The language of a code, without country and script."""
    return code.replace("_", "-").split("-")[0].lower()
