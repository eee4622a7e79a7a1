"""Qdrant Edge: the engine inside this process, one directory, one owner.

Three properties of the engine shape this module. Its calls keep the interpreter lock, so writes go
in small slices and are made durable by syncing the engine's log, outside that lock. It hangs in a
forked child, so a store is bound to the process that opened it. It is told to scan exactly and
never to build a graph: at this size that is fast and finds everything.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from pipeline.adapters.qdrant.gate import check_points, check_query, next_id, settle
from pipeline.adapters.qdrant.identity import check_same, from_record, to_record
from pipeline.errors import DataDirectoryBusy, DataDirectoryUnusable, DiskFull, ForeignPoint, VectorStoreUnavailable
from pipeline.model import (
    Candidates,
    Hit,
    ModelIdentity,
    OrgScope,
    Point,
    PointRecord,
    SearchFilter,
    SparseVector,
    Vector,
)

DENSE = "dense"
SPARSE = "sparse"
SLICE = 128
"""Points written while the interpreter lock is held: about 10 ms."""

UNFLUSHED = 4_096
"""Points written or deleted between two flushes of everything: up to half a second with the lock kept."""

LEAST_FREE = 64 * 2**20
"""Bytes that must be free before a write. The engine maps its files: a full disk would kill the process."""

NEVER_INDEXED = 2**40
"""Kilobytes of vectors below which `optimize` builds no graph."""


class EdgeStore:
    """The vector store of an embedded Sitewise. Safe to share between threads, not between processes.

    Vectors are kept at unit length: `vectors` returns the direction that was stored.

    Args:
        path: Where the store lives: `identity.json` and `shard/`. Made by `prepare`.

    Raises:
        DataDirectoryBusy: If another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._shard: edge.EdgeShard | None = None
        self._identity: ModelIdentity | None = None
        self._unflushed = 0
        if (path / "identity.json").exists():
            self._open()

    @property
    def identity(self) -> ModelIdentity | None:
        """The model of the stored vectors; nothing before the first `prepare`."""
        return self._identity

    def prepare(self, identity: ModelIdentity) -> None:
        """Make the store and its indexes for this model, or check that it was made for it."""
        with self._lock:
            if self._identity is None:
                self._create(identity)
                self._open()
            check_same(self._stored(), identity)

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Write points; when this returns they are on disk."""
        dimension = self._stored().dimension
        check_points(points, scope=scope, dimension=dimension)
        self._check_space()
        ours = _filter(scope)
        for start in range(0, len(points), SLICE):
            part = points[start : start + SLICE]
            written = edge.UpdateOperation.upsert_points([_to_edge(point) for point in part], condition=ours)
            with self._engine() as shard:
                self._check_owner(shard, [point.id for point in part], scope=scope)
                shard.update(written)
        self._make_durable(len(points))

    def vectors(self, ids: Iterable[UUID], *, scope: OrgScope) -> dict[UUID, Vector]:
        """The unit vectors of those points of the org that exist."""
        wanted = list(ids)
        found: dict[UUID, Vector] = {}
        for start in range(0, len(wanted), SLICE):
            part = set(wanted[start : start + SLICE])
            request = edge.ScrollRequest(
                limit=len(part), filter=_filter(scope, ids=part), with_payload=False, with_vector=[DENSE]
            )
            with self._engine() as shard:
                records, _ = shard.scroll(request)
            found.update({_id(record): _dense(record) for record in records})
        return found

    def search(
        self,
        dense: Vector | None,
        sparse: SparseVector | None,
        *,
        limit: int,
        scope: OrgScope,
        where: SearchFilter | None = None,
    ) -> Candidates:
        """The org's nearest points; BM25 weighs terms by their rarity among the org's own points."""
        check_query(dense, sparse, dimension=self._stored().dimension)
        chosen = _filter(scope, where=where)
        by_meaning: tuple[Hit, ...] = ()
        by_words: tuple[Hit, ...] = ()
        if dense is not None:
            meaning = edge.Query.Nearest(dense.tolist(), using=DENSE)
            by_meaning = self._nearest(meaning, limit, chosen, edge.SearchParams(exact=True))
        if sparse is not None and sparse.indices:
            words = edge.Query.Nearest(edge.SparseVector(list(sparse.indices), list(sparse.values)), using=SPARSE)
            own_words = edge.SearchParams(idf=edge.IdfParams(corpus=_filter(scope)))
            by_words = self._nearest(words, limit, chosen, own_words)
        return Candidates(dense=by_meaning, sparse=by_words)

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Remove points of the org."""
        wanted = set(ids)
        if wanted:
            self._remove(_filter(scope, ids=wanted), at_most=len(wanted))

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """The org's points in id order."""
        first = next_id(after)
        if first is None:
            return []
        request = edge.ScrollRequest(
            offset=first, limit=limit, filter=_filter(scope), with_payload=["org_id", "page_id"], with_vector=[DENSE]
        )
        with self._engine() as shard:
            records, _ = shard.scroll(request)
        return [_to_record(record) for record in records]

    def count(self, *, scope: OrgScope) -> int:
        """How many points the org has."""
        with self._engine() as shard:
            return shard.count(edge.CountRequest(exact=True, filter=_filter(scope)))

    def erase(self, *, scope: OrgScope) -> None:
        """Remove every point of the org."""
        self._remove(_filter(scope), at_most=UNFLUSHED)

    def compact(self) -> bool:
        """Rewrite the files without deleted points if these are a fifth or more; whether that was done.

        Costs nothing when there is nothing to do, else keeps the interpreter lock for about half a
        second of CPU per 20,000 points. Happens by itself at opening and every few thousand writes.
        """
        if shutil.disk_usage(self._path).free < LEAST_FREE:
            return False
        with self._engine() as shard:
            rewritten = shard.optimize()
            if rewritten or self._unflushed:
                shard.flush()
            self._unflushed = 0
        return rewritten

    def close(self) -> None:
        """Let go of the directory."""
        with self._lock:
            if self._shard is not None and self._process == os.getpid():
                with _told(self._path):
                    self._shard.close()
            self._shard = None
            self._identity = None

    def _create(self, identity: ModelIdentity) -> None:
        """Make the store aside and put it in place in one step, so that none is ever half made."""
        aside = self._path.with_name(self._path.name + ".new")
        try:
            shutil.rmtree(aside, ignore_errors=True)
            (aside / "shard").mkdir(parents=True)
            with _told(self._path):
                shard = edge.EdgeShard.create(str(aside / "shard"), _config(identity.dimension))
                for field in ("org_id", "datasource_id", "page_id", "language"):
                    index = edge.KeywordIndexParams(is_tenant=field == "org_id")
                    shard.update(edge.UpdateOperation.create_field_index(field, index))
                shard.close()
            (aside / "identity.json").write_text(json.dumps(to_record(identity), indent=1))
            _sync(aside / "identity.json")
            aside.rename(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise DataDirectoryUnusable(directory=self._path, problem=error.strerror) from error

    def _open(self) -> None:
        identity = from_record(json.loads((self._path / "identity.json").read_text()))
        with _told(self._path):
            self._shard = edge.EdgeShard.load(str(self._path / "shard"), _config(identity.dimension))
        self._identity = identity
        self.compact()

    def _stored(self) -> ModelIdentity:
        if self._identity is None:
            raise VectorStoreUnavailable(directory=self._path, problem="it was not prepared, or is closed")
        return self._identity

    @contextmanager
    def _engine(self) -> Iterator[edge.EdgeShard]:
        """The engine, for one thread at a time, its failures told as ours."""
        if self._process != os.getpid():
            raise VectorStoreUnavailable(directory=self._path, problem="opened before a fork, by another process")
        with self._lock, _told(self._path):
            self._stored()
            assert self._shard is not None  # noqa: S101 - an identity is kept only beside an open shard
            yield self._shard

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._path).free
        if free < LEAST_FREE:
            raise DiskFull(directory=self._path, free_bytes=free, needed_bytes=LEAST_FREE)

    def _check_owner(self, shard: edge.EdgeShard, ids: list[UUID], *, scope: OrgScope) -> None:
        """Refuse ids another org holds: an id belongs to whoever wrote it first."""
        others = edge.Filter(must=[edge.HasIdCondition(set(ids))], must_not=[_is("org_id", scope.org_id)])
        if shard.count(edge.CountRequest(exact=True, filter=others)):
            raise ForeignPoint(org=scope.org_id, points=len(ids))

    def _nearest(
        self, query: edge.Query, limit: int, chosen: edge.Filter, params: edge.SearchParams
    ) -> tuple[Hit, ...]:
        def ask(count: int) -> list[Hit]:
            request = edge.QueryRequest(limit=count, query=query, filter=chosen, params=params)
            with self._engine() as shard:
                return [Hit(id=_id(point), score=point.score) for point in shard.query(request)]

        return settle(ask(limit + 1), limit=limit, more=ask)

    def _make_durable(self, written: int) -> None:
        """Put the engine's log on disk: it repeats the log when it is opened. Lets other threads run."""
        for log in (self._path / "shard" / "wal").iterdir():
            _sync(log)
        with self._lock:
            self._unflushed += written
            if self._unflushed >= UNFLUSHED:
                self.compact()

    def _remove(self, chosen: edge.Filter, *, at_most: int) -> None:
        with self._engine() as shard:
            shard.update(edge.UpdateOperation.delete_points_by_filter(chosen))
        self._make_durable(at_most)


