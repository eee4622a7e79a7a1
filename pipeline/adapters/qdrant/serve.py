"""The owner's side of the socket: a store in this process, offered to the processes beside it."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from pipeline.adapters.qdrant import wire
from pipeline.adapters.qdrant.identity import from_record
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.wire import Message
from pipeline.errors import SitewiseError
from pipeline.model import OrgScope

WAITING = 64
"""Connections that may wait to be accepted."""

SEND_TIMEOUT = timedelta(seconds=10)
"""A neighbour that does not read its answer for so long is hung up on; one may be silent as long as it likes."""


PAUSE_SECONDS = 0.1


class StoreServer:
    """Answers for a store at a Unix socket, one thread a connection, until closed.

    The store stays its opener's: closing the server does not close it. The socket is reachable by
    this user only, and replaces whatever an earlier owner left at its path.

    Args:
        store: What is offered; safe to share between threads.
        path: Where the socket is made.
    """

    def __init__(self, store: VectorStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._listener = _listen(path)
        self._inode = path.stat().st_ino
        self._acceptor = threading.Thread(target=self._accept, name="vector-store-accept", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop accepting, end every connection, let running calls finish, remove the socket."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            if self._path.exists() and self._path.stat().st_ino == self._inode:
                self._path.unlink()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        with self._lock:
            self._listener.close()
            open_now = list(self._connections.items())
        for connection, thread in open_now:
            _hang_up(connection)
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the listener was shut down, or this process has no descriptor left for now
                if self._closing.wait(PAUSE_SECONDS):
                    return
                continue
            seconds, rest = divmod(SEND_TIMEOUT, timedelta(seconds=1))
            interval = struct.pack("ll", seconds, rest.microseconds)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
            thread = threading.Thread(target=self._serve, args=(connection,), name="vector-store", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer one neighbour's calls in order; bytes that are no message end its connection."""
        try:
            while (call := wire.receive(connection)) is not None:
                wire.send(connection, self._answer(call))
        except (OSError, ValueError):  # it went away, or does not speak this protocol
            pass
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()

    def _answer(self, call: Message) -> Message:
        answer = ANSWERS.get(str(call.head.get("call")))
        if answer is None:
            raise wire.BadFrame("an unknown call")
        try:
            return answer(self._store.at(int(call.head.get("generation", 1))), call)
        except SitewiseError as error:
            facts = {name: str(fact) for name, fact in error.facts.items()}
            return Message({"error": type(error).__name__, "facts": facts})
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise wire.BadFrame("a call without its values") from error


def _listen(path: Path) -> socket.socket:
    """Bind in a private folder and move into place: never open to others, never half there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".socket-") as private:
        aside = Path(private) / "s"
        with wire.short_address(aside) as address:
            listener.bind(address)
        aside.chmod(0o600)
        listener.listen(WAITING)
        aside.replace(path)
    return listener


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:  # it is closed already
        return


# --- what each call does -------------------------------------------------------------------


def _scope(call: Message) -> OrgScope:
    return OrgScope(UUID(call.head["org"]))


def _prepare(store: VectorStore, call: Message) -> Message:
    store.prepare(from_record(call.head["identity"]))
    return Message({})


def _upsert(store: VectorStore, call: Message) -> Message:
    store.upsert(wire.unpack_points(call.head["languages"], call.arrays), scope=_scope(call))
    return Message({})


def _vectors(store: VectorStore, call: Message) -> Message:
    found = store.vectors(wire.unpack_ids(call.arrays[0]), scope=_scope(call))
    return Message({}, [wire.pack_ids(found), wire.stack(list(found.values()))])


def _search(store: VectorStore, call: Message) -> Message:
    dense, *sparse = call.arrays
    found = store.search(
        dense[0] if len(dense) else None,
        next(iter(wire.unpack_sparse(*sparse)), None),
        limit=int(call.head["limit"]),
        scope=_scope(call),
        where=wire.unpack_filter(call.head["where"]),
    )
    return Message({}, [*wire.pack_hits(found.dense), *wire.pack_hits(found.sparse)])


def _delete(store: VectorStore, call: Message) -> Message:
    store.delete(wire.unpack_ids(call.arrays[0]), scope=_scope(call))
    return Message({})


def _scan(store: VectorStore, call: Message) -> Message:
    after = next(iter(wire.unpack_ids(call.arrays[0])), None)
    return Message({}, wire.pack_records(store.scan(scope=_scope(call), after=after, limit=int(call.head["limit"]))))


def _count(store: VectorStore, call: Message) -> Message:
    return Message({"count": store.count(scope=_scope(call))})


def _erase(store: VectorStore, call: Message) -> Message:
    store.erase(scope=_scope(call))
    return Message({})


def _drop(store: VectorStore, call: Message) -> Message:
    del call
    store.drop()
    return Message({})


ANSWERS: dict[str, Callable[[VectorStore, Message], Message]] = {
    "prepare": _prepare,
    "upsert": _upsert,
    "vectors": _vectors,
    "search": _search,
    "delete": _delete,
    "scan": _scan,
    "count": _count,
    "erase": _erase,
    "drop": _drop,
}
