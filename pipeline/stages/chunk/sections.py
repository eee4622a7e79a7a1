"""Gives every block its section, and every section the headings it stands under."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.stages.chunk.blocks import Block, Kind, heading_text

_SITE_NAME = re.compile(r"\s*[|\u2013\u2014\u00b7-]\s")
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, up to the next heading.

    `path` is what chunks carry as context. `cost` counts its tokens and the special ones. `is_whole` tells that the
    heading's own words are in the path uncut, so that a chunk's text need not repeat them.
    """

    path: tuple[str, ...]
    cost: int = 0
    is_whole: bool = True


def read_sections(markdown: str, blocks: Sequence[Block], title: str) -> tuple[list[Section], list[int]]:
    """The sections in order, and for each block the number of its section."""
    root = " ".join(title.split())
    sections = [Section((root,) if root else ())]
    members = []
    open_headings: list[tuple[int, str]] = []
    for block in blocks:
        if block.kind is Kind.HEADING:
            words = heading_text(markdown[block.start : block.end])
            while open_headings and open_headings[-1][0] >= block.level:
                open_headings.pop()
            open_headings.append((block.level, words))
            sections.append(Section(_path(root, [words for _, words in open_headings if words])))
        members.append(len(sections) - 1)
    return sections, members


def _path(root: str, headings: list[str]) -> tuple[str, ...]:
    """Title, then headings; a first heading that says the title again stands in its place."""
    if not root or (headings and _says(root, headings[0])):
        return tuple(headings)
    return (root, *headings)


def _says(title: str, heading: str) -> bool:
    """Whether a title is the heading, alone or followed by the site's name."""
    folded, start = title.casefold(), heading.casefold()
    return folded.startswith(start) and (len(folded) == len(start) or bool(_SITE_NAME.match(folded, len(start))))


def fit_paths(sections: list[Section], *, limit: int, count: Callable[[Sequence[str]], list[int]]) -> list[Section]:
    """The same sections with paths of at most `limit` tokens each, special ones included, and what each costs.

    The middle goes first, then the beginning; the heading a text stands under is the last to be cut.
    """
    paths = sorted({section.path for section in sections})
    costs = dict(zip(paths, count([" > ".join(path) for path in paths]), strict=True))
    fitted: dict[tuple[str, ...], Section] = {}
    for path, cost in costs.items():
        fitted[path] = Section(path, cost) if cost <= limit else _shorten(path, limit, count)
    return [fitted[section.path] for section in sections]


def _shorten(path: tuple[str, ...], limit: int, count: Callable[[Sequence[str]], list[int]]) -> Section:
    last = path[-1]
    candidates = [(path[0], *path[cut:]) for cut in range(2, len(path))] + [(last,)]
    words = last.split()[:limit]
    candidates += [(" ".join(words[:kept]) + _ELLIPSIS,) for kept in range(len(words) - 1, 0, -1)]
    candidates = [one for one in candidates if sum(map(len, one)) <= limit * 16]
    for one, cost in zip(candidates, count([" > ".join(one) for one in candidates]), strict=True):
        if cost <= limit:
            return Section(one, cost, is_whole=one[-1] == last)
    return Section((), count([""])[0], is_whole=False)
