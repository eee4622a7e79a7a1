"""The owner of a data directory: brings the parts no server is set for, and keeps workers running."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.adapters.celery import BROKER_SOCKET, INDEX_QUEUE
from pipeline.adapters.sockets import make_socket_directory, socket_path
from pipeline.logs import get_logger
from pipeline.owner.broker import broker_program, hint_waits, wait_until_ready
from pipeline.owner.environment import environment_of
from pipeline.owner.lock import OwnerFacts, OwnerLock, owner_of
from pipeline.owner.processes import Program, Supervisor
from pipeline.settings import Settings

UPKEEP_AFTER_SECONDS, UPKEEP_LATER_SECONDS = 1.0, 4.0
"""Upkeep has nothing to do at first; until then the cores belong to the spider and the model. For one crawl, longer."""

MOST_INDEXERS = 4
"""Index workers started where no number is set: more cores than this are left to others."""

log = get_logger(__name__)

__all__ = ["Owner", "OwnerFacts", "needs_owner", "owner_of"]


def needs_owner(settings: Settings) -> bool:
    """Whether some part lives in the data directory. If not, workers run anywhere and nobody owns anything."""
    return settings.is_embedded or settings.broker.url is None or settings.database.url is None


class Owner:
    """Owns a data directory while it is entered: lock, vector store, broker and workers.

    Only what is missing is brought: with a Redis and PostgreSQL set, say, only the store and workers.
    Whatever ends this process ends its children, and leaves a directory the next owner can open.

    Args:
        settings: What is set; children get exactly these.
        beat: Whether datasources that are due are crawled meanwhile. Orphaned work is taken back either way.
        log_dir: A folder for the children's log lines; without one they go to this process's stderr.
        serves: Whether the HTTP API is one of the children, where the settings say.
        indexes_at_once: Whether there will be something to index: where it says no, the workers for that begin with
            the first hint. They cost as much as the rest of a crawl that finds nothing new. Without it they begin.

    Raises:
        DataDirectoryBusy: On entering, if another process owns the directory.
        DataDirectoryUnusable: If it cannot be written.
        DiskFull: If no space is left in it.
        BrokerUnavailable: If the embedded broker does not start.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        beat: bool = False,
        log_dir: Path | None = None,
        serves: bool = False,
        indexes_at_once: Callable[[], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._indexes_at_once = indexes_at_once if settings.broker.url is None else None
        self._beat = beat
        self._serves = serves
        self._log_dir = log_dir
        self._open = ExitStack()
        self._supervisors: list[Supervisor] = []

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            lock = OwnerLock(self._settings.data_dir)
            opened.callback(lock.release)
            if self._settings.is_embedded:
                opened.enter_context(_served_store(self._settings))
            opened.enter_context(self._broker())
            self._supervisors.append(opened.enter_context(Supervisor(self._workers())))
            self._open = opened.pop_all()
        log.info("owner started", directory=str(self._settings.data_dir), pid=os.getpid())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisors.clear()
        self._open.close()
        log.info("owner ended", directory=str(self._settings.data_dir))

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by name: `broker`, `crawl`, `index`, `upkeep` and `api`."""
        return {name: pid for supervisor in self._supervisors for name, pid in supervisor.pids.items()}

    @contextmanager
    def _broker(self) -> Iterator[None]:
        """The embedded broker, where no other is set. It outlives the workers."""
        if self._settings.broker.url is not None:
            yield
            return
        program = broker_program(self._settings, owner=os.getpid(), log_file=self._log_file("broker"))
        with Supervisor([program]) as supervisor:
            self._supervisors.append(supervisor)
            wait_until_ready(socket_path(self._settings.data_dir, BROKER_SOCKET))
            yield

    def _workers(self) -> list[Program]:
        """One process a queue; where nothing is due by the clock, ticks still take back what is orphaned.

        Their metrics follow those of the process that owns them.
        """
        schedules = [] if self._beat else ["--no-schedules"]
        indexers = self._settings.work.index_processes or min(os.cpu_count() or 1, MOST_INDEXERS)
        return [
            *([self._api()] if self._serves else []),
            self._worker("crawl", "--place=1"),
            *(self._indexer(number) for number in range(1, indexers + 1)),
            self._worker(
                "upkeep",
                "--beat",
                *schedules,
                f"--place={indexers + 2}",
                start_after_seconds=UPKEEP_AFTER_SECONDS if self._beat else UPKEEP_LATER_SECONDS,
            ),
        ]

    def _indexer(self, number: int) -> Program:
        program = self._worker("index", f"--place={number + 1}", name="index" if number == 1 else f"index-{number}")
        if (at_once := self._indexes_at_once) is None:
            return program
        return replace(program, wanted=lambda: at_once() or hint_waits(self._settings, INDEX_QUEUE))

    def _api(self) -> Program:
        return Program(
            name="api",
            command=[sys.executable, "-m", "pipeline.api", "--watch-stdin"],
            environment=environment_of(self._settings),
            log_file=self._log_file("api"),
        )

    def _worker(self, queue: str, *options: str, name: str | None = None, start_after_seconds: float = 0.0) -> Program:
        return Program(
            name=name or queue,
            command=[sys.executable, "-m", "workers.run", f"--queues={queue}", "--watch-stdin", *options],
            environment=environment_of(self._settings),
            log_file=self._log_file(name or queue),
            start_after_seconds=start_after_seconds,
        )

    def _log_file(self, name: str) -> Path | None:
        return self._log_dir / f"{name}.log" if self._log_dir else None


@contextmanager
def _served_store(settings: Settings) -> Iterator[None]:
    """The vector store in this process, answering at its socket."""
    from pipeline.adapters.qdrant.edge import EdgeStore  # noqa: PLC0415 - loads the engine, which not every owner needs
    from pipeline.adapters.qdrant.opening import edge_path, store_socket  # noqa: PLC0415
    from pipeline.adapters.qdrant.serve import StoreServer  # noqa: PLC0415

    path, answering = edge_path(settings), store_socket(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_socket_directory(answering)
    store = EdgeStore(path)
    try:
        with StoreServer(store, answering):
            yield
    finally:
        store.close()
