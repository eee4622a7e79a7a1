"""Passages: candidates of the vector store, joined with what is live now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

from pipeline.db.chunks import LiveChunk
from pipeline.model import Hit, Passage

SCORE_DIGITS = 5

SHORTEST_OVERLAP = 24
"""Characters that two neighbours share at their seam from which on it is an overlap, not a coincidence."""

NEARLY_ALL = 0.8
"""Share of a text from which on the rest is a footer. Whoever may write on a page cannot displace what another says by
repeating it with more."""

TABLE_HEAD = 2
"""Lines of a Markdown table before its rows."""

WEBSITE, INSTRUCTION_LIKE = "website", "instruction_like"
"""What a passage's `trust` says of it."""


class Fate(StrEnum):
    """Why a candidate is among the passages, or is not. `joined` stands in the passage that it continues.

    The last four are the database's words.
    """

    CHOSEN = "chosen"
    JOINED = "joined"
    BELOW_TOP_K = "below_top_k"
    PAGE_CAP = "page_cap"
    HOST_CAP = "host_cap"
    DOUBLE = "double"
    STALE = "stale"
    EXCLUDED = "excluded"
    REMOVED = "removed"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Choice:
    """The passages, and what became of every live candidate."""

    passages: tuple[Passage, ...]
    fates: Mapping[UUID, Fate]
    joined: Mapping[UUID, UUID]
    """For each candidate that stands in another's passage: whose."""
    tokens: tuple[int, ...] = ()
    """Of each passage with its headings, as its chunks were counted when they were cut."""


def in_order(hits: Sequence[Hit], live: Mapping[UUID, LiveChunk]) -> list[Hit]:
    """The live hits, best first; of equals, the one first on the site.

    Ids are random and floats differ in their last digit from store to store: neither may decide a rank.
    """

    def place(hit: Hit) -> tuple[float, str, int]:
        chunk = live[hit.id]
        return (-round(hit.score, SCORE_DIGITS), chunk.url, chunk.position)

    return sorted((hit for hit in hits if hit.id in live), key=place)


def without_doubles(live: Mapping[UUID, LiveChunk]) -> dict[UUID, LiveChunk]:
    """Of chunks that say the same under the same headings, the one with the shortest URL, then the first by name.

    One that says hardly less than another of its host, line for line, as a page's print view does, is a double of that.
    """
    kept: dict[tuple[str, ...], LiveChunk] = {}
    for chunk in sorted(live.values(), key=lambda chunk: (len(chunk.url), chunk.url)):
        kept.setdefault((*chunk.heading_path, chunk.text), chunk)
    alike: dict[tuple[str, ...], list[LiveChunk]] = defaultdict(list)
    for chunk in sorted(kept.values(), key=lambda chunk: -len(chunk.text)):
        same = alike[(urlsplit(chunk.url).netloc, *chunk.heading_path)]
        if not any(_says_all(longer.text, chunk.text) for longer in same):
            same.append(chunk)
    return {chunk.id: chunk for chunks in alike.values() for chunk in chunks}


def choose(
    ranked: Sequence[Hit],
    live: Mapping[UUID, LiveChunk],
    *,
    top_k: int,
    per_page: int,
    per_host: int,
    suspect: Collection[UUID] = (),
    join_tokens: int = 0,
    room: int = 0,
) -> Choice:
    """The best `top_k` passages, at most `per_page` of one page and `per_host` of one host.

    Args:
        ranked: Live candidates, best first.
        live: What is known of each.
        top_k: Passages at most.
        per_page: Passages one page may give.
        per_host: Passages one host may give.
        suspect: Candidates whose text speaks to an assistant; a passage made of one says so.
        join_tokens: Tokens up to which a passage takes in neighbours that continue it and were found as well.
        room: Tokens of all passages together up to which neighbours are taken in.
    """
    of_page: Counter[UUID] = Counter()
    of_host: Counter[str] = Counter()
    runs: list[Run] = []
    on_page: dict[UUID, list[Run]] = defaultdict(list)
    fates: dict[UUID, Fate] = {}
    joined: dict[UUID, UUID] = {}
    filled = 0
    for hit in ranked:
        chunk = live[hit.id]
        run = _continued(on_page.get(chunk.page_id, ()), chunk, suspect, join_tokens)
        if run is not None and filled + chunk.tokens <= room:
            run.take(chunk)
            filled += chunk.tokens
            fates[hit.id], joined[hit.id] = Fate.JOINED, run.hit.id
        elif len(runs) == top_k:
            fates[hit.id] = Fate.BELOW_TOP_K
        elif of_page[chunk.page_id] >= per_page:
            fates[hit.id] = Fate.PAGE_CAP
        elif of_host[host := urlsplit(chunk.url).netloc] >= per_host:
            fates[hit.id] = Fate.HOST_CAP
        else:
            of_page[chunk.page_id] += 1
            of_host[host] += 1
            fates[hit.id] = Fate.CHOSEN
            runs.append(Run(hit, [chunk]))
            filled += chunk.tokens
            on_page[chunk.page_id].append(runs[-1])
    passages = tuple(_passage(run, INSTRUCTION_LIKE if run.hit.id in suspect else WEBSITE) for run in runs)
    return Choice(passages, fates, joined, tuple(run.tokens for run in runs))


