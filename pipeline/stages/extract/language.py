"""Decides a page's language: what it declares, else what its text looks like."""

from __future__ import annotations

_SAMPLE = 600
"""Characters looked at: more take longer and change next to no answer."""

_LEAST_LETTERS = 40
_ENGLISH = frozenset(("the", "and", "with", "this", "that", "you", "your", "are", "from", "which", "when", "not"))
_COMMON = _ENGLISH | {"of", "is", "to", "by", "for", "can", "if", "or", "a", "in", "on", "be", "as", "it", "an"}
_LEAST_COMMON, _LEAST_ENGLISH, _LEAST_DIFFERENT = 0.12, 0.06, 3


def language_of(declared: str | None, text: str) -> str | None:
    """The declared language, else the detected one, as its letters; None for too little text."""
    if declared:
        return declared
    letters = sum(character.isalpha() for character in text[:_SAMPLE])
    if letters < _LEAST_LETTERS:
        return None
    return "en" if _is_plainly_english(text[:_SAMPLE]) else _detect(text[:_SAMPLE])


def _is_plainly_english(text: str) -> bool:
    """Whether nothing but English can come out: words that only it has, and many of its commonest."""
    words = text.lower().split()
    english = [word for word in words if word in _ENGLISH]
    common = sum(word in _COMMON for word in words)
    return (
        common >= _LEAST_COMMON * len(words)
        and len(english) >= _LEAST_ENGLISH * len(words)
        and len(set(english)) >= _LEAST_DIFFERENT
    )


def _detect(text: str) -> str:
    import py3langid  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped; half a second to load, few need it

    return str(py3langid.classify(text)[0])
