"""The vector stores, measured: Edge in this process, Edge over its owner's socket, and a Qdrant server.

`python -m tests.benchmarks.vector_store [--points N] [--orgs N]`. The points are drawn around random centres, with
BM25 terms of made-up words in natural proportions. A server is measured when `SITEWISE_TEST_QDRANT_URL` names one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from qdrant_client import QdrantClient
from rich.console import Console
from rich.table import Table

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.remote import RemoteStore
from pipeline.adapters.qdrant.serve import StoreServer
from pipeline.adapters.qdrant.server import ServerStore
from pipeline.adapters.qdrant.sparse import Bm25Encoder
from pipeline.model import ModelIdentity, OrgScope, Point, SearchFilter, SparseVector, Vector

DIMENSION = 384
IDENTITY = ModelIdentity("bench", "1", DIMENSION, 256, "mean", True, "", "", "torch", "fp32")  # noqa: FBT003 - in the order of the fields
BATCH = 256
QUESTIONS = 200
LIMIT = 60
PATIENCE = timedelta(seconds=60)
NARROW = SearchFilter(datasource_ids=frozenset({UUID(int=1)}), languages=frozenset({"de"}))

Question = tuple[Vector, SparseVector]


def make_points(count: int, scopes: Sequence[OrgScope], rng: np.random.Generator) -> list[list[Point]]:
    """Points of each org; a third of them of each datasource, a quarter German."""
    centres = rng.normal(size=(200, DIMENSION))
    dense = (centres[rng.integers(0, 200, count)] + rng.normal(size=(count, DIMENSION)) * 1.2).astype(np.float32)
    encoder = Bm25Encoder()
    by_org: list[list[Point]] = [[] for _ in scopes]
    for number in range(count):
        scope = scopes[number % len(scopes)]
        sparse = encoder.encode_document(_text(150, rng))
        language = "en" if number // len(scopes) % 4 else "de"
        ids = (UUID(int=scope.org_id.int * 10**9 + number), scope.org_id, UUID(int=number % 3), UUID(int=number // 30))
        by_org[number % len(scopes)].append(Point(*ids, language, dense[number], sparse))
    return by_org


def make_questions(points: Sequence[Point], rng: np.random.Generator) -> list[Question]:
    """Directions near stored ones, with ten words each."""
    encoder = Bm25Encoder()
    near = [point.dense + rng.normal(size=DIMENSION).astype(np.float32) * 0.5 for point in points[:QUESTIONS]]
    return [(vector, encoder.encode_query(_text(10, rng))) for vector in near]


def _text(words: int, rng: np.random.Generator) -> str:
    return " ".join(f"word{min(8_000, rank)}" for rank in rng.zipf(1.25, size=words))


@contextmanager
def stores() -> Iterator[dict[str, VectorStore]]:
    """Each kind of store, empty and prepared."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s"
        command = [sys.executable, "-m", "tests.benchmarks.vector_store", "--serve", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:  # noqa: S603 - ourselves
            assert owner.stdin is not None
            assert owner.stdout is not None
            owner.stdout.readline()
            opened: dict[str, VectorStore] = {
                "edge": EdgeStore(Path(folder) / "edge"),
                "edge over the socket": RemoteStore(socket, timeout=PATIENCE),
            }
            url, collection = os.environ.get("SITEWISE_TEST_QDRANT_URL"), f"bench-{uuid4().hex}"
            if url:
                opened["server"] = ServerStore(url, api_key=None, collection=collection, timeout=PATIENCE)
            for store in opened.values():
                store.prepare(IDENTITY)
            yield opened
            for store in opened.values():
                store.close()
            owner.stdin.close()
            if url:
                client = QdrantClient(url=url, check_compatibility=False)
                client.delete_collection(collection)
                client.close()


def serve(folder: Path) -> None:
    """Own a store until the other side closes our input."""
    store = EdgeStore(folder / "owned")
    with StoreServer(store, folder / "s"):
        print("ready", flush=True)  # noqa: T201 - the other side waits for it
        sys.stdin.read()
    store.close()


def median_ms(call: Callable[[int], object]) -> float:
    """The median time of a call, in milliseconds."""
    taken = []
    for number in range(QUESTIONS):
        began = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1_000


def recall(store: VectorStore, points: Sequence[Point], question: Question, scope: OrgScope) -> float:
    """The share of the exact best ten of the org that is found."""
    matrix = np.stack([point.dense for point in points])
    cosine = matrix @ question[0] / np.linalg.norm(matrix, axis=1)
    best = {points[int(index)].id for index in np.argsort(-cosine)[:10]}
    found = store.search(question[0], None, limit=10, scope=scope).dense
    return len(best & {hit.id for hit in found}) / 10


def measure(store: VectorStore, by_org: list[list[Point]], scopes: Sequence[OrgScope]) -> list[str]:
    """One row: points/s, then milliseconds of each kind of search, then recall."""
    questions = make_questions(by_org[0], np.random.default_rng(2))
    began = time.perf_counter()
    for scope, points in zip(scopes, by_org, strict=True):
        for start in range(0, len(points), BATCH):
            store.upsert(points[start : start + BATCH], scope=scope)
    rate = sum(map(len, by_org)) / (time.perf_counter() - began)
    own = scopes[0]

    def ask(number: int, where: SearchFilter | None = None) -> object:
        return store.search(*questions[number % len(questions)], limit=LIMIT, scope=own, where=where)

    figures = [median_ms(ask), median_ms(lambda number: ask(number, NARROW))]

    def write() -> None:
        for _ in range(10):
            store.upsert(by_org[1][:BATCH], scope=scopes[1])

    writer = threading.Thread(target=write)
    writer.start()
    figures.append(median_ms(ask))
    writer.join()
    found = [recall(store, by_org[0], question, own) for question in questions[:50]]
    return [f"{rate:,.0f}", *(f"{figure:.2f}" for figure in figures), f"{np.mean(found):.3f}"]


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser()
    options.add_argument("--points", type=int, default=10_000)
    options.add_argument("--orgs", type=int, default=10)
    options.add_argument("--serve", type=Path)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    scopes = [OrgScope(UUID(int=number + 1)) for number in range(chosen.orgs)]
    by_org = make_points(chosen.points, scopes, np.random.default_rng(1))
    table = Table("store", "upserts/s", "search ms", "two filters ms", "while writing ms", "recall@10")
    with stores() as opened:
        for name, store in opened.items():
            table.add_row(name, *measure(store, by_org, scopes))
    Console().print(table)


if __name__ == "__main__":
    main()
