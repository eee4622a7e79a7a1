"""Knowledge bases for measuring answers: filled once, kept where asked for, opened anew for every measurement."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from pipeline.adapters.embedder.opening import identify
from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.opening import edge_path
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.server import ServerStore
from pipeline.bootstrap import Services
from pipeline.db.engine import Database
from pipeline.db.revision import upgrade
from pipeline.model import ModelIdentity
from pipeline.settings import Settings, read_settings
from tests.benchmarks.retrieve_points import write_to, write_to_server
from tests.benchmarks.retrieve_rows import Shape, write_rows
from tests.benchmarks.stages import NoHints


@dataclass(frozen=True, slots=True)
class Base:
    """A knowledge base of one shape in a folder of its own; its points in the folder as well, or on a server."""

    folder: Path
    shape: Shape
    url: str | None

    @property
    def settings(self) -> Settings:
        """As they come, but for where it lives."""
        return read_settings(data_dir=self.folder)

    @property
    def identity(self) -> ModelIdentity:
        """The model whose vectors the points pass for."""
        return identify(self.settings.embed, cache_dir=self.settings.cache_dir)

    @property
    def where(self) -> str:
        """What a table calls the place of the points."""
        return "embedded" if self.url is None else "server"

    def fill(self) -> None:
        """Write what is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        identity = self.identity
        database = Database(self.settings.database, data_dir=self.folder)
        upgrade(database)
        database.close()
        self._once("rows", self._fill_rows)
        with self.store() as store:
            if self.url is not None and not self._is_on_server():
                self._mark("server").unlink(missing_ok=True)
            store.prepare(identity)
            self._once(self.where, lambda: self._fill_points(store, identity.dimension))

    @contextmanager
    def opened(self) -> Iterator[Services]:
        """All of Sitewise on it, nothing of it loaded yet."""
        with self.store() as store, Services(self.settings, hints=NoHints(), store=store) as services:
            yield services

    @contextmanager
    def store(self) -> Iterator[VectorStore]:
        """Its vector store."""
        if self.url is None:
            store: VectorStore = EdgeStore(edge_path(self.settings))
        else:
            timeout = self.settings.upsert.timeout * 6
            store = ServerStore(self.url, api_key=None, collection=self.collection, timeout=timeout)
        yield store
        store.close()

    @property
    def collection(self) -> str:
        """Its name on a server: the folder's and the shape's, so that no two share one."""
        return f"bench-{self.folder.parent.name.lower()}-{self.folder.name}"

    def forget_files(self) -> None:
        """Have the kernel drop its copies of the folder's files, as if the machine had just started."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)

    def drop(self) -> None:
        """Remove it."""
        if self.url is not None:
            httpx.delete(f"{self.url}/collections/{self.collection}", timeout=60)
        shutil.rmtree(self.folder)

    def _fill_rows(self) -> None:
        identity = self.identity
        with Services(self.settings, hints=NoHints()) as services:
            write_rows(services.database, self.shape, model=identity.fingerprint, dimension=identity.dimension)

    def _fill_points(self, store: VectorStore, dimension: int) -> None:
        if self.url is None:
            write_to(store, self.shape, dimension=dimension)
        else:
            write_to_server(self.url, self.collection, self.shape, dimension=dimension)

    def _is_on_server(self) -> bool:
        found = httpx.get(f"{self.url}/collections/{self.collection}/exists", timeout=60)
        return bool(found.json()["result"]["exists"])

    def _once(self, what: str, write: Callable[[], None]) -> None:
        if not self._mark(what).exists():
            write()
            self._mark(what).touch()

    def _mark(self, what: str) -> Path:
        """The file whose being there says that this was written to its end."""
        return self.folder / f"{what}.written"
