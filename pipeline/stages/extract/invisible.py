"""Removes characters that print nothing, and reads what was smuggled in them."""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e01ef]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]"
)
"""Zero-width, direction, filler, variation and tag characters. Joiners stay where scripts and emoji need them."""

_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_TAG_BASE = 0xE0000


def strip_invisible(text: str) -> tuple[str, str]:
    """The text without invisible characters, and the words that were written in tag characters."""
    if text.isascii() or not _INVISIBLE.search(text):
        return text, ""
    smuggled = " ".join("".join(chr(ord(c) - _TAG_BASE) for c in run) for run in _TAGS.findall(text))
    return _INVISIBLE.sub("", text), smuggled
