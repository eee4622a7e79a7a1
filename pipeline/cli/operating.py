"""`sitewise workers`, and what `sitewise status` tells of the whole installation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import interrupts
from pipeline.cli.output import moment, out, print_json, print_line, print_table
from pipeline.cli.session import opened

if TYPE_CHECKING:
    from pipeline.services.crawls import CrawlJob
    from pipeline.services.operations import Overview, WorkerView
    from pipeline.services.org_overview import OrgOverview

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EVERY_SECONDS = 2.0
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def workers(*, as_json: Json = False) -> None:
    """List the processes that work.

    What each does, and when it last took something.
    """
    with opened() as (services, _):
        found = services.operations.list_workers()
    if as_json:
        print_json({"items": found})
        return
    print_workers(found)


def print_workers(found: Sequence[WorkerView]) -> None:
    """A table of workers."""
    print_table(
        ["queue", "host", "process", "since", "last word", "last took", "now"],
        [
            [
                f"{worker.queue} + beat" if worker.sends_ticks else worker.queue,
                worker.host,
                worker.pid,
                moment(worker.started_at),
                exactly(worker.beat_at),
                exactly(worker.took_at),
                "silent" if worker.is_silent else worker.job or "waits",
            ]
            for worker in found
        ],
        empty="No worker runs; `sitewise up` or `python -m workers.run` starts some.",
    )


def print_overview(seen: Overview, running: Sequence[CrawlJob], *, is_asleep: bool = False) -> None:
    """Queues, crawls that run, leases, beats and parts, as lines and tables.

    Where nothing owns the data directory (`is_asleep`), its broker and its vectors are not away: nobody needs them.
    """
    from pipeline.cli.watching import counts, phase  # noqa: PLC0415 - nothing is loaded to show help

    rows = [
        [
            queue.name,
            queue.waiting,
            span(queue.waiting_seconds) if queue.waiting else "",
            "-" if queue.hints is None else queue.hints,
            queue.workers,
            "nobody listens" if queue.is_unheard else "",
        ]
        for queue in seen.queues
    ]
    print_table(["queue", "waiting", "oldest", "hints", "workers", ""], rows, empty="")
    print_line("")
    for job in running:
        print_line(f"{phase(job):<9} {counts(job)}  {job.current_url or job.error_message or ''}".rstrip())
    for lease in seen.leases:
        late = f", {lease.expired} ran out" if lease.expired else ""
        print_line(f"leases    {lease.kind}: {lease.held} held{late}")
    tick = f"last tick {exactly(seen.last_tick_at)}" if seen.last_tick_at else "no tick seen"
    print_line(f"beats     {seen.beats}, {tick}" if seen.beats else "beats     none: nothing is started by the clock")
    parts = {part: answer.split(" (")[0] for part, answer in seen.stores.items()}
    if is_asleep:
        parts |= {part: "not running" for part, answer in parts.items() if answer != "ok"}
    print_line("parts     " + ", ".join(f"{part} {answer}" for part, answer in parts.items()))
    if seen.dead_letters:
        print_line(f"dead      {seen.dead_letters}; `sitewise dead list` tells why")


def print_own(own: OrgOverview, parts: Mapping[str, str]) -> None:
    """An org's own queues, crawls that run, schedules and dead letters, and the parts of its deployment."""
    from pipeline.cli.watching import counts, phase  # noqa: PLC0415 - nothing is loaded to show help

    rows = [
        [
            queue.name,
            queue.waiting,
            span(queue.waiting_seconds) if queue.waiting else "",
            "" if queue.is_heard else "nobody listens",
        ]
        for queue in own.queues
    ]
    print_table(["own queue", "waiting", "oldest", ""], rows, empty="")
    print_line("")
    for job in own.running:
        print_line(f"{phase(job):<9} {counts(job)}  {job.current_url or job.error_message or ''}".rstrip())
    timed = own.schedules
    print_line(
        f"schedules {timed.active} by the clock, {timed.paused} paused, {timed.by_hand} by hand,"
        f" {timed.overdue} overdue; next {moment(timed.next_crawl_at)}"
    )
    if own.held:
        print_line(f"held      {len(own.held)}; `sitewise jobs approve` or `reject` decides")
    print_line("parts     " + ", ".join(f"{part} {answer}" for part, answer in parts.items()))
    if own.dead_letters:
        print_line(f"dead      {own.dead_letters}; `sitewise dead list` tells why")


def again_and_again(show: Callable[[], None]) -> None:
    """Show it every two seconds until Ctrl-C; a terminal is cleared before."""
    pause = threading.Event()
    while True:
        if out.is_terminal:
            out.clear()
        show()
        pause.wait(EVERY_SECONDS)
        interrupts.check()


def span(seconds: float) -> str:
    """A time for a person, in its largest unit."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def exactly(value: datetime | None) -> str:
    """A moment of this day, to the second; a dash for never."""
    return value.astimezone().strftime("%H:%M:%S") if value else "-"
