"""Runs the real spider, in a process of its own, against the lab."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import TracebackType
from typing import Self, cast

from pipeline.crawling import CrawlLedger
from tests.fakes.spider_child import AUTHKEY, LedgerServer
from tests.lab.nursery import nursery

LOOPBACK = {"SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.0/8,::1/128"}
LOADED = ("spiders.run", "pipeline.adapters.parser_pool", "multiprocessing.managers", "psutil")
"""What a spider imports before it knows which reactor it has."""

UNWANTED = ("SITEWISE_CRAWL", "COVERAGE_")
"""Settings of the tests' own environment that are not a spider's: nor is it measured, as unit tests see to that."""

ENDS_SECONDS = 180
Names = Mapping[str, Sequence[Sequence[str]]]

_PORT = (
    "plan",
    "seed",
    "take",
    "record",
    "progress",
    "next_retry",
    "robots",
    "keep_robots",
    "share_host",
    "hold_host",
    "leave_hosts",
    "postpone",
    "pause",
    "finish",
)


class SpiderProcess:
    """One spider at work: `with SpiderProcess(ledger) as spider: assert spider.wait() == 0`.

    `settings` are environment variables; loopback may be crawled unless they say otherwise.
    `names` replaces the system's name resolution.
    """

    def __init__(
        self, ledger: CrawlLedger, *, settings: Mapping[str, str] | None = None, names: Names | None = None
    ) -> None:
        """Crawl for `ledger`, once entered."""
        self._ledger = ledger
        self._settings = LOOPBACK | {"SITEWISE_EXTRACT__PROCESSES": "1"} | dict(settings or {})
        self._names = names
        self._folder = TemporaryDirectory()
        self._said = Path(self._folder.name) / "stderr"
        self._stdin: int | None = None

    def __enter__(self) -> Self:
        port = _serve(self._ledger)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
        its_stdin, self._stdin = os.pipe()
        with self._said.open("w") as said, os.fdopen(its_stdin) as stdin:
            self.process = nursery(*LOADED, is_measured=False).start(
                "tests.fakes.spider_child",
                [str(port), json.dumps(self._names)],
                environment=clean | self._settings,
                streams=(stdin.fileno(), said.fileno(), said.fileno()),
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
        self.orphan()
        self._folder.cleanup()

    def wait(self, seconds: float = ENDS_SECONDS) -> int:
        """Wait for its end; the exit status."""
        return self.process.wait(seconds)

    @property
    def errors(self) -> str:
        """What it has said so far."""
        return self._said.read_text()

    def orphan(self) -> None:
        """Close the end of its standard input, as its parent's death does."""
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait(ENDS_SECONDS)


def crawl(
    ledger: CrawlLedger,
    *,
    settings: Mapping[str, str] | None = None,
    names: Names | None = None,
    seconds: float = ENDS_SECONDS,
) -> int:
    """Run a spider to its end; the exit status."""
    with SpiderProcess(ledger, settings=settings, names=names) as spider:
        status = spider.wait(seconds)
        if status != 0:
            sys.stderr.write(spider.errors)
        return status


def _serve(ledger: CrawlLedger) -> int:
    """Offer the ledger to a child from a thread of this process; the port it listens on."""

    class Server(LedgerServer):
        """Knows this ledger only."""

    Server.register("ledger", callable=lambda: ledger, exposed=_PORT)
    server = Server(("127.0.0.1", 0), AUTHKEY).get_server()
    Thread(target=server.serve_forever, name="ledger server", daemon=True).start()
    return cast("tuple[str, int]", server.address)[1]
