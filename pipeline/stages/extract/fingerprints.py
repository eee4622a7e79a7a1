"""Hashes that tell whether a page has changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from pipeline.steady import steady

_FACT = re.compile(r"[$\u20ac\u00a3\u00a5]?\d[\d.,:/\u2013-]*[\d%](?![\w])|[$\u20ac\u00a3\u00a5]?\d")


def text_hash(markdown: str) -> str:
    """SHA-256 of the text with white space folded and without what changes by itself, hexadecimal."""
    return hashlib.sha256(" ".join(steady(markdown).split()).encode("utf-8", "surrogatepass")).hexdigest()


def fact_hash(texts: Iterable[str], stated: Iterable[str]) -> str:
    """SHA-256 over the numbers in these texts and the facts stated for machines, whatever their order."""
    facts = {fact for text in texts for fact in _FACT.findall(text)}
    facts.update(stated)
    return hashlib.sha256("\n".join(sorted(facts)).encode("utf-8", "surrogatepass")).hexdigest()
