"""A spider's process for tests: the real spider, with a ledger that lives in the test's process."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from multiprocessing.managers import BaseManager
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, cast

from psutil import NoSuchProcess, Process

from pipeline.adapters.parser_pool import ParserPool
from pipeline.crawling import CrawlLedger
from pipeline.settings import read_settings

AUTHKEY = b"a test's own"

CONNECTIONS = "LAB_CONNECTIONS"
"""Environment variable: the file that gets a line for every address this process connects to."""

PEAKS = "LAB_PEAKS"
"""Environment variable: the file that gets the most memory, in bytes, this process and any one child of it had."""


class LedgerServer(BaseManager):
    """Offers one ledger to a child over a socket."""


class _Offering(Protocol):
    def ledger(self) -> CrawlLedger: ...


def main() -> int:
    """Crawl with the ledger at the port, and the names, given on the command line."""
    port, names = int(sys.argv[1]), json.loads(sys.argv[2])
    if CONNECTIONS in os.environ:
        _note_connections(Path(os.environ[CONNECTIONS]), besides=port)
    LedgerServer.register("ledger")
    server = LedgerServer(("127.0.0.1", port), AUTHKEY)
    server.connect()
    if names is not None:
        _install_names(names)
    from spiders.run import run, watch  # noqa: PLC0415 - after the reactor is installed

    watch(sys.stdin.fileno())
    settings = read_settings()
    with ParserPool(settings.extract) as parser, _Peaks(os.environ.get(PEAKS)):
        return run(cast("_Offering", server).ledger(), parser, settings)


def _note_connections(file: Path, *, besides: int) -> None:
    """Write down where every socket of this process connects to, except the ledger's."""

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and isinstance(address := arguments[1], tuple) and address[1] != besides:
            with file.open("a") as lines:
                lines.write(f"{address[0]} {address[1]}\n")

    sys.addaudithook(hear)


class _Peaks:
    """Looks at the most memory this process and each of its children ever had, for as long as it is entered.

    What the kernel counts for a parent about its children begins with the parent's own memory, so each is asked itself.
    """

    def __init__(self, file: str | None) -> None:
        self._file = file
        self._most: dict[int, int] = {}
        self._over = Event()
        self._thread = Thread(target=self._look_on, name="peaks", daemon=True)

    def __enter__(self) -> None:
        if self._file:
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self._over.set()
            self._thread.join()
            own = self._most.pop(os.getpid(), 0)
            Path(self._file).write_text(json.dumps([own, max(self._most.values(), default=0)]))

    def _look_on(self) -> None:
        while not self._over.wait(0.05):
            self._look()
        self._look()

    def _look(self) -> None:
        here = Process()
        for one in (here, *here.children(recursive=True)):
            with suppress(OSError, NoSuchProcess):
                status = Path(f"/proc/{one.pid}/status").read_text()
                found = re.search(r"VmHWM:\s+(\d+) kB", status)
                self._most[one.pid] = max(self._most.get(one.pid, 0), int(found[1]) * 1024 if found else 0)


def _install_names(names: dict[str, list[list[str]]]) -> None:
    from scrapy.utils.reactor import install_reactor  # noqa: PLC0415 - installs a reactor

    install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
    from twisted.internet import reactor  # noqa: PLC0415 - the one just installed

    from tests.fakes.names import NameTable  # noqa: PLC0415 - needs Twisted

    reactor.installNameResolver(NameTable(names))


if __name__ == "__main__":
    sys.exit(main())
