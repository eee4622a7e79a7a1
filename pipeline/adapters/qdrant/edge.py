"""Qdrant Edge: the engine inside this process, one directory, one owner.

Three properties of the engine shape this module. Its calls keep the interpreter lock, so writes go
in small slices and are made durable by syncing the engine's log, outside that lock. It hangs in a
forked child, so a store is bound to the process that opened it. It is told to scan exactly and
never to build a graph: at this size that is fast and finds everything.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import qdrant_edge as edge

from pipeline.adapters.qdrant import edge_files
from pipeline.adapters.qdrant.edge_files import told
from pipeline.adapters.qdrant.edge_points import DENSE, SPARSE, dense_of, equals, id_of, only, to_point, to_record
from pipeline.adapters.qdrant.gate import check_points, check_query, next_id, settle
from pipeline.adapters.qdrant.identity import check_same
from pipeline.errors import ForeignPoint, VectorStoreUnavailable
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

FIRST = 1
"""The generation that a store is opened at."""

SLICE = 128
"""Points written while the interpreter lock is held: about 10 ms."""

UNFLUSHED = 4_096
"""Points written or deleted between two flushes of everything: up to half a second with the lock kept."""


@dataclass(frozen=True, slots=True)
class _Family:
    """The generations of one store that were asked for, and where the first of them lives."""

    path: Path
    lock: threading.Lock
    stores: dict[int, EdgeStore]


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
        self._family = _Family(path, threading.Lock(), {FIRST: self})
        self._is_there()

    @property
    def identity(self) -> ModelIdentity | None:
        """The model of the stored vectors; nothing before the first `prepare`."""
        return self._identity

    def at(self, generation: int) -> EdgeStore:
        """The store of another generation: a directory beside the first one's, named after it."""
        family = self._family
        with family.lock:
            if generation not in family.stores:
                beside = edge_files.beside(family.path, str(generation))
                family.stores[generation] = EdgeStoreBeside(beside, family)
            return family.stores[generation]

    def prepare(self, identity: ModelIdentity) -> None:
        """Make the store and its indexes for this model, or check that it was made for it."""
        with self._lock:
            if not self._is_there():
                edge_files.build_aside(self._path, identity)
                edge_files.put_in_place(self._path)
                self._open()
            check_same(self._stored(), identity)

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Write points; when this returns they are on disk."""
        dimension = self._stored().dimension
        check_points(points, scope=scope, dimension=dimension)
        edge_files.check_space(self._path)
        ours = only(scope)
        for start in range(0, len(points), SLICE):
            part = points[start : start + SLICE]
            written = edge.UpdateOperation.upsert_points([to_point(point) for point in part], condition=ours)
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
                limit=len(part), filter=only(scope, ids=part), with_payload=False, with_vector=[DENSE]
            )
            with self._engine() as shard:
                records, _ = shard.scroll(request)
            found.update({id_of(record): dense_of(record) for record in records})
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
        chosen = only(scope, where=where)
        by_meaning: tuple[Hit, ...] = ()
        by_words: tuple[Hit, ...] = ()
        if dense is not None:
            meaning = edge.Query.Nearest(dense.tolist(), using=DENSE)
            by_meaning = self._nearest(meaning, limit, chosen, edge.SearchParams(exact=True))
        if sparse is not None and sparse.indices:
            words = edge.Query.Nearest(edge.SparseVector(list(sparse.indices), list(sparse.values)), using=SPARSE)
            own_words = edge.SearchParams(idf=edge.IdfParams(corpus=only(scope)))
            by_words = self._nearest(words, limit, chosen, own_words)
        return Candidates(dense=by_meaning, sparse=by_words)

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Remove points of the org."""
        wanted = set(ids)
        if wanted:
            self._remove(only(scope, ids=wanted), at_most=len(wanted))

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """The org's points in id order."""
        first = next_id(after)
        if first is None:
            return []
        request = edge.ScrollRequest(
            offset=first, limit=limit, filter=only(scope), with_payload=["org_id", "page_id"], with_vector=[DENSE]
        )
        with self._engine() as shard:
            records, _ = shard.scroll(request)
        return [to_record(record) for record in records]

    def count(self, *, scope: OrgScope) -> int:
        """How many points the org has."""
        with self._engine() as shard:
            return shard.count(edge.CountRequest(exact=True, filter=only(scope)))

    def erase(self, *, scope: OrgScope) -> None:
        """Remove every point of the org, and every byte of it: what is left is copied into new files.

        Keeps all others waiting meanwhile, about a second per 10,000 points that are left. A store that was
        never made has nothing to forget.
        """
        if not self._is_there() and not self._path.exists():
            return
        self._remove(only(scope), at_most=0)
        self._rebuild()

    def compact(self) -> bool:
        """Rewrite the files without deleted points if these are a fifth or more; whether that was done.

        Costs nothing when there is nothing to do, else keeps the interpreter lock for about half a
        second of CPU per 20,000 points. Happens by itself at opening and every few thousand writes.
        """
        if shutil.disk_usage(self._path).free < edge_files.LEAST_FREE:
            return False
        with self._engine() as shard:
            rewritten = shard.optimize()
            if rewritten or self._unflushed:
                shard.flush()
            self._unflushed = 0
        return rewritten

    def drop(self) -> None:
        """Remove the directory of this generation."""
        with self._lock:
            self.let_go()
            edge_files.remove(self._path)

    def close(self) -> None:
        """Let go of the directories."""
        for store in list(self._family.stores.values()):
            store.let_go()

    def let_go(self) -> None:
        """Let go of the directory of this generation alone."""
        with self._lock:
            if self._shard is not None and self._process == os.getpid():
                with told(self._path):
                    self._shard.close()
            self._shard = None
            self._identity = None

    def _is_there(self) -> bool:
        """Whether there is a store. One that is on disk and could not be opened again the last time is opened."""
        with self._lock:
            if self._identity is None and edge_files.mend(self._path):
                self._open()
            return self._identity is not None

    def _open(self) -> None:
        self._shard, self._identity = edge_files.load(self._path)
        self.compact()

    def _rebuild(self) -> None:
        """Copy what is left into new files and drop the old ones, their log included.

        Where these cannot be opened the store is not there until `prepare` or `erase` opens it.
        """
        identity = self._stored()
        with self._lock:
            edge_files.check_space(self._path, for_copy=True)
            with self._engine() as shard:
                edge_files.build_aside(self._path, identity, points_of=shard)
                shard.close()
            self._shard = self._identity = None
            edge_files.put_in_place(self._path)
            self._open()

    def _stored(self) -> ModelIdentity:
        if self._identity is None:
            raise VectorStoreUnavailable(directory=self._path, problem="it was not prepared, or is closed")
        return self._identity

    @contextmanager
    def _engine(self) -> Iterator[edge.EdgeShard]:
        """The engine, for one thread at a time, its failures told as ours."""
        if self._process != os.getpid():
            raise VectorStoreUnavailable(directory=self._path, problem="opened before a fork, by another process")
        with self._lock, told(self._path):
            self._stored()
            assert self._shard is not None  # noqa: S101 - an identity is kept only beside an open shard
            yield self._shard

    def _check_owner(self, shard: edge.EdgeShard, ids: list[UUID], *, scope: OrgScope) -> None:
        """Refuse ids another org holds: an id belongs to whoever wrote it first."""
        others = edge.Filter(must=[edge.HasIdCondition(set(ids))], must_not=[equals("org_id", scope.org_id)])
        if shard.count(edge.CountRequest(exact=True, filter=others)):
            raise ForeignPoint(org=scope.org_id, points=len(ids))

    def _nearest(
        self, query: edge.Query, limit: int, chosen: edge.Filter, params: edge.SearchParams
    ) -> tuple[Hit, ...]:
        def ask(count: int) -> list[Hit]:
            request = edge.QueryRequest(limit=count, query=query, filter=chosen, params=params)
            with self._engine() as shard:
                return [Hit(id=id_of(point), score=point.score) for point in shard.query(request)]

        return settle(ask(limit + 1), limit=limit, more=ask)

    def _make_durable(self, written: int) -> None:
        """Put the engine's log on disk: it repeats the log when it is opened. Lets other threads run."""
        edge_files.sync_log(self._path)
        with self._lock:
            self._unflushed += written
            if self._unflushed >= UNFLUSHED:
                self.compact()

    def _remove(self, chosen: edge.Filter, *, at_most: int) -> None:
        with self._engine() as shard:
            shard.update(edge.UpdateOperation.delete_points_by_filter(chosen))
        self._make_durable(at_most)


class EdgeStoreBeside(EdgeStore):
    """A later generation, which knows the others."""

    def __init__(self, path: Path, family: _Family) -> None:
        super().__init__(path)
        self._family = family
