"""A spider's process for tests: the real spider, with a ledger that lives in the test's process."""

from __future__ import annotations

import json
import sys
from multiprocessing.managers import BaseManager
from typing import Protocol, cast

from pipeline.adapters.parser_pool import ParserPool
from pipeline.crawling import CrawlLedger
from pipeline.settings import read_settings

AUTHKEY = b"a test's own"


class LedgerServer(BaseManager):
    """Offers one ledger to a child over a socket."""


class _Offering(Protocol):
    def ledger(self) -> CrawlLedger: ...


def main() -> int:
    """Crawl with the ledger at the port, and the names, given on the command line."""
    port, names = int(sys.argv[1]), json.loads(sys.argv[2])
    LedgerServer.register("ledger")
    server = LedgerServer(("127.0.0.1", port), AUTHKEY)
    server.connect()
    if names is not None:
        _install_names(names)
    from spiders.run import run, watch  # noqa: PLC0415 - after the reactor is installed

    watch(sys.stdin.fileno())
    settings = read_settings()
    with ParserPool(settings.extract) as parser:
        return run(cast("_Offering", server).ledger(), parser, settings)


def _install_names(names: dict[str, list[list[str]]]) -> None:
    from scrapy.utils.reactor import install_reactor  # noqa: PLC0415 - installs a reactor

    install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
    from twisted.internet import reactor  # noqa: PLC0415 - the one just installed

    from tests.fakes.names import NameTable  # noqa: PLC0415 - needs Twisted

    reactor.installNameResolver(NameTable(names))


if __name__ == "__main__":
    sys.exit(main())