def _sync(path: Path) -> None:
    """Put a file's or a directory's content on disk; one that was just removed needs no more."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell the engine's failures as ours."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:  # the engine raises the bare class; all others are not its own
            raise
        problem = str(error)
        if "WouldBlock" in problem:
            raise DataDirectoryBusy(directory=path) from error
        if "No space left" in problem:
            raise DiskFull(directory=path) from error
        raise VectorStoreUnavailable(directory=path, problem=problem) from error


def _config(dimension: int) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=NEVER_INDEXED),
    )


def _is(field: str, value: object) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchValue(str(value)))


def _any(field: str, values: Iterable[object]) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchAny(sorted(map(str, values))))


def _filter(scope: OrgScope, *, ids: set[UUID] | None = None, where: SearchFilter | None = None) -> edge.Filter:
    """The tenant, always, and what else was asked."""
    must: list[edge.ConditionType] = [_is("org_id", scope.org_id)]
    if ids is not None:
        must.append(edge.HasIdCondition(set(ids)))
    if where is not None and where.datasource_ids:
        must.append(_any("datasource_id", where.datasource_ids))
    if where is not None and where.languages:
        must.append(_any("language", where.languages))
    return edge.Filter(must=must)


def _to_edge(point: Point) -> edge.Point:
    sparse = edge.SparseVector(list(point.sparse.indices), list(point.sparse.values))
    payload = {
        "org_id": str(point.org_id),
        "datasource_id": str(point.datasource_id),
        "page_id": str(point.page_id),
        "language": point.language,
    }
    return edge.Point(point.id, {DENSE: point.dense.tolist(), SPARSE: sparse}, payload)


def _id(point: edge.ScoredPoint | edge.Record) -> UUID:
    return point.id if isinstance(point.id, UUID) else UUID(str(point.id))


def _dense(record: edge.Record) -> Vector:
    assert isinstance(record.vector, dict)  # noqa: S101 - the dense vector was asked for by name
    return np.asarray(record.vector[DENSE], dtype=np.float32)


def _to_record(record: edge.Record) -> PointRecord:
    payload = record.payload or {}
    return PointRecord(
        id=_id(record),
        org_id=UUID(payload["org_id"]),
        page_id=UUID(payload["page_id"]),
        norm=float(np.linalg.norm(_dense(record))),
    )
