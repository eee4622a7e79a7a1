"""Decides a page's language: what it declares, else what its text looks like."""

from __future__ import annotations

_SAMPLE = 600
"""Characters looked at: more take longer and change next to no answer."""

_LEAST_LETTERS = 40


def language_of(declared: str | None, text: str) -> str | None:
    """The declared language, else the detected one, as its letters; None for too little text."""
    if declared:
        return declared
    letters = sum(character.isalpha() for character in text[:_SAMPLE])
    return _detect(text[:_SAMPLE]) if letters >= _LEAST_LETTERS else None


def _detect(text: str) -> str:
    import py3langid  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped; half a second to load, few need it

    return str(py3langid.classify(text)[0])
