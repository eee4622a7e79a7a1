"""Turns groups of units into chunks, and proves that each is small enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile

from pipeline.model import Chunk, embedded_text
from pipeline.stages.chunk.sections import Section
from pipeline.stages.chunk.units import Frame, Ruler, Unit

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk before it is counted: it covers `[start, end)` and shows `[shown, end)` in its frame."""

    path: tuple[str, ...]
    start: int
    shown: int
    end: int
    frame: Frame | None = None

    @property
    def is_smallest(self) -> bool:
        """Whether nothing is left to take away."""
        return self.end - self.shown <= 1 and not self.path and self.frame is None

    def text(self, markdown: str) -> str:
        """What a reader sees."""
        prefix = self.frame.prefix if self.frame and self.frame.start < self.shown else ""
        suffix = self.frame.suffix if self.frame and self.end < self.frame.end else ""
        return prefix + markdown[self.shown : self.end] + suffix


@dataclass(frozen=True, slots=True)
class Drafts:
    """Makes the chunks of one page."""

    ruler: Ruler
    units: Sequence[Unit]
    sections: Sequence[Section]
    overlap: int

    def of(self, first: int, last: int) -> Draft:
        """The draft of the units `[first, last)`. Headings that its path says whole are not shown again."""
        units = self.units[first:last]
        rest = list(dropwhile(lambda unit: unit.is_context, units))
        if not rest:
            return Draft(self.sections[units[0].section].path[:-1], units[0].start, units[0].start, units[-1].end)
        path = self._path(rest)
        rest = list(dropwhile(lambda unit: self._is_said(unit, path), units))
        path = self._path(rest)
        shown = rest[0]
        begin = self._overlapped(first) if shown is units[0] and self.overlap else self._line_start(shown.start)
        frame = units[-1].frame if shown.frame in (units[-1].frame, None) else None
        return Draft(path, min(units[0].start, begin), begin, units[-1].end, frame)

    def _path(self, units: Sequence[Unit]) -> tuple[str, ...]:
        """The headings that all of these stand under."""
        return _shared([self.sections[number].path for number in {unit.section: None for unit in units}])

    def _is_said(self, unit: Unit, path: tuple[str, ...]) -> bool:
        said = self.sections[unit.section].path
        return unit.is_context and path[: len(said)] == said

    def _line_start(self, at: int) -> int:
        """With the indentation before it, which lists and code need to be read."""
        start = at
        while start > 0 and self.ruler.text[start - 1] in " \t":
            start -= 1
        return start if start == 0 or self.ruler.text[start - 1] == "\n" else at

    def _overlapped(self, first: int) -> int:
        """Where a chunk begins that repeats the end of the one before it in its section."""
        unit = self.units[first]
        earliest = first
        while earliest > 0 and not self.units[earliest - 1].is_context and self._continues(earliest):
            earliest -= 1
        if earliest == first or unit.is_context or unit.frame:
            return self._line_start(unit.start)
        begin = max(self.ruler.before(unit.start, self.overlap), self.units[earliest].start)
        words = self.ruler.text[begin : unit.start].split(None, 1)
        if begin > self.units[earliest].start and len(words) > 1:
            begin = unit.start - len(words[1])
        return begin

    def _continues(self, at: int) -> bool:
        before, unit = self.units[at - 1], self.units[at]
        return before.section == unit.section and before.frame is None

    def finish(self, drafts: Sequence[Draft], count: Count, max_tokens: int) -> list[Chunk]:
        """Count every draft in one batch, halve those that came out too long, and number the rest."""
        text = self.ruler.text
        done: list[tuple[Draft, int]] = []
        waiting = list(drafts)
        while waiting:
            counts = count([embedded_text(draft.path, draft.text(text)) for draft in waiting])
            again: list[Draft] = []
            for draft, tokens in zip(waiting, counts, strict=True):
                if tokens <= max_tokens or draft.is_smallest:
                    done.append((draft, tokens))
                else:
                    again.extend(_halved(draft, text))
            waiting = again
        done.sort(key=lambda one: (one[0].start, one[0].end))
        return [
            Chunk(position, draft.path, draft.text(text), draft.start, draft.end, tokens)
            for position, (draft, tokens) in enumerate(done)
        ]


def _shared(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What all paths begin with."""
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return tuple(level[0] for level in levels)


def _halved(draft: Draft, text: str) -> list[Draft]:
    """Two drafts cut at a space near the middle; a single character sheds its headings and frame instead."""
    if draft.end - draft.shown <= 1:
        return [Draft((), draft.start, draft.shown, draft.end)]
    middle = (draft.shown + draft.end) // 2
    space = max(text.rfind(" ", draft.shown + 1, middle), text.rfind("\n", draft.shown + 1, middle))
    cut = space + 1 if space > draft.shown + (draft.end - draft.shown) // 4 else middle
    left, right = text[draft.shown : cut].rstrip(), text[cut : draft.end].lstrip()
    halves = []
    if left:
        halves.append(Draft(draft.path, draft.start, draft.shown, draft.shown + len(left), draft.frame))
    if right:
        start = draft.end - len(right)
        halves.append(Draft(draft.path, start if left else draft.start, start, draft.end, draft.frame))
    return halves
