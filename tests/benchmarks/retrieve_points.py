"""Points of generated pages, written past what a store checks for each batch: a million take minutes, not an hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx
from pydantic import TypeAdapter
from qdrant_client import QdrantClient
from qdrant_client import models as rest

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.model import Point, SparseVector
from tests.benchmarks.retrieve_rows import Part, Shape, Terms, parts
from tests.lab.waiting import eventually

AT_A_TIME = 256
DIGITS = 5
"""Of each number of a vector that goes to a server as text."""

AS_JSON = TypeAdapter(dict[str, object])
"""Ten times as fast as the standard library's with a vector's numbers."""

PATIENCE_SECONDS = 3_600


def write_to(store: VectorStore, shape: Shape, *, dimension: int) -> None:
    """Write every point as an index worker would."""
    terms = Terms()
    for part in parts(shape, dimension=dimension):
        points = _points(part, terms)
        for start in range(0, len(points), AT_A_TIME):
            store.upsert(points[start : start + AT_A_TIME], scope=part.scope)


def write_to_server(url: str, collection: str, shape: Shape, *, dimension: int) -> None:
    """Write every point to a collection that was prepared, past the client, and wait until its graphs are built."""
    terms = Terms()
    with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
        for batch in _together(parts(shape, dimension=dimension)):
            points = [point for part in batch for point in _bodies(part, terms)]
            for start in range(0, len(points), AT_A_TIME):
                body = AS_JSON.dump_json({"points": points[start : start + AT_A_TIME]})
                said = client.put(f"/collections/{collection}/points", content=body)
                said.raise_for_status()
    settle(url, collection)


def settle(url: str, collection: str) -> None:
    """Wait until the server has nothing left to improve in a collection."""
    client = QdrantClient(url=url, check_compatibility=False, timeout=60)
    eventually(
        lambda: client.get_collection(collection).status == rest.CollectionStatus.GREEN,
        seconds=PATIENCE_SECONDS,
        what=f"{collection} is ready",
    )
    client.close()


def _points(part: Part, terms: Terms) -> list[Point]:
    org, source = part.scope.org_id, part.source
    return [
        Point(id_, org, source, page, "en", dense, SparseVector(tuple(indices), tuple(weights)))
        for id_, page, dense, (indices, weights) in zip(
            part.ids, part.pages, part.dense, terms.of(part.ranks), strict=True
        )
    ]


def _bodies(part: Part, terms: Terms) -> list[dict[str, object]]:
    """The points as the server's interface has them."""
    owned = {"org_id": str(part.scope.org_id), "datasource_id": str(part.source), "language": "en"}
    rounded = part.dense.astype(float).round(DIGITS).tolist()
    return [
        {
            "id": str(id_),
            "vector": {"dense": dense, "sparse": {"indices": indices, "values": weights}},
            "payload": {**owned, "page_id": str(page)},
        }
        for id_, page, dense, (indices, weights) in zip(
            part.ids, part.pages, rounded, terms.of(part.ranks), strict=True
        )
    ]


def _together(found: Iterator[Part]) -> Iterator[Sequence[Part]]:
    """Small parts as batches of about a request's size."""
    batch: list[Part] = []
    for part in found:
        batch.append(part)
        if sum(len(one.ranks) for one in batch) >= AT_A_TIME:
            yield batch
            batch = []
    yield batch
