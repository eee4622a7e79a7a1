"""A Qdrant server: one collection for all orgs, over its REST interface.

Written for servers from 1.16 on. What a server older than the client does not know it ignores
silently, so nothing here relies on such a thing for correctness.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx
import numpy as np
from qdrant_client import QdrantClient
from qdrant_client import models as rest
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from pipeline.adapters.qdrant.gate import check_points, check_query, next_id, settle
from pipeline.adapters.qdrant.identity import check_same, from_record, to_record
from pipeline.errors import ForeignPoint, InvalidSettings, VectorStoreUnavailable
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
CONNECTIONS = httpx.Limits(max_keepalive_connections=32, keepalive_expiry=3)
"""The client's own opens a connection for every request where the server is on the same machine. A server closes one
that was idle for five seconds, and must not do so just as it is used.
"""

PLAIN = {"accept-encoding": "identity"}
"""Answers are small, and packing and unpacking them took both sides longer than sending them."""

SLICE = 256
"""Points in one request: about a megabyte of JSON."""

OVERSAMPLING = 2.0
"""How many times the hits that are wanted are found by int8 vectors, where there are any, and scored by whole ones."""

GRAPH = rest.HnswConfigDiff(m=0, payload_m=16, ef_construct=128)
"""One graph per tenant and none across them: every search names its tenant."""

WIDE = rest.SearchParams(
    hnsw_ef=256, quantization=rest.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
)
"""How a tenant's graph is walked. It finds 0.999 of the best 60; up to 10 MB of vectors are scanned anyway.

