"""Serves the HTTP API: `python -m pipeline.api`, where SITEWISE_API__… says."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from pipeline.adapters.opentelemetry import start_tracing
from pipeline.adapters.scraping import ScrapeServer
from pipeline.api.app import create_app
from pipeline.api.serving import Server
from pipeline.bootstrap import Services, open_services
from pipeline.errors import SitewiseError
from pipeline.logs import get_logger, set_up_logging
from pipeline.owner.told import Told
from pipeline.settings import read_settings

log = get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end. The exit status: 0 told to, 1 failed."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.api", description="Serve the Sitewise HTTP API.")
    parser.add_argument("--watch-stdin", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    if options.watch_stdin:
        threading.Thread(target=_end_with_parent, name="watches-parent", daemon=True).start()
    try:
        return _serve()
    except SitewiseError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _serve() -> int:
    settings = read_settings()
    set_up_logging(settings)
    start_tracing(settings, "api")
    told = Told()
    with open_services(settings) as services:
        services.database.ping()
        with _scraped(services), Server(create_app(services), settings) as server:
            log.info("api started", url=server.url)
            threading.Thread(target=services.readiness.check, name="warms-up", daemon=True).start()
            told.wait()
        log.info("api ended")
    return 0


def _scraped(services: Services) -> AbstractContextManager[object]:
    """Metrics, on a port of their own where one is set: never beside the API, which others reach."""
    where = services.settings.metrics
    if not where.port:
        return nullcontext()
    return ScrapeServer(services.exposition.render, host=where.host, port=where.port)


def _end_with_parent() -> None:
    """Wait until standard input closes, which it does when the parent is gone, and end too."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
