"""Our values as the embedded engine's, and back."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from pipeline.model import OrgScope, Point, PointRecord, SearchFilter, Vector

DENSE = "dense"
SPARSE = "sparse"


def equals(field: str, value: object) -> edge.FieldCondition:
    """A field has this value."""
    return edge.FieldCondition(field, match=edge.MatchValue(str(value)))


def _any(field: str, values: Iterable[object]) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchAny(sorted(map(str, values))))


def only(scope: OrgScope, *, ids: set[UUID] | None = None, where: SearchFilter | None = None) -> edge.Filter:
    """The tenant, always, and what else was asked."""
    must: list[edge.ConditionType] = [equals("org_id", scope.org_id)]
    if ids is not None:
        must.append(edge.HasIdCondition(set(ids)))
    if where is not None and where.datasource_ids:
        must.append(_any("datasource_id", where.datasource_ids))
    if where is not None and where.languages:
        must.append(_any("language", where.languages))
    return edge.Filter(must=must)


def to_point(point: Point) -> edge.Point:
    """A point for the engine."""
    sparse = edge.SparseVector(list(point.sparse.indices), list(point.sparse.values))
    payload = {
        "org_id": str(point.org_id),
        "datasource_id": str(point.datasource_id),
        "page_id": str(point.page_id),
        "language": point.language,
    }
    return edge.Point(point.id, {DENSE: point.dense.tolist(), SPARSE: sparse}, payload)


def id_of(point: edge.ScoredPoint | edge.Record) -> UUID:
    """Its id, read once: the engine makes it anew each time."""
    found = point.id
    return found if isinstance(found, UUID) else UUID(str(found))


def dense_of(record: edge.Record) -> Vector:
    """Its dense vector, which must have been asked for."""
    assert isinstance(record.vector, dict)  # noqa: S101 - the dense vector was asked for by name
    return np.asarray(record.vector[DENSE], dtype=np.float32)


def to_record(record: edge.Record) -> PointRecord:
    """What `verify` sees of it."""
    payload = record.payload or {}
    return PointRecord(
        id=id_of(record),
        org_id=UUID(payload["org_id"]),
        page_id=UUID(payload["page_id"]),
        norm=float(np.linalg.norm(dense_of(record))),
    )
