"""The whole path of a page: HTML to text, text to chunks, chunks to vectors, vectors to points.

Read this first. Who does it when is in `services.indexing`; what each step means is in its stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from pipeline.adapters.embedder.port import Embedder, Tokenizer
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.metrics import EMBED_BATCH_SECONDS
from pipeline.model import Chunk, OrgScope, Point, Vector
from pipeline.settings import Settings
from pipeline.stages.chunk import chunk
from pipeline.stages.chunk.repeats import without
from pipeline.stages.upsert import batches


@dataclass(frozen=True, slots=True)
class PageText:
    """A version of a page, as extraction left it. Blocks in `left_out` another page of the website keeps."""

    version_id: UUID
    page_id: UUID
    org_id: UUID
    datasource_id: UUID
    title: str
    language: str | None
    markdown: str
    left_out: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CutPage:
    """A page in chunks. `ids` are parallel to `chunks`; equal chunks share an id."""

    page: PageText
    chunks: tuple[Chunk, ...]
    ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk whose point is to be made."""

    id: UUID
    page: PageText
    chunk: Chunk


def cut(page: PageText, tokenizer: Tokenizer, settings: Settings, *, model: str, model_limit: int) -> CutPage:
    """Chunk a page. The same text under the same model gives the same ids, whatever is left out between."""
    rest = without(page.markdown, page.left_out)
    cut_from_rest = chunk(
        rest.text,
        title=page.title,
        tokenizer=tokenizer,
        max_tokens=min(settings.chunk.max_tokens, model_limit),
        overlap_tokens=settings.chunk.overlap_tokens,
    )
    chunks = [replace(piece, start=rest.start(piece.start), end=rest.end(piece.end)) for piece in cut_from_rest]
    ids = tuple(piece.id(page.page_id, model) for piece in chunks)
    return CutPage(page=page, chunks=tuple(chunks), ids=ids)


def wanted(pages: Iterable[CutPage], *, stored: set[UUID]) -> list[Wanted]:
    """The chunks of these pages that have no point yet, each once."""
    missing = {
        chunk_id: Wanted(chunk_id, cut_page.page, piece)
        for cut_page in pages
        for chunk_id, piece in zip(cut_page.ids, cut_page.chunks, strict=True)
        if chunk_id not in stored
    }
    return list(missing.values())


def vectors(
    pieces: Sequence[Wanted],
    *,
    same_text: Mapping[str, UUID],
    embedder: Embedder,
    store: VectorStore,
    scope: OrgScope,
) -> tuple[dict[str, Vector], set[str]]:
    """A vector for every text, by text hash: those the org has are copied, the others computed together.

    Returns the vectors, and the hashes of the texts that were computed.
    """
    copies = store.vectors(set(same_text.values()), scope=scope) if same_text else {}
    found = {text_hash: copies[chunk_id] for text_hash, chunk_id in same_text.items() if chunk_id in copies}
    new = {piece.chunk.text_hash: piece.chunk for piece in pieces if piece.chunk.text_hash not in found}
    with EMBED_BATCH_SECONDS.time():
        computed = embedder.encode_documents([piece.embedded_text for piece in new.values()])
    found.update(zip(new, computed, strict=True))
    return found, set(new)


def owners(pieces: Sequence[Wanted], computed: set[str]) -> dict[UUID, int]:
    """How many vectors were computed for each page: a text that two pages share counts for the first."""
    first_page = {piece.chunk.text_hash: piece.page.page_id for piece in reversed(pieces)}
    return Counter(first_page[text_hash] for text_hash in computed)


def upsert(
    pieces: Sequence[Wanted],
    dense: Mapping[str, Vector],
    *,
    sparse: Bm25Encoder,
    store: VectorStore,
    scope: OrgScope,
    batch: int,
) -> None:
    """Write the points of these chunks beside what is there. Writing them twice is the same as once."""
    points = [
        Point(
            id=piece.id,
            org_id=piece.page.org_id,
            datasource_id=piece.page.datasource_id,
            page_id=piece.page.page_id,
            language=piece.page.language or "",
            dense=dense[piece.chunk.text_hash],
            sparse=sparse.encode_document(piece.chunk.embedded_text, piece.page.language),
        )
        for piece in pieces
    ]
    for part in batches(points, batch):
        store.upsert(part, scope=scope)
