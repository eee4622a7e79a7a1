"""The process of a look at a site: what to look at on stdin, what was seen as JSON lines on stdout, nothing stored.

The first line of stdin is `{"plan": …, "settings": …, "visits": …, "seconds": …}`; when stdin closes, the process
ends. Each line of stdout is `{"look": …}`, the last one the whole of it, or `{"error": …, "facts": …}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any
from uuid import uuid4

from pipeline.errors import LeaseLost, SitewiseError
from pipeline.logs import set_up_logging
from pipeline.model import CrawlPlan
from pipeline.preview import Look
from pipeline.settings import Settings
from spiders.looking import LookLedger
from spiders.robots import product_token
from spiders.run import DEFECT, FINISHED, STOPPED, walk, watch
from spiders.seeds import Sitemaps

_EVERY_SECONDS = 0.25
_SITEMAPS_SHARE = 0.4
"""Of the time there is, what reading sitemaps may take."""


def main() -> int:
    """Look, tell, end."""
    asked = json.loads(_first_line(sys.stdin.fileno()))
    watch(sys.stdin.fileno())
    telling = Telling(sys.stdout.fileno())
    try:
        settings = Settings(**asked["settings"])
        set_up_logging(settings)
        ledger = LookLedger(
            _plan(asked["plan"]),
            agent=product_token(settings.crawl.user_agent),
            visits=asked["visits"],
            news=telling.now_and_then,
        )
        return _look(ledger, settings, telling, seconds=asked["seconds"])
    except SitewiseError as error:
        telling.failure(error)
        return STOPPED


class Telling:
    """Writes looks as they come, but not too often. Threads may share it."""

    def __init__(self, out: int) -> None:
        """Write to this file descriptor."""
        self._out = out
        self._told_at = 0.0
        self._lock = threading.Lock()

    def now_and_then(self, look: Look) -> None:
        """Tell, unless that was done a moment ago."""
        if monotonic() - self._told_at > _EVERY_SECONDS:
            self.all(look)

    def all(self, look: Look) -> None:
        """Tell what was seen."""
        self._told_at = monotonic()
        self._write({"look": look.as_json()})

    def failure(self, error: SitewiseError) -> None:
        """Tell why nothing was looked at."""
        self._write({"error": type(error).__name__, "facts": {name: str(fact) for name, fact in error.facts.items()}})

    def _write(self, told: Mapping[str, object]) -> None:
        line = memoryview((json.dumps(told) + "\n").encode())
        with self._lock:
            while line:
                line = line[os.write(self._out, line) :]


def _look(ledger: LookLedger, settings: Settings, telling: Telling, *, seconds: float) -> int:
    from pipeline.adapters.parser_pool import ParserPool  # noqa: PLC0415 - its children start with it

    def time_is_up() -> None:
        telling.all(ledger.look())
        os._exit(FINISHED)

    async def read_sitemaps(sitemaps: Sitemaps) -> None:
        try:
            await asyncio.wait_for(sitemaps.seed(), seconds * _SITEMAPS_SHARE)
            are_all_read = True
        except TimeoutError:
            are_all_read = False
        ledger.note_sitemaps(files=sitemaps.files, listed=sitemaps.listed, are_all_read=are_all_read)

    end = threading.Timer(seconds, time_is_up)
    end.daemon = True
    end.start()
    with ParserPool(settings.extract) as parser:
        ending = walk(ledger, parser, settings, before=read_sitemaps)
    end.cancel()
    if isinstance(ending.failure, SitewiseError) and not isinstance(ending.failure, LeaseLost):
        telling.failure(ending.failure)
        return STOPPED
    if ending.failure is not None and not isinstance(ending.failure, LeaseLost):
        sys.stderr.write(f"{type(ending.failure).__name__}: {ending.failure}\n")
        return DEFECT
    telling.all(ledger.look())
    return FINISHED


def _plan(told: Mapping[str, Any]) -> CrawlPlan:
    """A plan for nobody: its ids are made up."""
    ids: dict[str, Any] = {name: uuid4() for name in ("crawl_id", "org_id", "datasource_id", "token")}
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return CrawlPlan(**ids | fields)


def _first_line(stdin: int) -> bytes:
    """Read up to the end of a line and no further: what watches stdin reads the rest."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(stdin, 1)
        if not piece:
            break
        line += piece
    return line


if __name__ == "__main__":
    sys.exit(main())
