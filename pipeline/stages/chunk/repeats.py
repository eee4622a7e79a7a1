"""Knows a page's blocks again on other pages, and takes those out that a whole site shows.

A block is a paragraph, list, table, fence or quote of the Markdown, or a heading. A heading is taken out only where
it is repeated itself and everything under it is taken out.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pipeline.stages.chunk.blocks import Kind, heading_text, read_blocks
from pipeline.steady import steady

LEAST_WORDS = 3
"""A block of fewer words is never taken out: "Yes." says something else on every page."""


PROSE_WORDS = 12
"""A paragraph of so many words that ends as a sentence does says what it says by itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a page: where it stands, and by what it is known. `level` is a heading's, else 0."""

    fingerprint: int
    start: int
    end: int
    words: int
    level: int = 0
    is_prose: bool = False

    @property
    def can_repeat(self) -> bool:
        """Whether it may count as shown by a whole site."""
        return self.level > 0 or self.words >= LEAST_WORDS


@dataclass(frozen=True, slots=True)
class Rest:
    """A page without some of its blocks: what remains, and pairs of offsets in it and in the page."""

    text: str
    places: tuple[tuple[int, int], ...]

    def start(self, at: int) -> int:
        """Where in the page the character of this offset stands."""
        here, there = self.places[bisect_right(self.places, at, key=lambda place: place[0]) - 1]
        return there + at - here

    def end(self, at: int) -> int:
        """Where in the page a span ends that ends at this offset."""
        return self.start(at - 1) + 1 if at else 0


def read_parts(markdown: str) -> list[Part]:
    """The blocks of a page in order."""
    parts = []
    for block in read_blocks(markdown):
        source = markdown[block.start : block.end]
        if block.kind is Kind.HEADING:
            said = heading_text(source)
            parts.append(Part(fingerprint(said) | 1, block.start, block.end, len(said.split()), block.level))
        else:
            words = len(source.split())
            is_prose = block.kind is Kind.PARAGRAPH and words >= PROSE_WORDS and source.rstrip()[-1] in ".!?"
            parts.append(Part(fingerprint(source) & ~1, block.start, block.end, words, is_prose=is_prose))
    return parts


def fingerprint(block: str) -> int:
    """64 bits, signed, of a block's words: white space, and what changes by itself, do not count.

    The last bit tells a heading (1) from any other block (0).
    """
    folded = " ".join(steady(block).split())
    digest = hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], signed=True)


def texts(fingerprints: Iterable[int]) -> set[int]:
    """Those of the fingerprints that are not headings'."""
    return {one for one in fingerprints if not one & 1}


def repeatable(markdown: str) -> set[int]:
    """Fingerprints of the page's blocks that may count as shown by a whole site."""
    return {part.fingerprint for part in read_parts(markdown) if part.can_repeat}


def surplus(markdown: str, site_wide: AbstractSet[int], *, least_words: int) -> set[int]:
    """Which of the blocks that the whole site shows this page does without.

    None, where fewer than `least_words` words would remain: a page that says only what others say too still says it.
    """
    parts = read_parts(markdown)
    gone = _gone(parts, site_wide)
    left = sum(part.words for part, is_gone in zip(parts, gone, strict=True) if not is_gone and not part.level)
    if not any(gone) or left < least_words:
        return set()
    return {part.fingerprint for part, is_gone in zip(parts, gone, strict=True) if is_gone}


def without(markdown: str, left_out: AbstractSet[int]) -> Rest:
    """The page without these blocks, as if they had never stood there."""
    parts = read_parts(markdown) if left_out else []
    gone = _gone(parts, left_out)
    if not any(gone):
        return Rest(markdown, ((0, 0),))
    text: list[str] = []
    places: list[tuple[int, int]] = []
    length = 0
    for number, (part, is_gone) in enumerate(zip(parts, gone, strict=True)):
        if is_gone:
            continue
        stop = parts[number + 1].start if number + 1 < len(parts) else len(markdown)
        span = markdown[part.start : stop]
        places.append((length, part.start))
        text.append(span)
        length += len(span)
    return Rest("".join(text).rstrip(), tuple(places) or ((0, 0),))


def excerpts(markdown: str, left_out: AbstractSet[int]) -> list[str]:
    """The texts of the blocks that are taken out, in order."""
    parts = read_parts(markdown) if left_out else []
    return [
        markdown[part.start : part.end] for part, is_gone in zip(parts, _gone(parts, left_out), strict=True) if is_gone
    ]


def arrangement(markdown: str) -> Counter[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The page's sections, each the fingerprints of the headings over it and of its blocks, in no order.

    Within a section the order counts, unless it is all prose: a price belongs to the name above it, but whole
    paragraphs under one heading say the same in any order, and so do sections.
    """
    found: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    path: list[Part] = []
    section: list[Part] = []
    for part in [*read_parts(markdown), None]:
        if part is not None and not part.level:
            section.append(part)
            continue
        prints = [one.fingerprint for one in section]
        is_prose = all(one.is_prose for one in section)
        found[tuple(one.fingerprint for one in path), tuple(sorted(prints) if is_prose else prints)] += 1
        section = []
        if part is not None:
            path = [*(above for above in path if above.level < part.level), part]
    return found


def _gone(parts: list[Part], left_out: AbstractSet[int]) -> list[bool]:
    """For each block, whether it is taken out; headings are judged after what stands under them."""
    gone = [not part.level and part.can_repeat and part.fingerprint in left_out for part in parts]
    for number in range(len(parts) - 1, -1, -1):
        part = parts[number]
        if part.level and part.fingerprint in left_out:
            under = _under(parts, number)
            gone[number] = bool(under) and all(gone[other] for other in under)
    return gone


def _under(parts: list[Part], heading: int) -> range:
    """The numbers of the blocks under a heading."""
    stop = heading + 1
    while stop < len(parts) and not 0 < parts[stop].level <= parts[heading].level:
        stop += 1
    return range(heading + 1, stop)
