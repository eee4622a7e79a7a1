"""Generations of a store: collections beside each other, each of one model, as every store keeps them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.server import ServerStore
from pipeline.errors import InvalidVector, ModelMismatch, VectorStoreUnavailable
from pipeline.model import OrgScope, Vector
from tests.contracts.test_vector_store import EMBEDDED, Opened
from tests.fakes.points import DIMENSION, IDENTITY, make_point

OURS, THEIRS = OrgScope(UUID(int=0xA)), OrgScope(UUID(int=0xB))
WIDER = replace(IDENTITY, name="wider", dimension=2 * DIMENSION)
AXIS: Vector = np.eye(DIMENSION, dtype=np.float32)[0]
WIDE_AXIS: Vector = np.eye(2 * DIMENSION, dtype=np.float32)[0]


def server_store(_: Path) -> Iterator[VectorStore]:
    """Collections of their own on a real server."""
    store = ServerStore(
        os.environ["SITEWISE_TEST_QDRANT_URL"],
        api_key=None,
        collection=f"test-{uuid4().hex}",
        timeout=timedelta(seconds=20),
    )
    yield store
    for generation in (1, 2):
        store.at(generation).drop()
    store.close()


@pytest.fixture(params=[*EMBEDDED, pytest.param(server_store, marks=pytest.mark.needs("qdrant"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    """A store whose first generation holds two points of one model."""
    opened: Opened = request.param
    for made in opened(tmp_path):
        made.prepare(IDENTITY)
        made.upsert([make_point(number, OURS) for number in (1, 2)], scope=OURS)
        yield made


def widened(store: VectorStore) -> VectorStore:
    """The second generation, with a point of a wider model under an id that the first one has, too."""
    second = store.at(2)
    second.prepare(WIDER)
    second.upsert([replace(make_point(1, OURS), dense=WIDE_AXIS)], scope=OURS)
    return second


def test_the_first_generation_is_the_store_itself(store: VectorStore) -> None:
    """What was stored before there were generations is the first."""
    assert store.at(1).count(scope=OURS) == 2


def test_naming_a_generation_makes_nothing(store: VectorStore) -> None:
    """Until it is prepared it says that it was not."""
    with pytest.raises(VectorStoreUnavailable):
        store.at(2).count(scope=OURS)


def test_generations_do_not_see_each_other(store: VectorStore) -> None:
    """Each has its own model, dimension and points; the same id is another point."""
    second = widened(store)

    found = second.search(WIDE_AXIS, None, limit=5, scope=OURS)

    assert [hit.id.int for hit in found.dense] == [1]
    assert [hit.id.int for hit in store.search(AXIS, None, limit=5, scope=OURS).dense] == [1, 2]
    assert (store.count(scope=OURS), store.at(2).count(scope=OURS)) == (2, 1)


def test_a_vector_of_one_model_is_refused_by_a_generation_of_another(store: VectorStore) -> None:
    """Neither a question nor a point of the wrong length gets in, and no model can be put in another's place."""
    second = widened(store)

    with pytest.raises(ModelMismatch):
        second.prepare(IDENTITY)
    with pytest.raises(InvalidVector):
        second.search(AXIS, None, limit=5, scope=OURS)
    with pytest.raises(InvalidVector):
        store.upsert([replace(make_point(3, OURS), dense=WIDE_AXIS)], scope=OURS)


def test_deleting_and_erasing_mean_one_generation(store: VectorStore) -> None:
    """Whoever means all of them says so to each."""
    second = widened(store)
    second.upsert([replace(make_point(9, THEIRS), dense=WIDE_AXIS)], scope=THEIRS)

    second.delete([UUID(int=2)], scope=OURS)
    second.erase(scope=OURS)

    assert (store.count(scope=OURS), second.count(scope=OURS), second.count(scope=THEIRS)) == (2, 0, 1)


def test_a_generation_that_was_dropped_is_gone_and_the_others_stay(store: VectorStore) -> None:
    """Dropping twice, or what was never made, is the same as once; another model may be put in its place."""
    widened(store)

    store.at(2).drop()
    store.at(2).drop()
    store.at(3).drop()

    with pytest.raises(VectorStoreUnavailable):
        store.at(2).count(scope=OURS)
    assert store.count(scope=OURS) == 2
    store.at(2).prepare(IDENTITY)
    assert store.at(2).count(scope=OURS) == 0


def test_the_first_generation_can_be_dropped_too(store: VectorStore) -> None:
    """A later one goes on without it."""
    second = widened(store)

    store.drop()

    assert second.count(scope=OURS) == 1
    with pytest.raises(VectorStoreUnavailable):
        store.count(scope=OURS)


def test_generations_of_an_embedded_store_are_there_after_a_restart(tmp_path: Path) -> None:
    """Each is a directory of its own; one that was removed in part is none."""
    store = EdgeStore(tmp_path / "vectors")
    store.prepare(IDENTITY)
    widened(store)
    store.close()
    (tmp_path / "vectors" / "identity.json").unlink()

    again = EdgeStore(tmp_path / "vectors")

    assert again.at(2).identity == WIDER
    assert again.at(2).count(scope=OURS) == 1
    with pytest.raises(VectorStoreUnavailable):
        again.count(scope=OURS)
    again.drop()
    again.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors.2"]
