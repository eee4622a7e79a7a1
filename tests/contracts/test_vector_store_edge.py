"""What the embedded store promises beyond the port: its directory, its owner, its crashes."""

from __future__ import annotations

import errno
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from pipeline.adapters.qdrant import edge, edge_files
from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.errors import (
    DataDirectoryBusy,
    DataDirectoryUnusable,
    DiskFull,
    ModelMismatch,
    VectorStoreUnavailable,
)
from pipeline.model import OrgScope, SparseVector
from tests.contracts.upserting_child import BATCH
from tests.fakes.points import IDENTITY, make_point

SCOPE = OrgScope(UUID(int=0xA))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "vectors"


@pytest.fixture
def store(path: Path) -> Iterator[EdgeStore]:
    """A prepared store."""
    opened = EdgeStore(path)
    opened.prepare(IDENTITY)
    yield opened
    opened.close()


def test_what_was_written_is_there_after_a_restart(store: EdgeStore, path: Path) -> None:
    """A reopened store needs no prepare to be read, and still knows its model."""
    store.upsert([make_point(number, SCOPE, terms={5: 1.0}) for number in (1, 2, 3)], scope=SCOPE)
    store.delete([UUID(int=2)], scope=SCOPE)
    store.close()

    again = EdgeStore(path)

    assert again.identity == IDENTITY
    assert [record.id.int for record in again.scan(scope=SCOPE)] == [1, 3]
    with pytest.raises(ModelMismatch):
        again.prepare(replace(IDENTITY, name="another"))
    again.close()


def test_a_killed_process_loses_nothing_it_acknowledged(path: Path) -> None:
    """Killed without warning in the middle of its writes, three times over, the store opens whole."""
    acknowledged = 0
    for _ in range(3):
        command = [sys.executable, "-m", "tests.contracts.upserting_child", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - our own module
            assert child.stdout is not None
            for _ in range(8):
                acknowledged = int(child.stdout.readline())
            child.kill()
            acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])

    with_leftovers = EdgeStore(path)
    records = with_leftovers.scan(scope=SCOPE, limit=acknowledged + 10 * BATCH)

    assert acknowledged <= len(records) <= acknowledged + BATCH
    assert [record.id.int for record in records] == list(range(1, len(records) + 1))
    assert all(record.norm == pytest.approx(1.0) for record in records)
    with_leftovers.close()


def test_a_power_cut_loses_nothing_that_was_acknowledged(store: EdgeStore, path: Path, tmp_path: Path) -> None:
    """With the segments as they were before, the synced log alone brings back every write and delete."""
    store.upsert([make_point(number, SCOPE) for number in (1, 2, 3)], scope=SCOPE)
    store.close()
    shutil.copytree(path, tmp_path / "after the cut")
    again = EdgeStore(path)

    again.upsert([make_point(number, SCOPE, axis=1) for number in (2, 4)], scope=SCOPE)
    again.delete([UUID(int=3)], scope=SCOPE)

    shutil.rmtree(tmp_path / "after the cut" / "shard" / "wal")
    shutil.copytree(path / "shard" / "wal", tmp_path / "after the cut" / "shard" / "wal")
    survived = EdgeStore(tmp_path / "after the cut")
    assert [record.id.int for record in survived.scan(scope=SCOPE)] == [1, 2, 4]
    assert survived.vectors([UUID(int=2)], scope=SCOPE)[UUID(int=2)][1] == pytest.approx(1.0)
    survived.close()
    again.close()


