"""What every vector store promises, asked of each of them in the same words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from qdrant_client import QdrantClient

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.remote import RemoteStore
from pipeline.adapters.qdrant.serve import StoreServer
from pipeline.adapters.qdrant.server import ServerStore
from pipeline.errors import ForeignPoint, InvalidVector, ModelMismatch, SitewiseError, VectorStoreUnavailable
from pipeline.model import ModelIdentity, OrgScope, SearchFilter, SparseVector, Vector
from tests.fakes.points import DIMENSION, IDENTITY, make_point
from tests.fakes.vector_store import MemoryStore

OURS = OrgScope(UUID(int=0xA))
THEIRS = OrgScope(UUID(int=0xB))
OTHERS = [OrgScope(UUID(int=0x100 + number)) for number in range(4)]
NOTHING = SparseVector((), ())


def memory_store(_: Path) -> Iterator[VectorStore]:
    """The fake."""
    yield MemoryStore()


def edge_store(path: Path) -> Iterator[VectorStore]:
    """The engine in this process."""
    store = EdgeStore(path / "vectors")
    yield store
    store.close()


def remote_store(path: Path) -> Iterator[VectorStore]:
    """The engine in its owner, over the owner's socket."""
    owned = EdgeStore(path / "vectors")
    with StoreServer(owned, path / "vectors.sock"):
        store = RemoteStore(path / "vectors.sock", timeout=timedelta(seconds=20))
        yield store
        store.close()
    owned.close()


def server_store(_: Path, *, is_compressed: bool = False) -> Iterator[VectorStore]:
    """A collection of its own on a real server."""
    url, collection = os.environ["SITEWISE_TEST_QDRANT_URL"], f"test-{uuid4().hex}"
    timeout = timedelta(seconds=20)
    store = ServerStore(url, api_key=None, collection=collection, timeout=timeout, is_compressed=is_compressed)
    yield store
    store.close()
    client = QdrantClient(url=url, check_compatibility=False)
    client.delete_collection(collection)
    client.close()


def compressed_store(path: Path) -> Iterator[VectorStore]:
    """The same, its vectors held as int8."""
    return server_store(path, is_compressed=True)


Opened = Callable[[Path], Iterator[VectorStore]]
EMBEDDED = [memory_store, edge_store, remote_store]
ON_A_SERVER = [pytest.param(store, marks=pytest.mark.needs("qdrant")) for store in (server_store, compressed_store)]
EVERY = [*EMBEDDED, *ON_A_SERVER]


@pytest.fixture(params=EVERY)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    """A store nobody has prepared yet."""
    opened: Opened = request.param
    yield from opened(tmp_path)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Opened], VectorStore]]:
    """Opens each kind of store once, prepares it, and keeps it for every test here."""
    kept: dict[Opened, VectorStore] = {}
    with ExitStack() as stack:

        def open_once(kind: Opened) -> VectorStore:
            if kind not in kept:
                kept[kind] = stack.enter_context(contextmanager(kind)(tmp_path_factory.mktemp("store")))
                kept[kind].prepare(IDENTITY)
            return kept[kind]

        yield open_once


@pytest.fixture(params=EVERY)
def store(request: pytest.FixtureRequest, opened: Callable[[Opened], VectorStore]) -> Iterator[VectorStore]:
    """A prepared, empty store."""
    kept = opened(request.param)
    yield kept
    for scope in (OURS, THEIRS, *OTHERS):
        kept.delete([record.id for record in kept.scan(scope=scope)], scope=scope)


@pytest.fixture(params=EMBEDDED)
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    """A prepared, empty store whose engine is the newest."""
    opened: Opened = request.param
    for store in opened(tmp_path):
        store.prepare(IDENTITY)
        yield store


def ids_found(store: VectorStore, scope: OrgScope, towards: int = 0, where: SearchFilter | None = None) -> list[int]:
    """Which points, by number, a search along one axis returns, best first."""
    query = np.eye(DIMENSION, dtype=np.float32)[towards]
    found = store.search(query, None, limit=50, scope=scope, where=where)
    return [hit.id.int for hit in found.dense]


