"""Starts workers: `python -m workers.run --queues crawl,index,upkeep`.

Each queue has a process of its own, because their work is unlike: `crawl` watches spiders in threads
for hours, `index` embeds one batch at a time beside its model, `upkeep` must never wait for either.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import sys
import threading
from collections.abc import Sequence

from pipeline.adapters.celery import CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE
from pipeline.adapters.opentelemetry import require_tracing, start_tracing
from pipeline.adapters.process_template import ProcessTemplate
from pipeline.errors import InvalidInput, SitewiseError
from pipeline.logs import get_logger, set_up_logging
from pipeline.owner.processes import Program, Supervisor
from pipeline.owner.told import Told
from pipeline.settings import read_settings
from workers.ending import end_with_parent

QUEUES = (CRAWL_QUEUE, INDEX_QUEUE, UPKEEP_QUEUE)
CRAWLS_AT_A_TIME = 4

log = get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run workers for these queues until told to end. The exit status: 0 told to, 1 failed, 2 bad arguments."""
    atexit.register(gc.freeze)  # a process that ends need not look through all it loaded first
    try:
        return _run(options_of(arguments))
    except SitewiseError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InvalidInput) else 1


def worker_command(queue: str, *options: str) -> list[str]:
    """The command line of one worker process that ends with its parent."""
    return [sys.executable, "-m", "workers.run", f"--queues={queue}", "--watch-stdin", *options]


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(prog="python -m workers.run", description="Run Sitewise workers.")
    parser.add_argument("--queues", default=",".join(QUEUES), help=f"which, comma-separated ({', '.join(QUEUES)})")
    parser.add_argument(
        "--concurrency", type=int, help="crawls at a time in the crawl worker, or index worker processes"
    )
    parser.add_argument("--beat", action="store_true", help="also send the schedule's ticks (harmless when doubled)")
    parser.add_argument("--no-schedules", action="store_true", help="beat starts no crawl that is due")
    parser.add_argument("--place", type=int, default=0, help="added to the port of metrics, where one is set")
    parser.add_argument("--watch-stdin", action="store_true", help="end when standard input closes")
    return parser.parse_args(arguments)


def plan(options: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """The processes to run, each a queue and its further options.

    One a queue, more of them for indexing if told; the first of upkeep, else of any, beats.

    Raises:
        InvalidInput: If there is no such queue.
    """
    queues = [name.strip() for name in options.queues.split(",") if name.strip()]
    if not queues or set(queues) - set(QUEUES):
        raise InvalidInput(queues=options.queues, allowed=", ".join(QUEUES))
    beating = UPKEEP_QUEUE if UPKEEP_QUEUE in queues else queues[0]
    processes = []
    for queue in queues:
        for number in range(options.concurrency or 1 if queue == INDEX_QUEUE else 1):
            extra = ["--beat"] if options.beat and queue == beating and number == 0 else []
            extra += ["--no-schedules"] if options.no_schedules else []
            extra += [f"--concurrency={options.concurrency}"] if options.concurrency and queue == CRAWL_QUEUE else []
            processes.append((queue, extra))
    return processes


def _run(options: argparse.Namespace) -> int:
    processes = plan(options)
    settings = read_settings()
    set_up_logging(settings)
    require_tracing(settings)
    if options.watch_stdin:
        threading.Thread(target=end_with_parent, name="watches-parent", daemon=True).start()
    if len(processes) > 1:
        return _supervise(processes)
    start_tracing(settings, f"worker {processes[0][0]}")
    if processes[0][0] == CRAWL_QUEUE:
        from workers.spider_template import template  # noqa: PLC0415 - only this queue has spiders

        template().prepare()
    from workers.worker import work  # noqa: PLC0415 - Celery is slow to import, and a supervisor needs none

    return work(
        processes[0][0],
        settings,
        concurrency=options.concurrency or CRAWLS_AT_A_TIME,
        beat=options.beat,
        scheduled_crawls=not options.no_schedules,
        place=options.place,
    )


def _supervise(processes: Sequence[tuple[str, list[str]]]) -> int:
    told = Told()
    template = ProcessTemplate("workers.template")
    template.prepare()
    programs = [
        Program(
            name=f"{queue}-{number}",
            command=worker_command(queue, *extra, f"--place={number - 1}"),
            template=template,
        )
        for number, (queue, extra) in enumerate(processes, start=1)
    ]
    with Supervisor(programs):
        told.wait()
    template.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
