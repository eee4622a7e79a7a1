"""Messages between a store's owner and its neighbours: a JSON head, then plain arrays. Never code.

A frame is `SWV1`, the length of the head and of the body (32 bits each, network order), the head,
the body. The head lists the body's arrays by type and shape. Ids travel as 16 bytes each.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Hit, OrgScope, Point, PointRecord, SearchFilter, SparseVector, Vector

MAGIC = b"SWV1"
PREFIX = struct.Struct("!4sII")
MOST_HEAD = 4 * 2**20
MOST_BODY = 64 * 2**20
LONGEST_ADDRESS = 100
"""Bytes of a socket's path that every system accepts."""

TYPES = frozenset({"u1", "<u4", "<f4", "<f8"})

Array = NDArray[Any]


class BadFrame(ValueError):
    """What arrived is not a message of this protocol, or is larger than any of ours."""


@dataclass(frozen=True, slots=True)
class Message:
    """One call or one answer: named plain values, and arrays in an agreed order."""

    head: Mapping[str, Any]
    arrays: Sequence[Array] = ()


def send(connection: socket.socket, message: Message) -> None:
    """Write one message whole."""
    arrays = [np.ascontiguousarray(array) for array in message.arrays]
    shapes = [(array.dtype.str.replace("|", ""), array.shape) for array in arrays]
    head = json.dumps({**message.head, "arrays": shapes}).encode()
    body = b"".join(array.tobytes() for array in arrays)
    if len(head) > MOST_HEAD or len(body) > MOST_BODY:
        raise BadFrame(f"too large to send: {len(head)} + {len(body)} bytes")
    connection.sendall(PREFIX.pack(MAGIC, len(head), len(body)) + head + body)


def receive(connection: socket.socket) -> Message | None:
    """Read one message; nothing when the other side closed between two.

    Raises:
        BadFrame: If the bytes are not a message, or claim to be larger than one may be.
        ConnectionError: If the other side closed within a message.
    """
    prefix = _read(connection, PREFIX.size, may_end=True)
    if not prefix:
        return None
    magic, head_length, body_length = PREFIX.unpack(prefix)
    if magic != MAGIC or head_length > MOST_HEAD or body_length > MOST_BODY:
        raise BadFrame("not a message of this version")
    head_bytes, body = _read(connection, head_length), _read(connection, body_length)
    try:
        head = json.loads(head_bytes)
        return Message(head, list(_arrays(head.get("arrays", ()), body)))
    except (TypeError, AttributeError, RecursionError) as error:
        raise BadFrame("a head of unknown form") from error


def _read(connection: socket.socket, length: int, *, may_end: bool = False) -> bytes:
    buffer = bytearray(length)
    view, filled = memoryview(buffer), 0
    while filled < length:
        count = connection.recv_into(view[filled:])
        if count == 0:
            if may_end and filled == 0:
                return b""
            raise ConnectionResetError("closed within a message")
        filled += count
    return bytes(buffer)


def _arrays(shapes: Iterable[tuple[str, list[int]]], body: bytes) -> Iterator[Array]:
    start = 0
    for kind, shape in shapes:
        if kind not in TYPES or any(not isinstance(length, int) or length < 0 for length in shape):
            raise BadFrame("an array of unknown type or shape")
        count = math.prod(shape)
        end = start + count * np.dtype(kind).itemsize
        if end > len(body):
            raise BadFrame("an array longer than the body")
        yield np.frombuffer(body, dtype=kind, count=count, offset=start).reshape(shape)
        start = end
    if start != len(body):
        raise BadFrame("a body longer than its arrays")


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """A name for this socket that fits the system's limit, through a short link when the path is long."""
    if len(str(path).encode()) <= LONGEST_ADDRESS:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="sitewise-") as short:
        link = Path(short) / "d"
        link.symlink_to(path.parent.resolve())
        yield str(link / path.name)


# --- values as arrays ----------------------------------------------------------------------