def test_preparing_twice_is_the_same_as_once(store: VectorStore) -> None:
    """A second prepare for the same model changes nothing and keeps the points."""
    store.upsert([make_point(1, OURS)], scope=OURS)

    store.prepare(IDENTITY)

    assert store.count(scope=OURS) == 1


def test_many_may_prepare_at_once(fresh: VectorStore) -> None:
    """Two that prepare at the same moment both find a working store."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fresh.prepare, [IDENTITY] * 4))

    fresh.upsert([make_point(1, OURS)], scope=OURS)

    assert fresh.count(scope=OURS) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, name="another"),
        replace(IDENTITY, revision="2"),
        replace(IDENTITY, dimension=DIMENSION * 2),
        replace(IDENTITY, precision="int8"),
        replace(IDENTITY, query_prompt="query: "),
    ],
    ids=["name", "revision", "dimension", "precision", "prompt"],
)
def test_another_model_is_refused(store: VectorStore, other: ModelIdentity) -> None:
    """Vectors of two models never mix; the message names both and the way out."""
    with pytest.raises(ModelMismatch) as refused:
        store.prepare(other)

    assert IDENTITY.name in str(refused.value)
    assert "SITEWISE_EMBED__MODEL" in str(refused.value)


def test_another_runtime_of_the_same_precision_is_welcome(store: VectorStore) -> None:
    """What runs the model may change: bf16 and fp32 agree closely enough to be compared."""
    store.prepare(replace(IDENTITY, backend="openvino", precision="bf16", max_tokens=64))

    assert store.count(scope=OURS) == 0


def test_nothing_works_before_it_is_prepared(fresh: VectorStore) -> None:
    """An unprepared store says so, instead of looking empty."""
    with pytest.raises(VectorStoreUnavailable):
        fresh.count(scope=OURS)
    with pytest.raises(VectorStoreUnavailable):
        fresh.upsert([make_point(1, OURS)], scope=OURS)
    with pytest.raises(VectorStoreUnavailable):
        fresh.search(np.ones(DIMENSION, dtype=np.float32), None, limit=1, scope=OURS)


def test_writing_twice_is_the_same_as_once(store: VectorStore) -> None:
    """An upsert repeated after a crash leaves no second point."""
    points = [make_point(number, OURS) for number in range(1, 6)]

    store.upsert(points, scope=OURS)
    store.upsert(points, scope=OURS)

    assert store.count(scope=OURS) == 5


def test_a_later_write_replaces_the_whole_point(store: VectorStore) -> None:
    """Vectors, terms and ids of an earlier write are gone."""
    store.upsert([make_point(1, OURS, axis=0, terms={7: 1.0}, language="en")], scope=OURS)

    store.upsert([make_point(1, OURS, axis=1, terms={8: 1.0}, language="de")], scope=OURS)

    stored = store.vectors([UUID(int=1)], scope=OURS)[UUID(int=1)]
    assert np.allclose(stored, np.eye(DIMENSION)[1], atol=1e-6)
    assert store.search(None, SparseVector((7,), (1.0,)), limit=5, scope=OURS).sparse == ()
    assert ids_found(store, OURS, where=SearchFilter(languages=frozenset({"de"}))) == [1]
    assert ids_found(store, OURS, where=SearchFilter(languages=frozenset({"en"}))) == []


def test_vectors_come_back_at_unit_length(store: VectorStore) -> None:
    """What was written is returned as its direction; unknown ids are left out."""
    rng = np.random.default_rng(7)
    dense = rng.normal(size=DIMENSION).astype(np.float32) * 3
    store.upsert([replace(make_point(1, OURS), dense=dense)], scope=OURS)

    found = store.vectors([UUID(int=1), UUID(int=2)], scope=OURS)

    assert found.keys() == {UUID(int=1)}
    assert found[UUID(int=1)].dtype == np.float32
    assert np.allclose(found[UUID(int=1)], dense / np.linalg.norm(dense), atol=1e-6)


def test_large_batches_arrive_whole(store: VectorStore) -> None:
    """More points than fit one request are all written, and all read back."""
    points = [make_point(number, OURS, axis=number % DIMENSION) for number in range(1, 701)]

    store.upsert(points, scope=OURS)

    assert store.count(scope=OURS) == 700
    assert len(store.vectors([point.id for point in points], scope=OURS)) == 700


def test_dense_hits_come_best_first_with_their_cosine(store: VectorStore) -> None:
    """The score is the cosine, whatever the length of the vectors."""
    angles = [0.0, 0.3, 0.6, 0.9]
    points = [
        replace(make_point(number, OURS), dense=5 * direction(angle)) for number, angle in enumerate(angles, start=1)
    ]
    store.upsert(points[::-1], scope=OURS)

    found = store.search(direction(0.0) * 9, None, limit=3, scope=OURS)

    assert [hit.id.int for hit in found.dense] == [1, 2, 3]
    assert [hit.score for hit in found.dense] == pytest.approx(np.cos(angles[:3]), abs=1e-5)
    assert found.sparse == ()


def test_equal_scores_come_in_id_order_wherever_they_are_cut(store: VectorStore) -> None:
    """Of many points equally good, the ones with the smallest ids are returned, in both halves."""
    numbers = np.random.default_rng(3).permutation(np.arange(1, 121)).tolist()
    store.upsert([make_point(number, OURS, axis=0, terms={5: 1.0}) for number in numbers], scope=OURS)

    found = store.search(np.eye(DIMENSION, dtype=np.float32)[0], SparseVector((5,), (1.0,)), limit=7, scope=OURS)

    assert [hit.id.int for hit in found.dense] == list(range(1, 8))
    assert [hit.id.int for hit in found.sparse] == list(range(1, 8))


def test_rare_words_weigh_more(fresh: VectorStore) -> None:
    """A point that holds the question's rare word comes before those that hold the common one."""
    store, common, rare = fresh, 1, 2
    store.prepare(IDENTITY)
    store.upsert([make_point(number, OURS, terms={common: 1.5}) for number in range(1, 9)], scope=OURS)
    store.upsert([make_point(9, OURS, terms={rare: 1.5})], scope=OURS)

    found = store.search(None, SparseVector((common, rare), (1.0, 1.0)), limit=3, scope=OURS)

    assert [hit.id.int for hit in found.sparse] == [9, 1, 2]
    assert found.sparse[0].score == pytest.approx(1.5 * np.log(1 + (9 - 1 + 0.5) / 1.5), rel=1e-4)
    assert found.dense == ()


