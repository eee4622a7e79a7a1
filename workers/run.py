"""Starts workers: `python -m workers.run --queues crawl,index,upkeep`.

Each queue has a process of its own, because their work is unlike: `crawl` watches spiders in threads
for hours, `index` embeds one batch at a time beside its model, `upkeep` must never wait for either.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from pipeline.adapters.celery import CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE
from pipeline.errors import InvalidInput, SitewiseError
from pipeline.logs import get_logger, set_up_logging
from pipeline.owner.processes import Program, Supervisor
from pipeline.settings import read_settings
from workers.ending import end_with_parent

QUEUES = (CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE)
CRAWLS_AT_A_TIME = 4

log = get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run workers for these queues until told to end. The exit status: 0 told to, 1 failed, 2 bad arguments."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except SitewiseError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InvalidInput) else 1


def worker_command(queue: str, *options: str) -> list[str]:
    """The command line of one worker process that ends with its parent."""
    return [sys.executable, "-m", "workers.run", f"--queues={queue}", "--watch-stdin", *options]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.run", description="Run Sitewise workers.")
    parser.add_argument("--queues", default=",".join(QUEUES), help=f"which, comma-separated ({', '.join(QUEUES)})")
    parser.add_argument(
        "--concurrency", type=int, help="crawls at a time in the crawl worker, or index worker processes"
    )
    parser.add_argument("--beat", action="store_true", help="also send the schedule's ticks (harmless when doubled)")
    parser.add_argument("--no-schedules", action="store_true", help="beat starts no crawl that is due")
    parser.add_argument("--watch-stdin", action="store_true", help="end when standard input closes")
    return parser


def _run(options: argparse.Namespace) -> int:
    queues = [name.strip() for name in options.queues.split(",") if name.strip()]
    unknown = sorted(set(queues) - set(QUEUES))
    if unknown or not queues:
        raise InvalidInput(queues=options.queues, allowed=", ".join(QUEUES))
    settings = read_settings()
    set_up_logging(settings)
    if options.watch_stdin:
        threading.Thread(target=end_with_parent, name="watches-parent", daemon=True).start()
    children = _children(queues, options)
    if len(children) > 1:
        return _supervise(children)
    from workers.worker import work  # noqa: PLC0415 - Celery is slow to import, and a supervisor needs none

    return work(
        queues[0],
        settings,
        concurrency=options.concurrency or CRAWLS_AT_A_TIME,
        beat=options.beat,
        scheduled_crawls=not options.no_schedules,
    )


def _children(queues: Sequence[str], options: argparse.Namespace) -> list[Program]:
    """One process a queue, more of them for indexing if told; the first of upkeep, else of any, beats."""
    beating = UPKEEP_QUEUE if UPKEEP_QUEUE in queues else queues[0]
    programs = []
    for queue in queues:
        for number in range(options.concurrency or 1 if queue == INDEX_QUEUE else 1):
            extra = ["--beat"] if options.beat and queue == beating and number == 0 else []
            extra += ["--no-schedules"] if options.no_schedules else []
            extra += [f"--concurrency={options.concurrency}"] if options.concurrency and queue == CRAWL_QUEUE else []
            programs.append(Program(name=f"{queue}-{number}", command=worker_command(queue, *extra)))
    return programs


def _supervise(children: Sequence[Program]) -> int:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with Supervisor(children):
        told.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
