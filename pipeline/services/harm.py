"""Which changes of a website would harm what is known of it: emptied pages, and one text in place of many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import floor

KEPT_SHARE = 0.5
"""A text that keeps less than this share of the words of the one before is looked at again at the end of its crawl."""

COMMON_SHARE = 0.8
"""From this share on of words that many other new texts have too, a text says nothing of its own."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Replaced:
    """The words of a page before and after."""

    before: AbstractSet[str]
    after: AbstractSet[str]

    @classmethod
    def of(cls, before: str, after: str) -> Replaced:
        """Read two texts."""
        return cls(words(before), words(after))

    @property
    def is_another(self) -> bool:
        """Whether hardly anything of the old text is left."""
        return len(self.before & self.after) < KEPT_SHARE * len(self.before)

    def is_emptied(self, share: float) -> bool:
        """Whether the new text has less than this share of the old one's words."""
        return len(self.after) < share * len(self.before)


def words(text: str) -> AbstractSet[str]:
    """The different words and numbers of a text."""
    return frozenset(_WORD.findall(text.casefold()))


def least_harmed(serving: int, *, share: float, least: int) -> int:
    """How many harmed pages, of so many that serve, are too many: more than the share, and `least`, or all."""
    return min(max(floor(share * serving) + 1, least), max(serving, 1))


def worse(read: Callable[[], Iterable[Replaced]], *, least: int, share: float) -> list[bool]:
    """For each of the texts: whether it is emptied, or says what at least `least` pages say in place of their own.

    Pages that said much the same before, such as those of a catalogue, may do so again. The texts are read twice
    rather than kept: a website may have many.
    """
    before, after = Counter[str](), Counter[str]()
    for one in read():
        before.update(one.before)
        after.update(one.after)
    return [one.is_emptied(share) or _is_alike(one, before, after, least) for one in read()]


def _is_alike(one: Replaced, before: Counter[str], after: Counter[str], least: int) -> bool:
    old, new = _common(one.before, before, least), _common(one.after, after, least)
    return new >= COMMON_SHARE and (1 - new) <= (1 - old) / 2


def _common(text: AbstractSet[str], counts: Counter[str], least: int) -> float:
    """The share of a text's words that at least `least` of the texts have."""
    return sum(counts[word] >= least for word in text) / max(len(text), 1)