def test_points_without_a_word_in_common_are_not_found_by_words(store: VectorStore) -> None:
    """BM25 proposes nothing for words nobody wrote, and nothing for a question without words."""
    store.upsert([make_point(1, OURS, terms={1: 1.0}), make_point(2, OURS, terms={})], scope=OURS)

    assert store.search(None, SparseVector((99,), (1.0,)), limit=5, scope=OURS).sparse == ()
    assert store.search(None, NOTHING, limit=5, scope=OURS).sparse == ()


def test_a_filter_narrows_both_halves(store: VectorStore) -> None:
    """Datasources and languages restrict what is found; several of one kind are alternatives."""
    one, two = UUID(int=101), UUID(int=102)
    points = [
        make_point(1, OURS, terms={5: 1.0}, datasource=one, language="en"),
        make_point(2, OURS, terms={5: 1.0}, datasource=two, language="en"),
        make_point(3, OURS, terms={5: 1.0}, datasource=two, language="de"),
    ]
    store.upsert(points, scope=OURS)
    query, word = np.eye(DIMENSION, dtype=np.float32)[0], SparseVector((5,), (1.0,))

    german = SearchFilter(datasource_ids=frozenset({two}), languages=frozenset({"de", "fr"}))
    found = store.search(query, word, limit=5, scope=OURS, where=german)

    assert [hit.id.int for hit in found.dense] == [3]
    assert [hit.id.int for hit in found.sparse] == [3]
    assert ids_found(store, OURS, where=SearchFilter(datasource_ids=frozenset({one, two}))) == [1, 2, 3]
    assert ids_found(store, OURS, where=SearchFilter()) == [1, 2, 3]


