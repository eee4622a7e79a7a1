"""What the owner's socket promises beyond the port: restarts, strangers, limits."""

from __future__ import annotations

import multiprocessing
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from pipeline.adapters.qdrant import serve, wire
from pipeline.adapters.qdrant.opening import beside_owner, edge_path, open_store, store_socket
from pipeline.adapters.qdrant.remote import RemoteStore, owner_answers
from pipeline.adapters.qdrant.serve import StoreServer
from pipeline.adapters.qdrant.server import ServerStore
from pipeline.adapters.qdrant.wire import BadFrame, Message
from pipeline.adapters.sockets import make_socket_directory
from pipeline.errors import ModelMismatch, VectorStoreUnavailable
from pipeline.model import OrgScope, SparseVector
from pipeline.settings import Settings
from tests.fakes.points import DIMENSION, IDENTITY, make_point
from tests.fakes.vector_store import MemoryStore

SCOPE = OrgScope(UUID(int=0xA))
PATIENCE = timedelta(seconds=20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket is."""
    return tmp_path / "vectors.sock"


@pytest.fixture
def owned() -> MemoryStore:
    """The owner's store."""
    store = MemoryStore()
    store.prepare(IDENTITY)
    return store


@pytest.fixture
def remote(path: Path) -> Iterator[RemoteStore]:
    """A neighbour of whoever owns the socket."""
    store = RemoteStore(path, timeout=PATIENCE)
    yield store
    store.close()


class SilentStore(MemoryStore):
    """A store whose counting never ends until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def count(self, *, scope: OrgScope) -> int:
        """Wait."""
        self.entered.set()
        self.released.wait(30)
        return super().count(scope=scope)


def test_a_neighbour_outlives_the_owner(path: Path, owned: MemoryStore, remote: RemoteStore) -> None:
    """While the owner is away the store is unavailable; when one is back, the same client works on."""
    with StoreServer(owned, path):
        remote.upsert([make_point(1, SCOPE)], scope=SCOPE)

    with pytest.raises(VectorStoreUnavailable):
        remote.count(scope=SCOPE)

    with StoreServer(owned, path):
        assert remote.count(scope=SCOPE) == 1


def test_a_call_that_meets_a_closed_connection_is_repeated(path: Path, owned: MemoryStore, remote: RemoteStore) -> None:
    """An owner restarted between two calls goes unnoticed."""
    with StoreServer(owned, path):
        remote.upsert([make_point(1, SCOPE)], scope=SCOPE)

    with StoreServer(owned, path):
        remote.upsert([make_point(2, SCOPE)], scope=SCOPE)

        assert remote.count(scope=SCOPE) == 2


def test_a_new_owner_takes_over_a_socket_left_behind(path: Path, owned: MemoryStore, remote: RemoteStore) -> None:
    """The socket file of an owner that was killed is replaced."""
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(path))
    left_behind.close()
    assert not owner_answers(path)

    with StoreServer(owned, path):
        assert owner_answers(path)
        assert remote.count(scope=SCOPE) == 0

    assert not path.exists()


def test_an_owner_leaves_its_successors_socket_alone(path: Path, owned: MemoryStore, remote: RemoteStore) -> None:
    """Closing late removes nothing that is not one's own."""
    first = StoreServer(owned, path)
    second = StoreServer(owned, path)

    first.close()
    first.close()

    assert remote.count(scope=SCOPE) == 0
    second.close()


def test_nobody_else_may_connect(path: Path, owned: MemoryStore) -> None:
    """The socket is this user's alone."""
    with StoreServer(owned, path):
        mode = stat.S_IMODE(path.stat().st_mode)

    assert mode == 0o600


def test_a_long_path_is_reached_all_the_same(tmp_path: Path, owned: MemoryStore) -> None:
    """A data directory deeper than the system's limit for sockets works."""
    deep = tmp_path / ("deep" * 20) / ("deeper" * 10)
    deep.mkdir(parents=True)

    with StoreServer(owned, deep / "vectors.sock"):
        store = RemoteStore(deep / "vectors.sock", timeout=PATIENCE)
        assert store.count(scope=SCOPE) == 0
        store.close()


def test_an_owner_that_does_not_answer_is_unavailable_in_time(path: Path) -> None:
    """A silent owner costs the caller its timeout and no more, and its late answer is never mistaken for another."""
    silent = SilentStore()
    silent.prepare(IDENTITY)
    hasty = RemoteStore(path, timeout=timedelta(milliseconds=100))
    with StoreServer(silent, path):
        with pytest.raises(VectorStoreUnavailable, match=r"0\.1 s"):
            hasty.count(scope=SCOPE)
        silent.released.set()

        assert hasty.scan(scope=SCOPE) == []
    hasty.close()


def test_closing_lets_running_calls_finish(path: Path, remote: RemoteStore) -> None:
    """A call under way when the owner stops is still answered."""
    silent = SilentStore()
    silent.prepare(IDENTITY)
    silent.upsert([make_point(1, SCOPE)], scope=SCOPE)
    server = StoreServer(silent, path)
    with ThreadPoolExecutor(2) as threads:
        counted = threads.submit(remote.count, scope=SCOPE)
        assert silent.entered.wait(20)
        closed = threads.submit(server.close)
        silent.released.set()

        assert counted.result(20) == 1
        closed.result(20)


def test_a_neighbour_that_does_not_read_is_hung_up_on(
    path: Path, owned: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer nobody takes holds neither a thread nor the owner's end."""
    monkeypatch.setattr(serve, "SEND_TIMEOUT", timedelta(milliseconds=50))
    points = [make_point(number, SCOPE) for number in range(1, 12_001)]
    owned.upsert(points, scope=SCOPE)
    server = StoreServer(owned, path)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(path))
        ids = wire.pack_ids(point.id for point in points)
        wire.send(deaf, Message({"call": "vectors", "org": str(SCOPE.org_id)}, [ids]))

        with ThreadPoolExecutor(1) as threads:
            threads.submit(server.close).result(20)


def test_errors_travel_with_their_facts(path: Path, owned: MemoryStore, remote: RemoteStore) -> None:
    """The neighbour raises what the owner raised."""
    with StoreServer(owned, path), pytest.raises(ModelMismatch) as refused:
        remote.prepare(replace(IDENTITY, name="another"))

    assert refused.value.facts["asked"] == "another@1 8 fp32"


def test_an_error_of_an_unknown_kind_is_an_unavailable_store(path: Path, remote: RemoteStore) -> None:
    """Names that are not our errors raise nothing but ours."""
    with scripted(path, {"error": "SystemExit", "facts": {}}), pytest.raises(VectorStoreUnavailable):
        remote.count(scope=SCOPE)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        wire.PREFIX.pack(b"SWV0", 2, 0) + b"{}",
        wire.PREFIX.pack(wire.MAGIC, 2**31, 0),
        wire.PREFIX.pack(wire.MAGIC, 2, 2**31) + b"{}",
        wire.PREFIX.pack(wire.MAGIC, 2, 0) + b"[]",
        wire.PREFIX.pack(wire.MAGIC, 2, 0) + b"{!",
        wire.PREFIX.pack(wire.MAGIC, 17, 0) + b'{"call":"close"}\n',
        wire.PREFIX.pack(wire.MAGIC, 16, 0) + b'{"call":"count"}',
        wire.PREFIX.pack(wire.MAGIC, 25, 0) + b'{"call":"count","org":17}',
        wire.PREFIX.pack(wire.MAGIC, 27, 1) + b'{"arrays":[["<f4",[1000]]]}' + b"x",
        wire.PREFIX.pack(wire.MAGIC, 22, 8) + b'{"arrays":[["O",[1]]]}' + b"12345678",
        wire.PREFIX.pack(wire.MAGIC, 25, 8) + b'{"arrays":[["<f4",[-2]]]}' + b"12345678",
        wire.PREFIX.pack(wire.MAGIC, 12, 0) + b'{"arrays":5}',
        wire.PREFIX.pack(wire.MAGIC, 100_000, 0) + b"[" * 100_000,
        wire.PREFIX.pack(wire.MAGIC, 2, 8) + b"{}12345678",
        wire.PREFIX.pack(wire.MAGIC, 40, 0) + b"{",
    ],
)
def test_strangers_are_hung_up_on(path: Path, owned: MemoryStore, remote: RemoteStore, sent: bytes) -> None:
    """Bytes that are no message end their own connection and nobody else's."""
    with StoreServer(owned, path), socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(20)
        stranger.connect(str(path))
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)

        try:
            answer = stranger.recv(100)
        except ConnectionResetError:
            answer = b""

        assert answer == b""
        assert remote.count(scope=SCOPE) == 0


