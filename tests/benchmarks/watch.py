"""What a run costs: CPU seconds and peak memory of every process below one, by the part it plays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

OTHER, TEMPLATE = "other", "spider template"
PARTS = {
    "spiders.template": TEMPLATE,
    "spiders.run": "spider",
    "parser_child": "parser",
    "--queues=index": "index worker",
    "--queues=crawl": "crawl worker",
    "--queues=upkeep": "upkeep worker",
    "valkey": "broker",
    "redis": "broker",
    "tests.benchmarks.site": "",
    "deploy.sample": "",
    "tests.benchmarks.stages": "",
    "tests.benchmarks.stock": "stock parts",
    "pipeline.cli": "owner",
}
EVERY_SECONDS = 0.1


@dataclass
class Cost:
    """CPU seconds, and the highest resident memory of one process in MiB, of a part."""

    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    memory: list[float] = field(default_factory=list)
    """Resident MiB of the part's largest process over time, to see whether it grows."""


@contextmanager
def watched(pid: int) -> Iterator[dict[str, Cost]]:
    """Costs by part, filled while the process and its children run."""
    costs: dict[str, Cost] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(pid, costs, stop), daemon=True)
    watcher.start()
    try:
        yield costs
    finally:
        stop.set()
        watcher.join()


def _watch(pid: int, costs: dict[str, Cost], stop: threading.Event) -> None:
    seen: dict[int, tuple[str, float]] = {}
    while not stop.wait(EVERY_SECONDS):
        now: dict[str, float] = {}
        with suppress(psutil.Error):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                _look(process, seen, now)
        for part, mib in now.items():
            cost = costs.setdefault(part, Cost())
            cost.peak_mib = max(cost.peak_mib, mib)
            cost.memory.append(mib)
        for part in {part for part, _ in seen.values()}:
            cpu = sum(seconds for known, seconds in seen.values() if known == part)
            costs.setdefault(part, Cost()).cpu_seconds = cpu


def _look(process: psutil.Process, seen: dict[int, tuple[str, float]], now: dict[str, float]) -> None:
    with suppress(psutil.Error):
        part = seen[process.pid][0] if process.pid in seen else OTHER
        if part in {OTHER, TEMPLATE}:  # a fork is seen before it has become what it will be
            part = _part(" ".join(process.cmdline()))
        times = process.cpu_times()
        seen[process.pid] = (part, times.user + times.system)
        now[part] = max(now.get(part, 0.0), process.memory_info().rss / 2**20)


def _part(command: str) -> str:
    return next((part for sign, part in PARTS.items() if sign in command), OTHER)