def test_orgs_see_only_their_own(store: VectorStore) -> None:
    """With equal vectors, words, datasources and pages, no call crosses from one org to another."""
    store.upsert([make_point(number, OURS, terms={5: 1.0}) for number in (1, 2)], scope=OURS)
    store.upsert([make_point(number, THEIRS, terms={5: 1.0}) for number in (3, 4, 5)], scope=THEIRS)
    every = [UUID(int=number) for number in range(1, 6)]

    found = store.search(
        np.eye(DIMENSION, dtype=np.float32)[0], SparseVector((5,), (1.0,)), limit=50, scope=OURS, where=SearchFilter()
    )
    store.delete([UUID(int=3)], scope=OURS)

    assert {hit.id.int for hit in found.dense + found.sparse} == {1, 2}
    assert store.vectors(every, scope=OURS).keys() == {UUID(int=1), UUID(int=2)}
    assert [record.id.int for record in store.scan(scope=OURS)] == [1, 2]
    assert (store.count(scope=OURS), store.count(scope=THEIRS)) == (2, 3)


def test_an_id_belongs_to_the_org_that_wrote_it_first(store: VectorStore) -> None:
    """Another org that writes the same id is refused, and the first org's point is as it was."""
    store.upsert([make_point(1, OURS, axis=0)], scope=OURS)

    with pytest.raises(ForeignPoint):
        store.upsert([make_point(1, THEIRS, axis=1)], scope=THEIRS)

    assert np.allclose(store.vectors([UUID(int=1)], scope=OURS)[UUID(int=1)], np.eye(DIMENSION)[0])
    assert store.count(scope=THEIRS) == 0


def test_a_point_of_another_org_is_refused_before_anything_is_written(store: VectorStore) -> None:
    """One foreign point in a batch stops the whole batch."""
    with pytest.raises(ForeignPoint):
        store.upsert([make_point(1, OURS), make_point(2, THEIRS)], scope=OURS)

    assert store.count(scope=OURS) == 0


@pytest.mark.parametrize("others", [1, 40])
def test_a_word_is_as_rare_as_the_org_itself_makes_it(embedded: VectorStore, others: int) -> None:
    """What other orgs wrote does not move an org's scores; servers that cannot do this are not asked to."""
    embedded.upsert([make_point(1, OURS, terms={5: 1.0}), make_point(2, OURS, terms={6: 1.0})], scope=OURS)
    embedded.upsert([make_point(100 + number, THEIRS, terms={5: 1.0}) for number in range(others)], scope=THEIRS)

    found = embedded.search(None, SparseVector((5,), (1.0,)), limit=5, scope=OURS)

    assert found.sparse[0].score == pytest.approx(np.log(1 + 1.5 / 1.5), rel=1e-4)


@pytest.mark.parametrize(
    "dense",
    [
        np.zeros(DIMENSION, dtype=np.float32),
        np.full(DIMENSION, np.nan, dtype=np.float32),
        np.full(DIMENSION, np.inf, dtype=np.float32),
        np.ones(DIMENSION + 1, dtype=np.float32),
        np.ones((1, DIMENSION), dtype=np.float32),
    ],
    ids=["zero", "nan", "infinite", "too long", "two-dimensional"],
)
def test_a_vector_that_cannot_be_compared_is_refused(store: VectorStore, dense: Vector) -> None:
    """Nothing of a batch with such a vector is stored, and a question with one is not asked."""
    with pytest.raises(InvalidVector):
        store.upsert([make_point(1, OURS), replace(make_point(2, OURS), dense=dense)], scope=OURS)
    with pytest.raises(InvalidVector):
        store.search(dense, None, limit=1, scope=OURS)

    assert store.count(scope=OURS) == 0


