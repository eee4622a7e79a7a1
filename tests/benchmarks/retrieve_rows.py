"""A large knowledge base that no crawler made: rows and points of generated pages, for measuring answers.

Texts are made-up words in natural proportions, vectors are drawn around random centres, and nothing is embedded: a
million chunks would take half a day. The same shape gives the same rows and points every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert

from pipeline.adapters.qdrant.sparse import MEAN_TERMS, Bm25Encoder
from pipeline.db.base import Base
from pipeline.db.chunks import ChunkRow, VersionChunk
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database
from pipeline.db.orgs import Org
from pipeline.db.page_versions import INDEXED, PageVersion
from pipeline.db.pages import Page
from pipeline.model import OrgScope, PageStatus, Reason, Vector

PAGE_CHUNKS = 30
WORDS = 120
VOCABULARY = 8_000
ZIPF = 1.25
ZETA = 4.5951118258
"""Riemann's zeta function of it."""
CENTRES = 200
SPREAD = 1.2
PART = 64 * PAGE_CHUNKS
"""Chunks of one org made at a time: whole pages."""

SATURATION, BY_LENGTH = 1.2, 0.75
"""BM25's k and b, as the encoder has them."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = np.array([f"word{rank}" for rank in range(VOCABULARY + 1)], object)
UP_TO = (np.cumsum(np.arange(1, VOCABULARY, dtype=np.float64) ** -ZIPF) / ZETA).astype(np.float32)
"""How likely a word is one of the most frequent so many."""

Ranks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a knowledge base is."""

    chunks: int
    orgs: int

    @property
    def each(self) -> int:
        """Chunks of one org, at least one."""
        return max(self.chunks // self.orgs, 1)

    def scopes(self) -> list[OrgScope]:
        """Its orgs."""
        return [OrgScope(UUID(int=number + 1)) for number in range(self.orgs)]


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring chunks of one org: their numbers within it begin at `first`; `ranks` are the words of each."""

    scope: OrgScope
    first: int
    ranks: Ranks
    dense: Vector

    @property
    def base(self) -> int:
        """The number that the ids of this org begin with."""
        return self.scope.org_id.int * 10**9

    @property
    def source(self) -> UUID:
        """The org's datasource."""
        return UUID(int=self.base)

    @property
    def ids(self) -> list[UUID]:
        """Of its chunks."""
        first = self.base + 2 * 10**8 + self.first
        return [UUID(int=first + number) for number in range(len(self.ranks))]

    @property
    def pages(self) -> list[UUID]:
        """For each chunk, its page."""
        first = self.base + 10**8
        return [UUID(int=first + (self.first + number) // PAGE_CHUNKS) for number in range(len(self.ranks))]


def words(count: int, rng: np.random.Generator) -> str:
    """Made-up words in natural proportions."""
    return _text(words_of(count, rng))


def parts(shape: Shape, *, dimension: int, seed: int = 1) -> Iterator[Part]:
    """Everything there is, some of one org at a time; each of the orgs has its share of the chunks."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CENTRES, dimension), dtype=np.float32)
    for scope in shape.scopes():
        for first in range(0, shape.each, PART):
            count = min(PART, shape.each - first)
            drawn = rng.standard_normal((count, dimension), dtype=np.float32) * np.float32(SPREAD)
            drawn += centres[rng.integers(0, CENTRES, count)]
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            yield Part(scope, first, words_of((count, WORDS), rng), drawn)


class Terms:
    """What the BM25 encoder makes of generated words, for many texts at a time."""

    def __init__(self) -> None:
        """Ask the encoder for every word once."""
        encode = Bm25Encoder().encode_query
        self._indices = np.array([0, *(encode(name).indices[0] for name in NAMES[1:])], np.int64)

    def of(self, ranks: Ranks) -> Iterator[tuple[list[int], list[float]]]:
        """For each row of words: its terms, and their weights as `encode_document` gives them."""
        width = ranks.shape[1]
        ordered = np.sort(ranks, axis=1).ravel()
        begins = np.empty(len(ordered), bool)
        begins[1:] = ordered[1:] != ordered[:-1]
        begins[::width] = True
        starts = np.flatnonzero(begins)
        counts = np.diff(starts, append=len(ordered))
        longer = SATURATION * (1 - BY_LENGTH + BY_LENGTH * width / MEAN_TERMS)
        weights = (counts * (SATURATION + 1) / (counts + longer)).astype(np.float32).tolist()
        indices = self._indices[ordered[starts]].tolist()
        cuts = np.searchsorted(starts, np.arange(0, len(ordered) + 1, width)).tolist()
        return ((indices[first:last], weights[first:last]) for first, last in pairwise(cuts))


def write_rows(database: Database, shape: Shape, *, model: str, dimension: int) -> None:
    """Write the rows of every org."""
    with database.engine.begin() as connection:
        for part in parts(shape, dimension=dimension):
            if not part.first:
                _write_org(connection, part)
            _write_chunks(connection, part, model=model)


def words_of(count: int | tuple[int, int], rng: np.random.Generator) -> Ranks:
    """Words by how frequent they are, the most frequent 1; the last stands for all that are rarer."""
    return np.searchsorted(UP_TO, rng.random(count, np.float32)) + 1


def _text(ranks: Ranks) -> str:
    return " ".join(NAMES[ranks].tolist())


def _write_org(connection: Connection, part: Part) -> None:
    org, times = part.scope.org_id, {"created_at": NOW, "updated_at": NOW}
    url = _url(org)
    _insert(connection, Org, [{"id": org, "name": f"org{org.int}", "ai_instructions": "", **times}])
    source = {"id": part.source, "org_id": org, "url": url, "url_key": url, "display_name": url}
    _insert(connection, Datasource, [{**source, **times}])


def _write_chunks(connection: Connection, part: Part, *, model: str) -> None:
    org, times = part.scope.org_id, {"created_at": NOW, "updated_at": NOW}
    owned = {"org_id": org, "datasource_id": part.source}
    of_page = part.pages
    named = {page: f"{_url(org)}{page.int - part.base - 10**8}" for page in dict.fromkeys(of_page)}
    pages = [
        {"id": page, "url": url, "url_key": url, "status": PageStatus.SYNCED, "reason": Reason.SYNCED,
         "live_version": page, "language": "en", "fetched_at": NOW, **owned, **times}
        for page, url in named.items()
    ]  # fmt: skip
    versions = [
        {"id": page, "page_id": page, "number": 1, "state": INDEXED, "title": "A page", "language": "en",
         "markdown": "", "text_hash": str(page), "fact_hash": "", "body_sha256": "", "extractor": "1",
         "fetched_at": NOW, "created_at": NOW, "indexed_at": NOW, **owned}
        for page in named
    ]  # fmt: skip
    chunks = [
        {"id": id_, "page_id": page, "model": model, "heading_path": ["A page", f"Part {part.first + number}"],
         "text": _text(ranks), "text_hash": f"{org.int}-{part.first + number}", "tokens": 200, "stored": True,
         "touched_at": NOW, **owned}
        for number, (id_, page, ranks) in enumerate(zip(part.ids, of_page, part.ranks, strict=True))
    ]  # fmt: skip
    places = [
        {"version_id": row["page_id"], "position": number % PAGE_CHUNKS, "chunk_id": row["id"], "start": 0, "end": 1}
        for number, row in enumerate(chunks)
    ]
    for table, rows in ((Page, pages), (PageVersion, versions), (ChunkRow, chunks), (VersionChunk, places)):
        _insert(connection, table, rows)


def _url(org: UUID) -> str:
    return f"https://org{org.int}.example/"


def _insert(connection: Connection, table: type[Base], rows: Sequence[dict[str, object]]) -> None:
    connection.execute(insert(table), list(rows))
