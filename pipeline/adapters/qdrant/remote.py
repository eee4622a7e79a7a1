"""The neighbours' side of the socket: a store that lives in its owner's process."""

from __future__ import annotations

import copy
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pipeline import errors
from pipeline.adapters.qdrant import wire
from pipeline.adapters.qdrant.gate import check_points, check_query
from pipeline.adapters.qdrant.identity import to_record
from pipeline.adapters.qdrant.wire import Message
from pipeline.errors import SitewiseError, VectorStoreUnavailable
from pipeline.model import (
    Candidates,
    ModelIdentity,
    OrgScope,
    Point,
    PointRecord,
    SearchFilter,
    SparseVector,
    Vector,
)

SLICE = 256
"""Points in one message."""

SLICE_OF_IDS = 2_048
"""Ids in one message."""

COPYING = timedelta(minutes=10)
"""How long an owner that copies its store may be silent."""


class RemoteStore:
    """The vector store of a process beside the owner. Safe to share between threads, and after a fork.

    Connects when first used and again when the owner was restarted: every call may be repeated
    without harm, so one that met a closed connection is.

    Args:
        path: The owner's socket.
        timeout: An owner silent this long is unavailable.
    """

    def __init__(self, path: Path, *, timeout: timedelta) -> None:
        self._path = path
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._process = os.getpid()
        self._generation = 1

    def at(self, generation: int) -> RemoteStore:
        """The owner's store at another generation, over the same connections."""
        beside = copy.copy(self)
        vars(beside).update(_generation=generation)
        return beside

    def prepare(self, identity: ModelIdentity) -> None:
        """Ask the owner to make the store, or to check it."""
        self._call({"call": "prepare", "identity": to_record(identity)})

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Write points; when this returns the owner has them on disk."""
        check_points(points, scope=scope, dimension=None)
        for start in range(0, len(points), SLICE):
            languages, arrays = wire.pack_points(points[start : start + SLICE])
            self._call({"call": "upsert", "org": str(scope.org_id), "languages": languages}, arrays)

    def vectors(self, ids: Iterable[UUID], *, scope: OrgScope) -> dict[UUID, Vector]:
        """The unit vectors of those points of the org that exist."""
        wanted = list(ids)
        found: dict[UUID, Vector] = {}
        for start in range(0, len(wanted), SLICE_OF_IDS):
            part = wire.pack_ids(wanted[start : start + SLICE_OF_IDS])
            known, dense = self._call({"call": "vectors", "org": str(scope.org_id)}, [part]).arrays
            found.update(zip(wire.unpack_ids(known), dense, strict=True))
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
        """The org's nearest points, as the owner's store finds them."""
        check_query(dense, sparse, dimension=None)
        head = {"call": "search", "org": str(scope.org_id), "limit": limit, "where": wire.pack_filter(where)}
        query = [wire.stack([] if dense is None else [dense]), *wire.pack_sparse([] if sparse is None else [sparse])]
        by_meaning, their_scores, by_words, word_scores = self._call(head, query).arrays
        return Candidates(
            dense=wire.unpack_hits(by_meaning, their_scores), sparse=wire.unpack_hits(by_words, word_scores)
        )

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Remove points of the org."""
        wanted = list(ids)
        for start in range(0, len(wanted), SLICE_OF_IDS):
            part = wire.pack_ids(wanted[start : start + SLICE_OF_IDS])
            self._call({"call": "delete", "org": str(scope.org_id)}, [part])

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """The org's points in id order."""
        start = wire.pack_ids([] if after is None else [after])
        answer = self._call({"call": "scan", "org": str(scope.org_id), "limit": limit}, [start])
        return wire.unpack_records(answer.arrays, scope=scope)

    def count(self, *, scope: OrgScope) -> int:
        """How many points the org has."""
        return int(self._call({"call": "count", "org": str(scope.org_id)}).head["count"])

    def erase(self, *, scope: OrgScope) -> None:
        """Remove every point of the org. The owner copies all others: it may take minutes."""
        self._call({"call": "erase", "org": str(scope.org_id)}, patience=COPYING)

    def drop(self) -> None:
        """Have the owner remove this generation."""
        self._call({"call": "drop"}, patience=COPYING)

    def close(self) -> None:
        """Close the connections that no call is using."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _call(
        self, head: dict[str, object], arrays: Sequence[wire.Array] = (), *, patience: timedelta | None = None
    ) -> Message:
        """Ask the owner once; once more on a new connection if the kept one had been closed."""
        seconds = (patience or self._timeout).total_seconds()
        try:
            return _unless_error(
                self._exchange(Message({**head, "generation": self._generation}, arrays), seconds=seconds)
            )
        except TimeoutError as error:
            raise VectorStoreUnavailable(socket=self._path, problem=f"no answer in {seconds:g} s") from error
        except (OSError, ValueError) as error:
            raise VectorStoreUnavailable(socket=self._path, problem=str(error)) from error

    def _exchange(self, message: Message, *, seconds: float) -> Message:
        kept = self._take()
        if kept is not None:
            try:
                return self._ask(kept, message, seconds=seconds)
            except TimeoutError:
                raise
            except ConnectionError:  # the owner was restarted since
                self.close()
        return self._ask(self._connect(), message, seconds=seconds)

    def _ask(self, connection: socket.socket, message: Message, *, seconds: float) -> Message:
        """One call on this connection, which is kept only if the answer came whole."""
        answer = None
        try:
            connection.settimeout(seconds)
            wire.send(connection, message)
            answer = wire.receive(connection)
        finally:
            if answer is None:
                connection.close()
        if answer is None:
            raise ConnectionResetError("the owner hung up")
        with self._lock:
            self._idle.append(connection)
        return answer

    def _take(self) -> socket.socket | None:
        with self._lock:
            if self._process != os.getpid():  # a forked child must not speak on its parent's connections
                self._process = os.getpid()
                for connection in self._idle:
                    connection.close()
                self._idle.clear()
            return self._idle.pop() if self._idle else None

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout.total_seconds())
        try:
            with wire.short_address(self._path) as address:
                connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection


def owner_answers(path: Path) -> bool:
    """Whether a process offers a store at this socket now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            with wire.short_address(path) as address:
                probe.connect(address)
        except OSError:
            return False
    return True


def _unless_error(answer: Message) -> Message:
    """The answer, or the owner's error raised here."""
    name = answer.head.get("error")
    if name is None:
        return answer
    kind = getattr(errors, str(name), VectorStoreUnavailable)
    if not (isinstance(kind, type) and issubclass(kind, SitewiseError)):
        kind = VectorStoreUnavailable
    raise kind(**answer.head["facts"])