@pytest.mark.parametrize(
    "sparse",
    [SparseVector((1, 1), (1.0, 1.0)), SparseVector((1,), ()), SparseVector((1,), (float("nan"),))],
    ids=["repeated", "uneven", "nan"],
)
def test_terms_that_cannot_be_stored_are_refused(store: VectorStore, sparse: SparseVector) -> None:
    """Repeated, unmatched or endless term weights do not reach the store."""
    with pytest.raises(InvalidVector):
        store.upsert([replace(make_point(1, OURS), sparse=sparse)], scope=OURS)

    assert store.count(scope=OURS) == 0


def test_deleting_removes_those_and_no_others(store: VectorStore) -> None:
    """Deleted points are found by nothing; unknown ids and empty lists are ignored."""
    store.upsert([make_point(number, OURS, terms={5: 1.0}) for number in (1, 2, 3)], scope=OURS)

    store.delete([UUID(int=2), UUID(int=77)], scope=OURS)
    store.delete([], scope=OURS)

    assert ids_found(store, OURS) == [1, 3]
    assert [hit.id.int for hit in store.search(None, SparseVector((5,), (1.0,)), limit=5, scope=OURS).sparse] == [1, 3]
    assert store.count(scope=OURS) == 2


def test_erasing_an_org_leaves_the_others(store: VectorStore) -> None:
    """After erase the org has nothing, may write again, and nobody else lost a point."""
    store.upsert([make_point(number, OURS) for number in (1, 2)], scope=OURS)
    store.upsert([make_point(3, THEIRS)], scope=THEIRS)

    store.erase(scope=OURS)
    store.erase(scope=OURS)

    assert (store.count(scope=OURS), store.count(scope=THEIRS)) == (0, 1)
    store.upsert([make_point(1, THEIRS)], scope=THEIRS)
    assert ids_found(store, THEIRS) == [1, 3]


def test_a_store_that_was_never_made_has_nothing_to_erase(fresh: VectorStore) -> None:
    """An org that was never crawled can be erased."""
    fresh.erase(scope=OURS)


def test_a_scan_pages_through_all_points_in_id_order(store: VectorStore) -> None:
    """Every point is seen once, whatever order it was written in; the last page is short, then empty."""
    numbers = [2**127 + 5, 3, 2**64, 1, 2**128 - 1, 7]
    store.upsert([make_point(number, OURS) for number in numbers], scope=OURS)
    store.upsert([make_point(4, THEIRS)], scope=THEIRS)

    first = store.scan(scope=OURS, limit=4)
    second = store.scan(scope=OURS, after=first[-1].id, limit=4)

    assert [record.id.int for record in first + second] == sorted(numbers)
    assert store.scan(scope=OURS, after=second[-1].id) == []
    assert {record.org_id for record in first} == {OURS.org_id}
    assert first[0].page_id == make_point(1, OURS).page_id
    assert [record.norm for record in first] == pytest.approx([1.0] * 4, abs=1e-5)


def test_threads_share_a_store(store: VectorStore) -> None:
    """Writers and readers of several orgs at once lose nothing and see nothing of each other."""
    start = threading.Barrier(len(OTHERS))

    def work(scope: OrgScope) -> set[int]:
        start.wait()
        seen: set[int] = set()
        for number in range(10):
            base = scope.org_id.int * 1_000 + number * 10
            store.upsert([make_point(base + offset, scope) for offset in range(10)], scope=scope)
            seen |= {found // 1_000 for found in ids_found(store, scope)}
        return seen

    with ThreadPoolExecutor(len(OTHERS)) as threads:
        seen = list(threads.map(work, OTHERS))

    assert seen == [{scope.org_id.int} for scope in OTHERS]
    assert [store.count(scope=scope) for scope in OTHERS] == [100] * 4


def test_every_failure_is_one_of_ours(fresh: VectorStore) -> None:
    """No call on an unprepared store lets an error of the engine or the network through."""
    for call in (
        lambda: fresh.vectors([UUID(int=1)], scope=OURS),
        lambda: fresh.delete([UUID(int=1)], scope=OURS),
        lambda: fresh.scan(scope=OURS),
    ):
        with pytest.raises(SitewiseError):
            call()


def direction(angle: float) -> Vector:
    """A unit vector `angle` radians away from the first axis."""
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[:2] = np.cos(angle), np.sin(angle)
    return vector
