"""A spider's process for tests: the real spider, with a ledger that lives in the test's process."""

from __future__ import annotations

import json
import os
import resource
import sys
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Protocol, cast

from pipeline.adapters.parser_pool import ParserPool
from pipeline.crawling import CrawlLedger
from pipeline.settings import read_settings

AUTHKEY = b"a test's own"

CONNECTIONS = "LAB_CONNECTIONS"
"""Environment variable: the file that gets a line for every address this process connects to."""

PEAKS = "LAB_PEAKS"
"""Environment variable: the file that gets the most memory this process and any child of it had, in bytes."""


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
    with ParserPool(settings.extract) as parser:
        status = run(cast("_Offering", server).ledger(), parser, settings)
    if PEAKS in os.environ:
        _note_peaks(Path(os.environ[PEAKS]))
    return status


def _note_connections(file: Path, *, besides: int) -> None:
    """Write down where every socket of this process connects to, except the ledger's."""

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and isinstance(address := arguments[1], tuple) and address[1] != besides:
            with file.open("a") as lines:
                lines.write(f"{address[0]} {address[1]}\n")

    sys.addaudithook(hear)


def _note_peaks(file: Path) -> None:
    """Write down the most memory this process had, and the most any child had that has ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    file.write_text(json.dumps([resource.getrusage(one).ru_maxrss * 1024 for one in whose]))  # Linux counts in KiB


def _install_names(names: dict[str, list[list[str]]]) -> None:
    from scrapy.utils.reactor import install_reactor  # noqa: PLC0415 - installs a reactor

    install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
    from twisted.internet import reactor  # noqa: PLC0415 - the one just installed

    from tests.fakes.names import NameTable  # noqa: PLC0415 - needs Twisted

    reactor.installNameResolver(NameTable(names))


if __name__ == "__main__":
    sys.exit(main())
