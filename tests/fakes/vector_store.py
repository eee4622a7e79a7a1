"""A vector store in a dictionary: exact cosine, BM25 with the rarity of terms among the org's points."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from threading import RLock
from uuid import UUID

import numpy as np

from pipeline.adapters.qdrant.gate import check_points, check_query
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


class MemoryStore:
    """What the real stores do, small enough to read, for tests of everything above them."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._identity: ModelIdentity | None = None
        self._points: dict[UUID, Point] = {}
        self._family: dict[int, MemoryStore] = {1: self}

    def at(self, generation: int) -> MemoryStore:
        """The store of another generation."""
        if generation not in self._family:
            made = copy.copy(self)
            vars(made).update(_identity=None, _points={})
            self._family[generation] = made
        return self._family[generation]

    def prepare(self, identity: ModelIdentity) -> None:
        """Remember the model, or check it."""
        with self._lock:
            self._identity = self._identity or identity
            check_same(self._identity, identity)

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Keep the points, their vectors at unit length."""
        with self._lock:
            check_points(points, scope=scope, dimension=self._prepared().dimension)
            for point in points:
                held = self._points.get(point.id)
                if held is not None and held.org_id != scope.org_id:
                    raise ForeignPoint(org=scope.org_id, point=point.id)
            for point in points:
                self._points[point.id] = replace(point, dense=_unit(point.dense))

    def vectors(self, ids: Iterable[UUID], *, scope: OrgScope) -> dict[UUID, Vector]:
        """The unit vectors of the org's points among these."""
        wanted = set(ids)
        return {point.id: point.dense for point in self._of(scope) if point.id in wanted}

    def search(
        self,
        dense: Vector | None,
        sparse: SparseVector | None,
        *,
        limit: int,
        scope: OrgScope,
        where: SearchFilter | None = None,
    ) -> Candidates:
        """Score every point of the org."""
        check_query(dense, sparse, dimension=self._prepared().dimension)
        own = self._of(scope)
        chosen = [point for point in own if where is None or _matches(point, where)]
        return Candidates(
            dense=() if dense is None else _best(_by_meaning(chosen, dense), limit),
            sparse=() if sparse is None else _best(_by_words(chosen, sparse, corpus=own), limit),
        )

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Forget the org's points among these."""
        wanted = set(ids)
        for point in self._of(scope):
            if point.id in wanted:
                del self._points[point.id]

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """The org's points in id order."""
        found = [point for point in self._of(scope) if after is None or point.id.int > after.int]
        return [
            PointRecord(point.id, point.org_id, point.page_id, float(np.linalg.norm(point.dense)))
            for point in found[:limit]
        ]

    def count(self, *, scope: OrgScope) -> int:
        """How many points the org has."""
        return len(self._of(scope))

    def erase(self, *, scope: OrgScope) -> None:
        """Forget every point of the org; a store that was never prepared has none."""
        if self._identity is None:
            return
        self.delete([point.id for point in self._of(scope)], scope=scope)

    def drop(self) -> None:
        """Forget the model and every point."""
        with self._lock:
            self._identity = None
            self._points.clear()

    def close(self) -> None:
        """Nothing to let go of."""

    def _prepared(self) -> ModelIdentity:
        if self._identity is None:
            raise VectorStoreUnavailable(problem="it was not prepared")
        return self._identity

    def _of(self, scope: OrgScope) -> list[Point]:
        self._prepared()
        with self._lock:
            own = [point for point in self._points.values() if point.org_id == scope.org_id]
        return sorted(own, key=lambda point: point.id.int)


def _unit(vector: Vector) -> Vector:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _matches(point: Point, where: SearchFilter) -> bool:
    return (not where.datasource_ids or point.datasource_id in where.datasource_ids) and (
        not where.languages or point.language in where.languages
    )


def _by_meaning(points: Iterable[Point], query: Vector) -> Iterable[Hit]:
    direction = _unit(query)
    return [Hit(point.id, float(point.dense @ direction)) for point in points]


def _by_words(points: Iterable[Point], query: SparseVector, *, corpus: Sequence[Point]) -> Iterable[Hit]:
    """BM25 as Qdrant computes it: idf = ln(1 + (N - n + 0.5) / (n + 0.5)) over points that hold terms."""
    held = Counter(index for point in corpus for index in point.sparse.indices)
    total = len(corpus)
    weights = {
        index: value * math.log(1 + (total - held[index] + 0.5) / (held[index] + 0.5))
        for index, value in zip(query.indices, query.values, strict=True)
    }
    for point in points:
        terms = dict(zip(point.sparse.indices, point.sparse.values, strict=True))
        shared = weights.keys() & terms.keys()
        if shared:
            yield Hit(point.id, sum(weights[index] * terms[index] for index in shared))


def _best(hits: Iterable[Hit], limit: int) -> tuple[Hit, ...]:
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id.int))[:limit])