def test_much_is_written_between_two_flushes(store: EdgeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing everything now and then changes nothing that can be seen."""
    monkeypatch.setattr(edge, "UNFLUSHED", 25)

    for number in range(1, 101, 10):
        store.upsert([make_point(number + offset, SCOPE) for offset in range(10)], scope=SCOPE)

    assert store.count(scope=SCOPE) == 100


def test_a_second_process_cannot_open_it(store: EdgeStore, path: Path) -> None:
    """Whoever comes second is told that the directory has an owner."""
    store.upsert([make_point(1, SCOPE)], scope=SCOPE)

    with pytest.raises(DataDirectoryBusy):
        EdgeStore(path)


def test_a_store_half_made_is_made_again(path: Path) -> None:
    """What a process that died while preparing left behind is not in the way."""
    leftover = path.with_name("vectors.new") / "shard"
    leftover.mkdir(parents=True)
    (leftover / "edge_config.json").write_text("{")

    store = EdgeStore(path)
    store.prepare(IDENTITY)

    assert store.count(scope=SCOPE) == 0
    assert not path.with_name("vectors.new").exists()
    store.close()


@pytest.mark.parametrize("after", ["prepare", "erase"])
def test_a_store_that_could_not_be_opened_again_is_opened_and_not_made_anew(
    store: EdgeStore, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """After an erasure whose end failed once, the other orgs' points are where they were."""
    other = OrgScope(UUID(int=0xB))
    store.upsert([make_point(number, SCOPE) for number in (1, 2, 3)], scope=SCOPE)
    store.upsert([make_point(4, other)], scope=other)
    with monkeypatch.context() as broken:
        broken.setattr(edge_files, "load", _too_many_open)
        with pytest.raises(VectorStoreUnavailable):
            store.erase(scope=other)

    if after == "prepare":
        store.prepare(IDENTITY)
    else:
        store.erase(scope=other)

    assert store.count(scope=SCOPE) == 3
    assert store.count(scope=other) == 0


@pytest.mark.parametrize("after", ["prepare", "erase"])
def test_a_replacement_that_fails_half_way_is_undone(
    store: EdgeStore, path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """With the old store out of its place and the new one not in it, the old one is put back."""
    store.upsert([make_point(number, SCOPE) for number in (1, 2, 3)], scope=SCOPE)
    real = Path.rename

    def rename(source: Path, target: Path) -> Path:
        if source.name.endswith(".new"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(source, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", rename)
        with pytest.raises(DataDirectoryUnusable):
            store.erase(scope=OrgScope(UUID(int=0xB)))
    assert not path.exists()

    if after == "prepare":
        store.prepare(IDENTITY)
    else:
        store.erase(scope=OrgScope(UUID(int=0xB)))

    assert store.count(scope=SCOPE) == 3
    assert not path.with_name("vectors.old").exists()


def test_a_child_forked_from_the_owner_is_refused(store: EdgeStore) -> None:
    """The engine would hang for ever in a forked child; the child is told instead."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    child = context.Process(target=_count_into, args=(store, answers))
    child.start()
    child.join(20)

    assert child.exitcode == 0
    assert answers.get() == VectorStoreUnavailable.__name__


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file where the data directory should be is told with its path."""
    (tmp_path / "file").write_text("")
    store = EdgeStore(tmp_path / "file" / "vectors")

    with pytest.raises(DataDirectoryUnusable, match="file"):
        store.prepare(IDENTITY)


def test_an_unreadable_shard_is_an_unavailable_store(store: EdgeStore, path: Path) -> None:
    """A damaged store says where it is, and does not pretend to be empty."""
    store.close()
    shutil.rmtree(path / "shard" / "segments")
    (path / "shard" / "edge_config.json").write_text("{")

    with pytest.raises(VectorStoreUnavailable, match="vectors"):
        EdgeStore(path)


def test_a_nearly_full_disk_is_told_before_anything_is_written(
    store: EdgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine maps its files, so it must never meet a full disk itself."""
    monkeypatch.setattr(edge_files, "LEAST_FREE", 2**62)

    with pytest.raises(DiskFull):
        store.upsert([make_point(1, SCOPE)], scope=SCOPE)

    assert store.count(scope=SCOPE) == 0


def test_compacting_drops_what_was_deleted_and_nothing_else(store: EdgeStore, path: Path) -> None:
    """When many were deleted the files are rewritten without them; the rest is found as before."""
    rng = np.random.default_rng(5)
    dense = rng.normal(size=(1_500, IDENTITY.dimension)).astype(np.float32)
    points = [replace(make_point(number, SCOPE), dense=dense[number - 1]) for number in range(1, 1_501)]
    store.upsert(points, scope=SCOPE)
    store.delete([point.id for point in points if point.id.int % 2], scope=SCOPE)
    before = store.search(dense[7], points[7].sparse, limit=20, scope=SCOPE)

    assert store.compact()
    assert not store.compact()

    assert store.search(dense[7], points[7].sparse, limit=20, scope=SCOPE).dense == before.dense
    assert store.count(scope=SCOPE) == 750
    store.close()
    again = EdgeStore(path)
    assert again.count(scope=SCOPE) == 750
    again.close()


def test_an_erased_org_is_in_no_file(store: EdgeStore, path: Path) -> None:
    """Not in the segments, not in the log; the others' points are as they were."""
    other = OrgScope(UUID("0b0b0b0b-aaaa-4bbb-8ccc-0123456789ab"))
    canary = OrgScope(UUID("0c0c0c0c-aaaa-4bbb-8ccc-0123456789ab"))
    store.upsert([make_point(number, other, terms={5: 1.0, 6: 2.0}) for number in range(1, 1_301)], scope=other)
    store.upsert([make_point(number, canary) for number in range(2_001, 2_011)], scope=canary)
    query = store.vectors([UUID(int=1)], scope=other)[UUID(int=1)]
    before = store.search(query, SparseVector((5, 6), (1.0, 1.0)), limit=9, scope=other)
    assert files_with(canary, path.parent)

    store.erase(scope=canary)

    assert not files_with(canary, path.parent)
    assert files_with(other, path.parent)
    assert (store.count(scope=other), store.count(scope=canary)) == (1_300, 0)
    assert store.search(query, SparseVector((5, 6), (1.0, 1.0)), limit=9, scope=other) == before
    store.erase(scope=other)
    assert not files_with(other, path.parent)
    assert store.count(scope=other) == 0


def test_a_replacement_that_was_interrupted_is_undone(store: EdgeStore, path: Path) -> None:
    """Killed between moving the old files away and the new ones in, the old ones are back, whole."""
    store.upsert([make_point(number, SCOPE) for number in (1, 2)], scope=SCOPE)
    store.close()
    path.rename(path.with_name("vectors.old"))
    path.with_name("vectors.new").mkdir()

    again = EdgeStore(path)

    assert again.count(scope=SCOPE) == 2
    assert [entry.name for entry in path.parent.iterdir()] == ["vectors"]
    again.close()


def test_a_replacement_that_was_finished_is_cleared_up(store: EdgeStore, path: Path) -> None:
    """Killed before the old files were removed, they are removed at the next opening."""
    store.upsert([make_point(1, SCOPE)], scope=SCOPE)
    store.close()
    shutil.copytree(path, path.with_name("vectors.old"))

    again = EdgeStore(path)

    assert again.count(scope=SCOPE) == 1
    assert not path.with_name("vectors.old").exists()
    again.close()


def files_with(scope: OrgScope, folder: Path) -> list[Path]:
    """Files in which the org's id can be read."""
    wanted = str(scope.org_id).encode()
    return [file for file in folder.rglob("*") if file.is_file() and wanted in file.read_bytes()]


def _count_into(store: EdgeStore, answers: multiprocessing.queues.SimpleQueue[str]) -> None:
    try:
        store.count(scope=SCOPE)
    except VectorStoreUnavailable as error:
        answers.put(type(error).__name__)
    else:
        answers.put("answered")


def _too_many_open(path: Path) -> None:
    raise VectorStoreUnavailable(directory=path, problem="Too many open files")