def pack_ids(ids: Iterable[UUID]) -> Array:
    """Ids as bytes, shape `(count, 16)`."""
    return np.frombuffer(b"".join(id_.bytes for id_ in ids), dtype=np.uint8).reshape(-1, 16)


def unpack_ids(array: Array) -> list[UUID]:
    """Ids from bytes."""
    data = array.tobytes()
    return [UUID(bytes=data[start : start + 16]) for start in range(0, len(data), 16)]


def stack(vectors: Sequence[Vector]) -> Array:
    """Dense vectors of one dimension as one array, shape `(count, dimension)`."""
    return np.stack(vectors).astype("<f4", copy=False) if vectors else np.empty((0, 0), dtype="<f4")


def pack_sparse(vectors: Sequence[SparseVector]) -> list[Array]:
    """Three arrays: how many terms each vector has, all indices, all values."""
    return [
        np.array([len(vector.indices) for vector in vectors], dtype="<u4"),
        np.array([index for vector in vectors for index in vector.indices], dtype="<u4"),
        np.array([value for vector in vectors for value in vector.values], dtype="<f4"),
    ]


def unpack_sparse(lengths: Array, indices: Array, values: Array) -> list[SparseVector]:
    """The sparse vectors again."""
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    every_index, every_value = indices.tolist(), values.tolist()
    starts = [0, *ends[:-1]] if ends else []
    return [
        SparseVector(tuple(every_index[start:end]), tuple(every_value[start:end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def pack_points(points: Sequence[Point]) -> tuple[list[str], list[Array]]:
    """Languages, and eight arrays: ids, orgs, datasources, pages, dense, and the sparse three."""
    return [point.language for point in points], [
        pack_ids(point.id for point in points),
        pack_ids(point.org_id for point in points),
        pack_ids(point.datasource_id for point in points),
        pack_ids(point.page_id for point in points),
        stack([point.dense for point in points]),
        *pack_sparse([point.sparse for point in points]),
    ]


def unpack_points(languages: Sequence[str], arrays: Sequence[Array]) -> list[Point]:
    """The points again."""
    ids, orgs, datasources, pages, dense, *sparse = arrays
    columns = (unpack_ids(column) for column in (ids, orgs, datasources, pages))
    return [Point(*row) for row in zip(*columns, languages, dense, unpack_sparse(*sparse), strict=True)]


def pack_hits(hits: Sequence[Hit]) -> list[Array]:
    """Two arrays: ids and scores."""
    return [pack_ids(hit.id for hit in hits), np.array([hit.score for hit in hits], dtype="<f8")]


def unpack_hits(ids: Array, scores: Array) -> tuple[Hit, ...]:
    """The hits again."""
    return tuple(Hit(id_, score) for id_, score in zip(unpack_ids(ids), scores.tolist(), strict=True))


def pack_records(records: Sequence[PointRecord]) -> list[Array]:
    """Three arrays: ids, pages, norms. The org is that of the call."""
    return [
        pack_ids(record.id for record in records),
        pack_ids(record.page_id for record in records),
        np.array([record.norm for record in records], dtype="<f8"),
    ]


def unpack_records(arrays: Sequence[Array], *, scope: OrgScope) -> list[PointRecord]:
    """The records again."""
    ids, pages, norms = arrays
    rows = zip(unpack_ids(ids), unpack_ids(pages), norms.tolist(), strict=True)
    return [PointRecord(id_, scope.org_id, page, norm) for id_, page, norm in rows]


def pack_filter(where: SearchFilter | None) -> dict[str, list[str]] | None:
    """A filter as plain values."""
    if where is None:
        return None
    return {"datasources": [str(id_) for id_ in where.datasource_ids], "languages": list(where.languages)}


def unpack_filter(where: Mapping[str, Sequence[str]] | None) -> SearchFilter | None:
    """The filter again."""
    if where is None:
        return None
    return SearchFilter(frozenset(map(UUID, where["datasources"])), frozenset(where["languages"]))
