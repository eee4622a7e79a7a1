"""Cuts a page's Markdown into chunks by its structure: small enough to embed whole, stable under edits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from pipeline.model import Chunk
from pipeline.stages.chunk.blocks import Block, Kind, read_blocks
from pipeline.stages.chunk.drafts import Drafts
from pipeline.stages.chunk.packing import Packing
from pipeline.stages.chunk.sections import Section, fit_paths, read_sections
from pipeline.stages.chunk.units import Rank, Ruler, Unit, tear

__all__ = ["Tokenizer", "chunk"]

MERGE_TOKENS = 128
"""Small sections under one heading share a chunk up to this size."""

_LEAD_TOKENS = 48
_PATH_SHARE = 3
_OVERLAP_SHARE = 4


class Tokenizer(Protocol):
    """What cutting needs of the embedding model's tokenizer."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included, nothing cut."""
        ...

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character spans of the text's tokens, special tokens left out."""
        ...


def chunk(
    markdown: str,
    *,
    title: str,
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap_tokens: int = 0,
    merge: int = MERGE_TOKENS,
) -> list[Chunk]:
    """Cut a page into chunks of at most `max_tokens` tokens, headings and special tokens included.

    `max_tokens` must not exceed what the model reads. Every character of the page that is not white space lies in
    at least one chunk's `[start, end)`. A section's chunks depend on that section alone, except that small ones
    share a chunk of up to `merge` tokens with their neighbours. The last `overlap_tokens` of a chunk are repeated
    by the next one of its section.
    """
    overlap = min(overlap_tokens, max_tokens // _OVERLAP_SHARE)
    blocks = list(read_blocks(markdown))
    if not blocks:
        return []
    sections, members = read_sections(markdown, blocks, title)
    path_limit = tokenizer.count([""])[0] + max_tokens // _PATH_SHARE
    sections = fit_paths(sections, limit=path_limit, count=tokenizer.count)
    ruler = Ruler(markdown, tokenizer.offsets(markdown))
    free = [max_tokens - section.cost - overlap for section in sections]
    units = _units(blocks, members, sections, free, ruler)
    weights = [ruler.weigh(unit.start, after.start) for unit, after in pairwise(units)]
    weights.append(ruler.weigh(units[-1].start, units[-1].end))
    limits = [free[unit.section] - (unit.frame.cost if unit.frame else 0) for unit in units]
    packing = Packing(markdown, units, weights=weights, limits=limits, merge=merge)
    drafts = Drafts(ruler, units, sections, overlap)
    groups = [drafts.of(first, last) for first, last in packing.groups()]
    return drafts.finish(groups, tokenizer.count, max_tokens)


def _units(
    blocks: Sequence[Block], members: Sequence[int], sections: Sequence[Section], free: Sequence[int], ruler: Ruler
) -> list[Unit]:
    units: list[Unit] = []
    before: Block | None = None
    for block, section in zip(blocks, members, strict=True):
        is_context = block.kind is Kind.HEADING and sections[section].is_whole
        rank = _rank(before, block, ruler)
        units.extend(tear(block, ruler, limit=free[section], section=section, rank=rank, is_context=is_context))
        before = block
    return units


def _rank(before: Block | None, block: Block, ruler: Ruler) -> int:
    """How strongly the border between two blocks parts them."""
    if before is None:
        return Rank.PAGE
    if before.kind is Kind.HEADING:
        return Rank.LEAD
    if block.kind is Kind.HEADING:
        return Rank.HEADING - block.level
    return Rank.LEAD if before.kind is Kind.PARAGRAPH and _introduces(before, ruler) else Rank.BLOCK


def _introduces(paragraph: Block, ruler: Ruler) -> bool:
    """Whether a paragraph says little without what follows: "as follows:", or the term of a definition."""
    if ruler.weigh(paragraph.start, paragraph.end) > _LEAD_TOKENS:
        return False
    words = ruler.text[paragraph.start : paragraph.end].strip()
    is_term = words.startswith(("`", "**")) and words[-1] not in ".!?"
    return is_term or words[-1] in ":\uff1a"
