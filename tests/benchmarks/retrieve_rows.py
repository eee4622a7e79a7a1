"""A large knowledge base that no crawler made: rows and points of generated pages, for measuring answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, insert

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.db.base import Base
from pipeline.db.chunks import ChunkRow, VersionChunk
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database
from pipeline.db.orgs import Org
from pipeline.db.page_versions import INDEXED, PageVersion
from pipeline.db.pages import Page
from pipeline.model import OrgScope, PageStatus, Point, Reason, Vector

Item = TypeVar("Item")

PAGE_CHUNKS = 30
WORDS = 120
VOCABULARY = 8_000
CENTRES = 200
SPREAD = 1.2
AT_A_TIME = 256
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a knowledge base is."""

    chunks: int
    orgs: int

    def scopes(self) -> list[OrgScope]:
        """Its orgs."""
        return [OrgScope(UUID(int=number + 1)) for number in range(self.orgs)]


def words(count: int, rng: np.random.Generator) -> str:
    """Made-up words in natural proportions."""
    return " ".join(f"word{min(VOCABULARY, rank)}" for rank in rng.zipf(1.25, size=count))


def vectors(count: int, dimension: int, rng: np.random.Generator) -> Vector:
    """Directions around random centres, of length 1."""
    centres = rng.normal(size=(CENTRES, dimension))
    drawn = centres[rng.integers(0, CENTRES, count)] + rng.normal(size=(count, dimension)) * SPREAD
    found: Vector = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return found


def fill(database: Database, store: VectorStore, shape: Shape, *, model: str, dimension: int, seed: int = 1) -> None:
    """Write the rows and points of every org; each has its share of the chunks, at least one."""
    rng = np.random.default_rng(seed)
    sparse = Bm25Encoder()
    each = max(shape.chunks // shape.orgs, 1)
    with database.engine.begin() as connection:
        for scopes in _parts(shape.scopes(), max(AT_A_TIME * 8 // each, 1)):
            texts = [[words(WORDS, rng) for _ in range(each)] for _ in scopes]
            dense = vectors(each * len(scopes), dimension, rng)
            for number, (scope, said) in enumerate(zip(scopes, texts, strict=True)):
                points = _write(connection, scope, said, dense[number * each :], sparse, model=model)
                for part in _parts(points, AT_A_TIME):
                    store.upsert(part, scope=scope)


def _write(
    connection: Connection, scope: OrgScope, said: Sequence[str], dense: Vector, sparse: Bm25Encoder, *, model: str
) -> list[Point]:
    org, times = scope.org_id, {"created_at": NOW, "updated_at": NOW}
    base = org.int * 10**9
    url = f"https://org{org.int}.example/"
    _insert(connection, Org, [{"id": org, "name": f"org{org.int}", "ai_instructions": "", **times}])
    source = UUID(int=base)
    _insert(
        connection,
        Datasource,
        [{"id": source, "org_id": org, "url": url, "url_key": url, "display_name": url, **times}],
    )
    count = -(-len(said) // PAGE_CHUNKS)
    ids = [UUID(int=base + 10**8 + number) for number in range(count)]
    owned = {"org_id": org, "datasource_id": source}
    pages = [
        {"id": page, "url": f"{url}{number}", "url_key": f"{url}{number}", "status": PageStatus.SYNCED,
         "reason": Reason.SYNCED, "live_version": page, "language": "en", "fetched_at": NOW, **owned, **times}
        for number, page in enumerate(ids)
    ]  # fmt: skip
    versions = [
        {"id": page, "page_id": page, "number": 1, "state": INDEXED, "title": "A page", "language": "en",
         "markdown": "", "text_hash": str(page), "fact_hash": "", "body_sha256": "", "extractor": "1",
         "fetched_at": NOW, "created_at": NOW, "indexed_at": NOW, **owned}
        for page in ids
    ]  # fmt: skip
    chunks = [
        {"id": UUID(int=base + 2 * 10**8 + number), "page_id": ids[number // PAGE_CHUNKS], "model": model,
         "heading_path": ["A page", f"Part {number}"], "text": one, "text_hash": f"{org.int}-{number}", "tokens": 200,
         "stored": True, "touched_at": NOW, **owned}
        for number, one in enumerate(said)
    ]  # fmt: skip
    places = [
        {"version_id": row["page_id"], "position": number % PAGE_CHUNKS, "chunk_id": row["id"], "start": 0, "end": 1}
        for number, row in enumerate(chunks)
    ]
    for table, rows in ((Page, pages), (PageVersion, versions), (ChunkRow, chunks), (VersionChunk, places)):
        _insert(connection, table, rows)
    own = [UUID(int=base + 2 * 10**8 + number) for number in range(len(said))]
    return [
        Point(own[number], org, source, ids[number // PAGE_CHUNKS], "en", dense[number], sparse.encode_document(one))
        for number, one in enumerate(said)
    ]


def _insert(connection: Connection, table: type[Base], rows: Sequence[dict[str, object]]) -> None:
    connection.execute(insert(table), list(rows))


def _parts(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    return (list(items[at : at + size]) for at in range(0, len(items), size))
