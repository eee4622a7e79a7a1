"""Which vector store the settings mean."""

from __future__ import annotations

from pathlib import Path

from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.remote import RemoteStore, owner_answers
from pipeline.adapters.sockets import socket_path
from pipeline.settings import Settings


def open_store(settings: Settings) -> VectorStore | None:
    """The server when one is configured, else the running owner's store.

    Returns nothing when vectors are embedded and nobody owns them now: the caller may own the
    data directory, open an `EdgeStore` at `edge_path` and offer it at `store_socket`.

    Raises:
        InvalidSettings: If the server's address cannot be one.
    """
    upsert = settings.upsert
    if upsert.qdrant_url is not None:
        from pipeline.adapters.qdrant.server import ServerStore  # noqa: PLC0415 - half a second, for servers only

        key = None if upsert.qdrant_api_key is None else upsert.qdrant_api_key.get_secret_value()
        return ServerStore(
            upsert.qdrant_url,
            api_key=key,
            collection=upsert.collection,
            timeout=upsert.timeout,
            is_compressed=upsert.vectors == "int8",
        )
    return beside_owner(settings) if owner_answers(store_socket(settings)) else None


def beside_owner(settings: Settings) -> RemoteStore:
    """The store of the data directory's owner, whether it answers yet or not: for the owner's children."""
    return RemoteStore(store_socket(settings), timeout=settings.upsert.timeout)


def edge_path(settings: Settings) -> Path:
    """Where an embedded store lives; another collection lives beside it."""
    return settings.data_dir / "vectors" / settings.upsert.collection


def store_socket(settings: Settings) -> Path:
    """Where the owner of the embedded store answers."""
    return socket_path(settings.data_dir, f"vectors-{settings.upsert.collection}")