def test_a_message_too_large_is_not_sent(path: Path, owned: MemoryStore) -> None:
    """The sender's own bound holds before the receiver's."""
    with StoreServer(owned, path), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        with pytest.raises(BadFrame):
            wire.send(connection, Message({}, [np.zeros(wire.MOST_BODY + 1, dtype=np.uint8)]))


def test_a_forked_child_opens_its_own_connections(path: Path, owned: MemoryStore, remote: RemoteStore) -> None:
    """Parent and child never read each other's answers."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with StoreServer(owned, path):
        remote.upsert([make_point(1, SCOPE)], scope=SCOPE)
        child = context.Process(target=_count_into, args=(remote, answers))
        child.start()
        child.join(20)

        assert answers.get() == 1
        assert remote.count(scope=SCOPE) == 1


def test_many_neighbours_at_once(path: Path, owned: MemoryStore) -> None:
    """Clients with connections of their own are served side by side."""
    clients = [RemoteStore(path, timeout=PATIENCE) for _ in range(8)]
    query = np.eye(DIMENSION, dtype=np.float32)[0]
    with StoreServer(owned, path):
        clients[0].upsert([make_point(number, SCOPE, terms={5: 1.0}) for number in range(1, 5)], scope=SCOPE)
        with ThreadPoolExecutor(8) as threads:
            found = list(
                threads.map(
                    lambda client: client.search(query, SparseVector((5,), (1.0,)), limit=3, scope=SCOPE), clients * 10
                )
            )
    for client in clients:
        client.close()

    assert {tuple(hit.id.int for hit in candidates.dense) for candidates in found} == {(1, 2, 3)}


def test_the_settings_choose_the_store(tmp_path: Path, owned: MemoryStore) -> None:
    """A server when one is named, else the owner that answers, else nothing to be had yet."""
    embedded = Settings(data_dir=tmp_path)
    make_socket_directory(store_socket(embedded))

    assert open_store(embedded) is None
    assert edge_path(embedded).is_relative_to(tmp_path)
    with StoreServer(owned, store_socket(embedded)):
        found = open_store(embedded)
        assert isinstance(found, RemoteStore)
        assert found.count(scope=SCOPE) == 0
        found.close()
    assert isinstance(beside_owner(embedded), RemoteStore)
    server = open_store(Settings(data_dir=tmp_path, upsert={"qdrant_url": "http://127.0.0.1:1"}))
    assert isinstance(server, ServerStore)
    server.close()


@contextmanager
def scripted(path: Path, head: dict[str, object]) -> Iterator[None]:
    """An owner that gives one prepared answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_answer_once, args=(listener, head))
        thread.start()
        yield
        thread.join()


def _answer_once(listener: socket.socket, head: dict[str, object]) -> None:
    connection, _ = listener.accept()
    with connection:
        wire.receive(connection)
        wire.send(connection, Message(head))


def _count_into(store: RemoteStore, answers: multiprocessing.queues.SimpleQueue[int]) -> None:
    answers.put(store.count(scope=SCOPE))
    store.close()
