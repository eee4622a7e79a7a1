"""The directory of an embedded store: made aside, put in place in one step, mended after a crash.

`NAME/` holds `identity.json` and `shard/`. `NAME.new/` is being made. `NAME.old/` was just replaced. Later generations
are `NAME.2/` and so on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import qdrant_edge as edge

from pipeline.adapters.qdrant.edge_points import DENSE, SPARSE
from pipeline.adapters.qdrant.identity import from_record, to_record
from pipeline.errors import DataDirectoryBusy, DataDirectoryUnusable, DiskFull, VectorStoreUnavailable
from pipeline.model import ModelIdentity

INDEXED = ("org_id", "datasource_id", "page_id", "language")
NEVER_INDEXED = 2**40
"""Kilobytes of vectors below which `optimize` builds no graph."""

LEAST_FREE = 64 * 2**20
"""Bytes that must be free before a write. The engine maps its files: a full disk would kill the process."""

PAGE = 500
"""Points copied at a time."""


def mend(path: Path) -> bool:
    """Finish, or undo, a replacement that a crash interrupted; whether there is a store."""
    old = beside(path, "old")
    if old.exists() and not path.exists():
        with written_to(path):
            old.rename(path)
    for leftover in (old, beside(path, "new")):
        shutil.rmtree(leftover, ignore_errors=True)
    return (path / "identity.json").exists()


def build_aside(path: Path, identity: ModelIdentity, *, points_of: edge.EdgeShard | None = None) -> None:
    """Make a store with its indexes, and with the points of another, where nobody looks for it.

    Raises:
        DataDirectoryUnusable: If it cannot be written.
    """
    aside = beside(path, "new")
    with told(path), written_to(path):
        shutil.rmtree(aside, ignore_errors=True)
        (aside / "shard").mkdir(parents=True)
        shard = edge.EdgeShard.create(str(aside / "shard"), config(identity.dimension))
        for field in INDEXED:
            index = edge.KeywordIndexParams(is_tenant=field == "org_id")
            shard.update(edge.UpdateOperation.create_field_index(field, index))
        if points_of is not None:
            _copy(points_of, shard)
        shard.flush()
        shard.close()
        (aside / "identity.json").write_text(json.dumps(to_record(identity), indent=1))
        sync(aside / "identity.json")
        sync(aside)


def put_in_place(path: Path) -> None:
    """Replace the store, which must be closed, by the one made aside. What stops on the way is mended at opening."""
    old = beside(path, "old")
    with written_to(path):
        if path.exists():
            path.rename(old)
        beside(path, "new").rename(path)
        sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a store, which must be closed. One that was removed in part is none."""
    with written_to(path):
        if (path / "identity.json").exists():
            (path / "identity.json").unlink()
            sync(path)
        for left in (path, beside(path, "new"), beside(path, "old")):
            shutil.rmtree(left, ignore_errors=True)


def load(path: Path) -> tuple[edge.EdgeShard, ModelIdentity]:
    """Open the store and say which model it holds.

    Raises:
        DataDirectoryBusy: If another process has it open.
        VectorStoreUnavailable: If it is damaged.
        DataDirectoryUnusable: If it cannot be read.
    """
    with written_to(path):
        record = (path / "identity.json").read_text()
    identity = from_record(json.loads(record))
    with told(path):
        return edge.EdgeShard.load(str(path / "shard"), config(identity.dimension)), identity


def sync_log(path: Path) -> None:
    """Put the engine's log on disk."""
    with told(path), written_to(path):
        for log in (path / "shard" / "wal").iterdir():
            sync(log)


def check_space(path: Path, *, for_copy: bool = False) -> None:
    """Refuse to write where little space is left, or less than a copy of the store needs.

    Raises:
        DiskFull: With what is free, and what must be.
    """
    free = shutil.disk_usage(path).free
    copy = sum(file.stat().st_blocks * 512 for file in path.rglob("*")) if for_copy else 0
    if free < LEAST_FREE + copy:
        raise DiskFull(directory=path, free_bytes=free, needed_bytes=LEAST_FREE + copy)


def _copy(source: edge.EdgeShard, target: edge.EdgeShard) -> None:
    offset = None
    while True:
        request = edge.ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=True)
        records, offset = source.scroll(request)
        points = [edge.Point(record.id, record.vector or {}, record.payload) for record in records]
        target.update(edge.UpdateOperation.upsert_points(points))
        if offset is None:
            return


def beside(path: Path, suffix: str) -> Path:
    """Another directory beside a store's own."""
    return path.with_name(f"{path.name}.{suffix}")


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Tell a file system's refusals as ours."""
    try:
        yield
    except OSError as error:
        raise DataDirectoryUnusable(directory=path, problem=error.strerror) from error


def sync(path: Path) -> None:
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
def told(path: Path) -> Iterator[None]:
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


def config(dimension: int) -> edge.EdgeConfig:
    """Cosine and BM25, never a graph."""
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=NEVER_INDEXED),
    )