Where a collection holds its vectors as int8, by our setting or by an operator's hand, whole ones decide the order.
"""

INT8 = rest.ScalarQuantization(
    scalar=rest.ScalarQuantizationConfig(type=rest.ScalarType.INT8, quantile=0.99, always_ram=True)
)

EXACT = rest.SearchParams(exact=True)
"""How a tenant is searched under a second filter: its graph, walked with one, finds 0.23 of the best 10."""

MISSING = 404
CONFLICT = 409
REFUSED = (401, 403)


class ServerStore:
    """The vector store of a Sitewise with many machines. Safe to share between threads.

    Vectors are kept at unit length: `vectors` returns the direction that was stored.

    Args:
        url: The server's REST address, such as http://host:6333.
        api_key: Its key, if it wants one.
        collection: The collection's name; made by `prepare`.
        timeout: A server silent this long is unavailable.
        is_compressed: Whether a collection made from now on holds int8 vectors in memory, and the whole ones on disk.
    """

    def __init__(
        self, url: str, *, api_key: str | None, collection: str, timeout: timedelta, is_compressed: bool = False
    ) -> None:
        self._url = url
        self._is_compressed = is_compressed
        self._collection = collection
        self._identity: ModelIdentity | None = None
        self._first = collection
        self._family = {1: self}
        try:
            self._client = QdrantClient(
                url=url,
                api_key=api_key,
                timeout=math.ceil(timeout.total_seconds()),
                check_compatibility=False,
                limits=CONNECTIONS,
                headers=PLAIN,
            )
        except ValueError as error:
            raise InvalidSettings(setting="SITEWISE_UPSERT__QDRANT_URL", problem=str(error)) from error

    def at(self, generation: int) -> ServerStore:
        """The same server at another generation: a collection named after the first one's, as no other can be."""
        if generation not in self._family:
            beside = copy.copy(self)
            vars(beside).update(_collection=f"{self._first}.{generation}", _identity=None)
            self._family[generation] = beside
        return self._family[generation]

    def prepare(self, identity: ModelIdentity) -> None:
        """Make the collection and its indexes, or check them. Two processes may do so at once."""
        with self._server() as client:
            found = self._describe(client)
            if found is None:
                self._create(client, identity)
                found = self._describe(client)
            if found is None:
                raise VectorStoreUnavailable(url=self._url, problem="the new collection is gone again")
            stored = from_record((found.config.metadata or {}).get("sitewise"))
            check_same(stored, identity)
            for field in ("org_id", "datasource_id", "page_id", "language"):
                if field not in found.payload_schema:
                    client.create_payload_index(self._collection, field, field_schema=_index(field), wait=True)
        self._identity = stored

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Write points; when this returns the server has them in its log."""
        check_points(points, scope=scope, dimension=self._stored().dimension)
        for start in range(0, len(points), SLICE):
            part = [_to_rest(point) for point in points[start : start + SLICE]]
            with self._server() as client:
                self._check_owner(client, [point.id for point in part], scope=scope)
                client.upsert(self._collection, part, wait=True, update_filter=_filter(scope))

    def vectors(self, ids: Iterable[UUID], *, scope: OrgScope) -> dict[UUID, Vector]:
        """The unit vectors of those points of the org that exist."""
        wanted = [str(id_) for id_ in ids]
        found: dict[UUID, Vector] = {}
        for start in range(0, len(wanted), SLICE):
            part = wanted[start : start + SLICE]
            with self._server() as client:
                records, _ = client.scroll(
                    self._collection,
                    scroll_filter=_filter(scope, ids=part),
                    limit=len(part),
                    with_payload=False,
                    with_vectors=[DENSE],
                )
            found.update({UUID(str(record.id)): _dense(record) for record in records})
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
        """The org's nearest points, in one round trip unless scores tie at the cut.

        BM25 weighs terms by their rarity among the org's own points where the server can (from
        1.19 on); older ones count the whole collection.
        """
        check_query(dense, sparse, dimension=self._stored().dimension)
        chosen = _filter(scope, where=where)
        queries: dict[str, rest.QueryRequest] = {}
        if dense is not None:
            params = EXACT if where is not None and where != SearchFilter() else WIDE
            queries[DENSE] = rest.QueryRequest(query=dense.tolist(), using=DENSE, filter=chosen, params=params)
        if sparse is not None and sparse.indices:
            words = rest.SparseVector(indices=list(sparse.indices), values=list(sparse.values))
            own_words = rest.SearchParams(idf=rest.IdfCorpusParams(corpus=_filter(scope)))
            queries[SPARSE] = rest.QueryRequest(query=words, using=SPARSE, filter=chosen, params=own_words)
        first = dict(zip(queries, self._ask(list(queries.values()), limit + 1), strict=True))
        best = {
            name: settle(hits, limit=limit, more=partial(self._ask_one, queries[name])) for name, hits in first.items()
        }
        return Candidates(dense=best.get(DENSE, ()), sparse=best.get(SPARSE, ()))

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Remove points of the org."""
        wanted = [str(id_) for id_ in ids]
        if wanted:
            self._remove(_filter(scope, ids=wanted))

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """The org's points in id order."""
        first = next_id(after)
        if first is None:
            return []
        with self._server() as client:
            records, _ = client.scroll(
                self._collection,
                scroll_filter=_filter(scope),
                limit=limit,
                offset=str(first),
                with_payload=["org_id", "page_id"],
                with_vectors=[DENSE],
            )
        return [_to_record(record) for record in records]

    def count(self, *, scope: OrgScope) -> int:
        """How many points the org has."""
        with self._server() as client:
            return client.count(self._collection, count_filter=_filter(scope), exact=True).count

    def erase(self, *, scope: OrgScope) -> None:
        """Remove every point of the org. A collection that was never made has nothing to forget."""
        with self._server() as client:
            is_there = self._describe(client) is not None
        if is_there:
            self._remove(_filter(scope))

    def drop(self) -> None:
        """Remove the collection of this generation."""
        with self._server() as client:
            client.delete_collection(self._collection)
        self._identity = None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _describe(self, client: QdrantClient) -> rest.CollectionInfo | None:
        try:
            return client.get_collection(self._collection)
        except UnexpectedResponse as error:
            if error.status_code == MISSING:
                return None
            raise

    def _create(self, client: QdrantClient, identity: ModelIdentity) -> None:
        try:
            client.create_collection(
                self._collection,
                vectors_config={DENSE: self._vectors_of(identity)},
                quantization_config=INT8 if self._is_compressed else None,
                sparse_vectors_config={SPARSE: rest.SparseVectorParams(modifier=rest.Modifier.IDF)},
                hnsw_config=GRAPH,
                strict_mode_config=rest.StrictModeConfig(
                    enabled=True, unindexed_filtering_retrieve=False, unindexed_filtering_update=False
                ),
                metadata={"sitewise": to_record(identity)},
            )
        except UnexpectedResponse as error:
            if error.status_code != CONFLICT:  # another process was first
                raise

    def _vectors_of(self, identity: ModelIdentity) -> rest.VectorParams:
        distance = rest.Distance.COSINE
        return rest.VectorParams(size=identity.dimension, distance=distance, on_disk=self._is_compressed or None)

    def _stored(self) -> ModelIdentity:
        """The collection's model, asked of the server when this process did not prepare it."""
        if self._identity is None:
            with self._server() as client:
                found = self._describe(client)
            if found is None:
                raise VectorStoreUnavailable(url=self._url, collection=self._collection, problem="it was not prepared")
            self._identity = from_record((found.config.metadata or {}).get("sitewise"))
        return self._identity

    @contextmanager
    def _server(self) -> Iterator[QdrantClient]:
        """The client, its failures told as ours."""
        try:
            yield self._client
        except UnexpectedResponse as error:
            if error.status_code in REFUSED:
                raise InvalidSettings(
                    setting="SITEWISE_UPSERT__QDRANT_API_KEY", problem="the server refuses it"
                ) from error
            raise VectorStoreUnavailable(url=self._url, status=error.status_code, problem=_reason(error)) from error
        except (ApiException, QdrantException, OSError, ValueError, AssertionError) as error:
            # The last two are how the client says that what answered is not Qdrant.
            raise VectorStoreUnavailable(url=self._url, problem=str(error) or type(error).__name__) from error

    def _check_owner(self, client: QdrantClient, ids: list[rest.ExtendedPointId], *, scope: OrgScope) -> None:
        """Refuse ids another org holds: an id belongs to whoever wrote it first."""
        others = rest.Filter(must=[rest.HasIdCondition(has_id=ids)], must_not=[_is("org_id", scope.org_id)])
        if client.count(self._collection, count_filter=others, exact=True).count:
            raise ForeignPoint(org=scope.org_id, points=len(ids))

    def _ask(self, queries: list[rest.QueryRequest], count: int) -> list[list[Hit]]:
        if not queries:
            return []
        asked = rest.QueryRequestBatch(searches=[query.model_copy(update={"limit": count}) for query in queries])
        with self._server() as client:  # its own method copies every number of a vector first, in case it is a text
            answers = client.http.search_api.query_batch_points(self._collection, query_request_batch=asked).result
        if answers is None:
            raise VectorStoreUnavailable(url=self._url, problem="it answered without a result")
        return [[Hit(id=UUID(str(point.id)), score=point.score) for point in answer.points] for answer in answers]

    def _ask_one(self, query: rest.QueryRequest, count: int) -> list[Hit]:
        return self._ask([query], count)[0]

    def _remove(self, chosen: rest.Filter) -> None:
        with self._server() as client:
            client.delete(self._collection, points_selector=rest.FilterSelector(filter=chosen), wait=True)


