"""Every step of an index worker, at which something may happen: a transaction, or a call of the vector store."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.adapters.qdrant.remote import RemoteStore
from pipeline.bootstrap import Services
from pipeline.db.engine import Database
from pipeline.settings import Settings
from tests.fakes.clock import SetClock
from tests.fakes.embedder import WordEmbedder
from tests.fakes.hints import RecordedHints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path

    from pipeline.adapters.qdrant.port import VectorStore
    from pipeline.db.engine import Session
    from pipeline.services.generations import Models


class SteppedDatabase(Database):
    """Says when a transaction that writes begins, is about to be committed, and was."""

    step: Callable[[str], None]

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, in three steps."""
        self.step("before a transaction")
        with super().write() as session:
            yield session
            session.flush()
            self.step("before a commit")
        self.step("after a commit")


class SteppedStore:
    """Says when the store is about to be called, and when it was."""

    def __init__(self, store: VectorStore, step: Callable[[str], None]) -> None:
        self._store = store
        self._step = step

    def at(self, generation: int) -> SteppedStore:
        """Another generation, which says the same."""
        return SteppedStore(self._store.at(generation), self._step)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._store, name)

        def stepped(*values: object, **named: object) -> object:
            self._step(f"before {name}")
            result = call(*values, **named)
            self._step(f"after {name}")
            return result

        return stepped


def stepped_services(
    settings: Settings,
    store: VectorStore,
    clock: SetClock,
    step: Callable[[str], None],
    *,
    models: Models | None = None,
) -> Services:
    """Services of a worker on these rows and points, that say every step."""
    stepped: Any = SteppedStore(store, step)
    embedder = WordEmbedder() if models is None else None
    services = Services(settings, hints=RecordedHints(), store=stepped, embedder=embedder, models=models, clock=clock)
    database = SteppedDatabase(settings.database, data_dir=settings.data_dir)
    database.step = step
    services.__dict__["database"] = database
    return services


def index_until_killed(data_dir: Path, socket: Path, now: datetime, patience: timedelta, last: int) -> None:
    """In a process of its own: index what waits, and end by SIGKILL at this step."""
    seen = 0

    def step(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    clock = SetClock()
    clock.now = now
    store = RemoteStore(socket, timeout=patience)
    services = stepped_services(Settings(data_dir=data_dir), store, clock, step)
    services.index.index_waiting(limit=16, owner="killed")
