"""What the server's store promises beyond the port: every way in which a server can be away."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID, uuid4

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from pipeline.adapters.qdrant.server import ServerStore
from pipeline.errors import InvalidSettings, ModelMismatch, VectorStoreUnavailable
from pipeline.model import OrgScope
from tests.fakes.points import DIMENSION, IDENTITY, make_point

SCOPE = OrgScope(UUID(int=0xA))


def store_at(url: str, collection: str = "test") -> ServerStore:
    """A store there, with little patience."""
    return ServerStore(url, api_key=None, collection=collection, timeout=timedelta(seconds=1))


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """An address where one reply is given to every request; nothing at all, if it is empty."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, reply))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _answer(listener: socket.socket, reply: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the listener was shut down
            return
        with connection:
            connection.recv(65_536)
            if reply:
                connection.sendall(reply)
            else:
                connection.recv(1)


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    """A reply as it goes over the wire."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


REPLIES = {
    "silence": b"",
    "not http": b"220 smtp ready\r\n",
    "a web page": http("200 OK", b"<html></html>", "text/html"),
    "another json": http("200 OK", b'{"hello": "world"}'),
    "an error": http("503 Service Unavailable", b"later"),
    "too many": http("429 Too Many Requests", b'{"status": "slow down"}'),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_whatever_answers_that_is_no_working_server_is_unavailable(reply: bytes) -> None:
    """Every call says so within the timeout, in our words."""
    began = time.monotonic()
    with answering(reply) as url:
        store = store_at(url)
        with pytest.raises(VectorStoreUnavailable):
            store.count(scope=SCOPE)
        with pytest.raises(VectorStoreUnavailable):
            store.prepare(IDENTITY)
        store.close()

    assert time.monotonic() - began < 60


class Keeping(ThreadingHTTPServer):
    """Answers every call with a count on connections that it leaves open, but for the third answer's."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Counting)
        self.connections = self.calls = 0
        self.has_closed = threading.Event()

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection, and say so."""
        super().shutdown_request(request)
        self.has_closed.set()


class Counting(BaseHTTPRequestHandler):
    """One connection to it."""

    protocol_version = "HTTP/1.1"
    server: Keeping

    def setup(self) -> None:
        """Begin."""
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        """Answer a call."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"result": {"count": 3}, "status": "ok", "time": 0.1}'
        self.server.calls += 1
        self.close_connection = self.server.calls == 3
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Say nothing."""


def test_calls_share_a_connection_and_one_that_was_closed_is_made_again() -> None:
    """A connection for every call costs more than the call; a server closes those that were idle, as it may."""
    with Keeping() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        store = store_at(f"http://127.0.0.1:{server.server_port}")
        counts = [store.count(scope=SCOPE) for _ in range(3)]
        shared = server.connections
        has_closed = server.has_closed.wait(60)
        counts += [store.count(scope=SCOPE) for _ in range(2)]
        store.close()
        server.shutdown()
        thread.join()

    assert has_closed
    assert counts == [3] * 5
    assert (shared, server.connections) == (1, 2)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:6333"])
def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    """A refused connection and an unknown host are told with the address, and the way out."""
    store = store_at(url)

    for call in (
        lambda: store.prepare(IDENTITY),
        lambda: store.upsert([make_point(1, SCOPE)], scope=SCOPE),
        lambda: store.search(np.ones(DIMENSION, dtype=np.float32), None, limit=1, scope=SCOPE),
        lambda: store.delete([UUID(int=1)], scope=SCOPE),
        lambda: store.vectors([UUID(int=1)], scope=SCOPE),
        lambda: store.scan(scope=SCOPE),
        lambda: store.erase(scope=SCOPE),
    ):
        with pytest.raises(VectorStoreUnavailable, match="SITEWISE_UPSERT__QDRANT_URL") as told:
            call()
        assert told.value.facts["url"] == url
    store.close()


def test_a_refused_key_is_a_matter_of_settings() -> None:
    """Trying again with the same key would not help."""
    with answering(http("401 Unauthorized", b"no")) as url:
        store = store_at(url)
        with pytest.raises(InvalidSettings, match="SITEWISE_UPSERT__QDRANT_API_KEY"):
            store.count(scope=SCOPE)
        store.close()


def test_an_address_that_is_none_is_a_matter_of_settings() -> None:
    """It is refused before any connection."""
    with pytest.raises(InvalidSettings, match="SITEWISE_UPSERT__QDRANT_URL"):
        store_at("http://host:port")


@pytest.mark.needs("qdrant")
def test_a_collection_somebody_else_made_is_left_alone(qdrant_url: str) -> None:
    """Without our record of its model, a collection is not written to."""
    name = f"test-{uuid4().hex}"
    client = QdrantClient(url=qdrant_url, check_compatibility=False)
    client.create_collection(name, vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT))
    store = store_at(qdrant_url, name)

    with pytest.raises(ModelMismatch):
        store.prepare(IDENTITY)

    store.close()
    client.delete_collection(name)
    client.close()


@pytest.mark.needs("qdrant")
def test_a_process_that_did_not_prepare_knows_the_model_too(qdrant_url: str) -> None:
    """The identity is the collection's own: another process searches and writes without preparing."""
    name = f"test-{uuid4().hex}"
    first, second = store_at(qdrant_url, name), store_at(qdrant_url, name)
    first.prepare(IDENTITY)

    second.upsert([make_point(1, SCOPE)], scope=SCOPE)

    assert first.count(scope=SCOPE) == 1
    first.close()
    second.close()
    client = QdrantClient(url=qdrant_url, check_compatibility=False)
    client.delete_collection(name)
    client.close()


@pytest.mark.needs("qdrant")
def test_the_tenant_index_is_made_before_anything_is_written(qdrant_url: str) -> None:
    """A prepared collection has its four indexes, that of the org marked as the tenant's."""
    name = f"test-{uuid4().hex}"
    store = store_at(qdrant_url, name)
    store.prepare(IDENTITY)
    client = QdrantClient(url=qdrant_url, check_compatibility=False)

    schema = client.get_collection(name).payload_schema

    assert schema.keys() == {"org_id", "datasource_id", "page_id", "language"}
    assert isinstance(schema["org_id"].params, models.KeywordIndexParams)
    assert schema["org_id"].params.is_tenant
    store.close()
    client.delete_collection(name)
    client.close()


@pytest.mark.needs("qdrant")
def test_what_the_settings_say_of_memory_holds_for_a_new_collection(qdrant_url: str) -> None:
    """Whole vectors in memory, or int8 ones with the whole ones on disk; one that is there already stays as it is."""
    name = f"test-{uuid4().hex}"
    timeout = timedelta(seconds=20)
    client = QdrantClient(url=qdrant_url, check_compatibility=False)

    found = []
    for is_compressed in (False, True):
        store = ServerStore(
            qdrant_url, api_key=None, collection=f"{name}-{is_compressed}", timeout=timeout, is_compressed=is_compressed
        )
        store.prepare(IDENTITY)
        ServerStore(qdrant_url, api_key=None, collection=f"{name}-{is_compressed}", timeout=timeout).prepare(IDENTITY)
        config = client.get_collection(f"{name}-{is_compressed}").config
        assert isinstance(config.params.vectors, dict)
        found.append((config.quantization_config is not None, bool(config.params.vectors["dense"].on_disk)))
        store.drop()
        store.close()
    client.close()

    assert found == [(False, False), (True, True)]