def _index(field: str) -> rest.KeywordIndexParams:
    """The tenant's index carries the graphs; the others only filter, where the server knows the difference."""
    if field == "org_id":
        return rest.KeywordIndexParams(type=rest.KeywordIndexType.KEYWORD, is_tenant=True)
    return rest.KeywordIndexParams(type=rest.KeywordIndexType.KEYWORD, enable_hnsw=False)


def _reason(error: UnexpectedResponse) -> str:
    return error.content.decode(errors="replace")[:200]


def _is(field: str, value: object) -> rest.FieldCondition:
    return rest.FieldCondition(key=field, match=rest.MatchValue(value=str(value)))


def _any(field: str, values: Iterable[object]) -> rest.FieldCondition:
    return rest.FieldCondition(key=field, match=rest.MatchAny(any=sorted(map(str, values))))


def _filter(scope: OrgScope, *, ids: list[str] | None = None, where: SearchFilter | None = None) -> rest.Filter:
    """The tenant, always, and what else was asked."""
    must: list[rest.Condition] = [_is("org_id", scope.org_id)]
    if ids is not None:
        must.append(rest.HasIdCondition(has_id=list(ids)))
    if where is not None and where.datasource_ids:
        must.append(_any("datasource_id", where.datasource_ids))
    if where is not None and where.languages:
        must.append(_any("language", where.languages))
    return rest.Filter(must=must)


def _to_rest(point: Point) -> rest.PointStruct:
    return rest.PointStruct(
        id=str(point.id),
        vector={
            DENSE: point.dense.tolist(),
            SPARSE: rest.SparseVector(indices=list(point.sparse.indices), values=list(point.sparse.values)),
        },
        payload={
            "org_id": str(point.org_id),
            "datasource_id": str(point.datasource_id),
            "page_id": str(point.page_id),
            "language": point.language,
        },
    )


def _dense(record: rest.Record) -> Vector:
    vector = record.vector[DENSE] if isinstance(record.vector, dict) else []
    return np.asarray(vector, dtype=np.float32)


def _to_record(record: rest.Record) -> PointRecord:
    payload = record.payload or {}
    return PointRecord(
        id=UUID(str(record.id)),
        org_id=UUID(payload["org_id"]),
        page_id=UUID(payload["page_id"]),
        norm=float(np.linalg.norm(_dense(record))),
    )
