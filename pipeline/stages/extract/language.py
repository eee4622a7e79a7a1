"""Decides a page's language: what it declares, else what its text looks like."""

from __future__ import annotations

_SAMPLE = 600
"""Characters looked at: more take longer and change next to no answer."""

_LEAST_LETTERS = 40
_ENGLISH = frozenset(("the", "and", "with", "this", "that", "you", "your", "are", "from", "which", "when", "not"))
_LEAST_SHARE, _LEAST_DIFFERENT = 0.1, 3


def language_of(declared: str | None, text: str) -> str | None:
    """The declared language, else the detected one, as its letters; None for too little text."""
    if declared:
        return declared
    letters = sum(character.isalpha() for character in text[:_SAMPLE])
    if letters < _LEAST_LETTERS:
        return None
    return "en" if _is_plainly_english(text[:_SAMPLE]) else _detect(text[:_SAMPLE])


def _is_plainly_english(text: str) -> bool:
    """Whether so many words are ones that no other language has that nothing else can come out."""
    words = text.lower().split()
    english = [word for word in words if word in _ENGLISH]
    return len(english) >= _LEAST_SHARE * len(words) and len(set(english)) >= _LEAST_DIFFERENT


def _detect(text: str) -> str:
    import py3langid  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped; half a second to load, few need it

    return str(py3langid.classify(text)[0])