@dataclass(slots=True)
class Run:
    """Neighbouring chunks of one section, in the order of their page; `hit` is the one that was found first."""

    hit: Hit
    chunks: list[LiveChunk]

    @property
    def tokens(self) -> int:
        """Of all of them."""
        return sum(chunk.tokens for chunk in self.chunks)

    @property
    def text(self) -> str:
        """One text, without what a chunk repeats of the one before it."""
        text = self.chunks[0].text
        for chunk in self.chunks[1:]:
            text = spliced(text, chunk.text)
        return text

    def is_continued_by(self, chunk: LiveChunk) -> bool:
        """Whether a chunk stands right before or after these, under the same headings of the same text."""
        first, last = self.chunks[0], self.chunks[-1]
        is_same = (chunk.page_id, chunk.heading_path, chunk.number) == (first.page_id, first.heading_path, first.number)
        return is_same and chunk.position in {first.position - 1, last.position + 1}

    def take(self, chunk: LiveChunk) -> None:
        """Add a chunk that continues them."""
        self.chunks.insert(0 if chunk.position < self.chunks[0].position else len(self.chunks), chunk)


def spliced(text: str, more: str) -> str:
    """Two neighbours as one text: a table's repeated head, and words that overlap, stand there once."""
    ours, theirs = text.splitlines(), more.splitlines()
    head = _table_head(theirs)
    if head and any(ours[at : at + len(head)] == head for at in range(len(ours))):
        return "\n".join([text.rstrip("\n"), *theirs[len(head) :]])
    for length in range(min(len(text), len(more)), SHORTEST_OVERLAP - 1, -1):
        if text.endswith(more[:length]):
            return text + more[length:]
    return f"{text}\n\n{more}"


def _says_all(longer: str, text: str) -> bool:
    """Whether these whole lines stand in a text that has hardly more."""
    return len(text) >= NEARLY_ALL * len(longer) and f"\n{text.strip()}\n" in f"\n{longer.strip()}\n"


def _table_head(lines: Sequence[str]) -> list[str]:
    """The first two lines of a text that begins with a Markdown table."""
    is_table = len(lines) > TABLE_HEAD and lines[0].startswith("|") and set(lines[1]) <= set("|-: ")
    return list(lines[:TABLE_HEAD]) if is_table else []


def _continued(runs: Sequence[Run], chunk: LiveChunk, suspect: Collection[UUID], limit: int) -> Run | None:
    """The passage of its page that a chunk continues and fits into; what speaks to an assistant stays alone."""
    if not runs or not limit or chunk.id in suspect:
        return None
    fitting = (run for run in runs if run.tokens + chunk.tokens <= limit and run.hit.id not in suspect)
    return next((run for run in fitting if run.is_continued_by(chunk)), None)


def _passage(run: Run, trust: str) -> Passage:
    chunk = next(one for one in run.chunks if one.id == run.hit.id)
    return Passage(
        id=chunk.id,
        text=run.text,
        title=chunk.title,
        heading_path=tuple(chunk.heading_path),
        url=chunk.url,
        language=chunk.language,
        score=round(run.hit.score, 6),
        page_version=chunk.number,
        fetched_at=chunk.fetched_at,
        changed_at=chunk.changed_at,
        trust=trust,
    )
