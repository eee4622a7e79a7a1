"""The spider's process: one crawl, from a lease held by its parent to an exit status.

0: finished. 65: the plan cannot be crawled. 75: something temporary stopped it; start it again.
76: another worker holds the crawl. 78: it would not be safe, or is not set up. 1: a defect.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from scrapy.crawler import AsyncCrawlerProcess

from pipeline import tracing
from pipeline.adapters.opentelemetry import start_tracing
from pipeline.crawling import CrawlLedger
from pipeline.errors import InvalidInput, LeaseLost, SetupError, TemporaryError
from pipeline.logs import get_logger, set_up_logging
from pipeline.settings import Settings, read_settings
from pipeline.tracing import Facts
from spiders.configuration import scrapy_settings
from spiders.memory import give_back_large_blocks
from spiders.site import Before, Ending, SiteSpider
from spiders.visit import Parser

if TYPE_CHECKING:
    from pipeline.adapters.parser_fork import ForkedParser

FINISHED = 0
DEFECT = 1
UNUSABLE_PLAN = os.EX_DATAERR
STOPPED = os.EX_TEMPFAIL
LEASE_LOST = 76
NOT_SET_UP = os.EX_CONFIG

log = get_logger(__name__)


def main(arguments: Sequence[str] | None = None, *, parsers: Sequence[ForkedParser] = ()) -> int:
    """Crawl as the command line says, with parsing children that run already, if there are any."""
    options = _options(arguments)
    if options.watch_stdin:
        watch(sys.stdin.fileno())
    try:
        return _crawl(options, parsers)
    except LeaseLost as lost:
        log.warning("lease lost", problem=str(lost))
        return LEASE_LOST
    except (TemporaryError, SetupError) as error:
        log.error("crawl not started", problem=str(error))  # noqa: TRY400 - the message says what to do
        return STOPPED if isinstance(error, TemporaryError) else NOT_SET_UP


def run(ledger: CrawlLedger, parser: Parser, settings: Settings) -> int:
    """Run one crawl in this process, which can run no second one; the exit status is returned."""
    ending = walk(ledger, parser, settings)
    return _status(ending.failure, is_finished=ending.is_finished)


def walk(ledger: CrawlLedger, parser: Parser, settings: Settings, *, before: Before | None = None) -> Ending:
    """Run one crawl in this process, which can run no second one. What is to be done `before` any page comes first."""
    give_back_large_blocks()
    atexit.register(gc.freeze)  # a process that ends need not look through all it loaded first
    ending = Ending()
    process = AsyncCrawlerProcess(scrapy_settings(settings))
    for library in ("scrapy", "twisted"):
        logging.getLogger(library).setLevel(logging.WARNING)  # they tell of every page
    crawl = process.crawl(SiteSpider, ledger=ledger, parser=parser, settings=settings, ending=ending, before=before)
    process.start()
    if ending.failure is None and crawl.done() and not crawl.cancelled():
        ending.failure = crawl.exception()
    return ending


def watch(parent: int) -> None:
    """End this process when its parent does: the parent's end of the pipe `parent` closes with it."""

    def wait() -> None:
        while os.read(parent, 1):  # unbuffered: a buffer's lock would outlive this thread at exit
            pass
        os._exit(STOPPED)

    threading.Thread(target=wait, name="parent watch", daemon=True).start()


def _crawl(options: argparse.Namespace, parsers: Sequence[ForkedParser]) -> int:
    from pipeline.adapters.parser_pool import ParserPool  # noqa: PLC0415 - its children start with it
    from pipeline.bootstrap import open_ledger  # noqa: PLC0415 - opens the database

    settings = read_settings()
    set_up_logging(settings)
    start_tracing(settings, "spider")
    ledger = open_ledger(settings, crawl_id=options.crawl_id, org_id=options.org_id, token=options.token)
    facts: Facts = {"crawl": options.crawl_id, "org": options.org_id}
    began_by = os.environ.get(tracing.TRACEPARENT.upper())
    with (
        ParserPool(settings.extract, ready=parsers) as parser,
        tracing.span("spider", parent=began_by, is_process=True, **facts),
    ):
        return run(ledger, parser, settings)


def _status(failure: BaseException | None, *, is_finished: bool) -> int:
    if failure is None:
        return FINISHED if is_finished else STOPPED
    kinds: tuple[tuple[type[BaseException], int], ...] = (
        (LeaseLost, LEASE_LOST),
        (TemporaryError, STOPPED),
        (SetupError, NOT_SET_UP),
        (InvalidInput, UNUSABLE_PLAN),
    )
    for kind, status in kinds:
        if isinstance(failure, kind):
            log.warning("crawl stopped", problem=str(failure), status=status)
            return status
    log.error("crawl failed", exc_info=failure)
    return DEFECT


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m spiders.run", description=__doc__)
    parser.add_argument("--crawl-id", type=UUID, required=True, help="the crawl to run")
    parser.add_argument("--org-id", type=UUID, required=True, help="whose crawl it is")
    parser.add_argument("--token", type=UUID, required=True, help="the lease its parent holds")
    parser.add_argument("--watch-stdin", action="store_true", help="end when standard input does")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
