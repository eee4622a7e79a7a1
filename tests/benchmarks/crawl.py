"""Crawling, measured beside what others would use: `python -m tests.benchmarks.crawl [--rounds N] [--json PATH]`.

On each site, in turn and in one run: this crawler as it works (frontier, lease, robots, guard, extraction, all of it
stored), Scrapy that only follows links, Scrapy with trafilatura in its callback, and crawlee that only follows links.
Each is timed three ways, alike for all: with its libraries loaded, as where a worker waits for crawls; from nothing,
with the start of Python and all imports; and steadily, from its first page to its last.
Then this crawler alone on made-up sites, to see whether its memory grows with the frontier.
`SITEWISE_EVAL_DATA` adds rendered sites to the sample site; `--peer-python` is an interpreter that has crawlee.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import site
from tests.benchmarks.site import Served
from tests.benchmarks.watch import watched

OURS, LINKS, TRAFILATURA, CRAWLEE = "sitewise", "scrapy, links only", "scrapy + trafilatura", "crawlee, links only"
GOAL = 2.0
"""Times as fast as Scrapy with trafilatura in its callback."""

FLAT = 0.10
"""Share by which peak memory may differ between the smallest frontier and the largest."""

FRONTIERS = (1_000, 10_000, 100_000)
FRONTIER_PAGES = 1_000
"""Pages fetched of each made-up site: their links fill the frontier."""


@dataclass(frozen=True, slots=True)
class Run:
    """One crawl by one crawler. CPU is that of all its processes, from their first instruction on.

    `seconds` begin when its libraries are loaded, `whole_seconds` before, `steady_seconds` with its first page.
    `peak_mib` adds up the peaks of the parts; of a part with several processes, the largest counts.
    """

    pages: int
    seconds: float
    whole_seconds: float
    steady_seconds: float
    cpu_seconds: float
    peak_mib: float
    cpu_by_part: dict[str, float]
    peak_by_part: dict[str, float]

    @property
    def rate(self) -> float:
        """Pages a second, its libraries loaded."""
        return self.pages / self.seconds

    @property
    def whole_rate(self) -> float:
        """Pages a second from nothing."""
        return self.pages / self.whole_seconds

    @property
    def steady_rate(self) -> float:
        """Pages a second from the first page to the last."""
        return self.pages / self.steady_seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a page."""
        return 1000 * self.cpu_seconds / self.pages


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rounds of all crawlers on one site."""

    site: str
    rounds: dict[str, list[Run]]

    def middle(self, crawler: str, figure: Callable[[Run], float]) -> float:
        """The median of a figure over the rounds."""
        return median(figure(run) for run in self.rounds[crawler])


def main() -> None:
    """Measure, print tables, write JSON."""
    options = _options()
    crawlers = {name: crawl for name, crawl in _crawlers(options.peer_python).items() if options.only in name}
    compared = [compare(served, crawlers, rounds=options.rounds, pages=options.pages) for served in sites(options.site)]
    grown = frontiers() if options.frontier else {}
    console = Console()
    for comparison in compared:
        console.print(_table(comparison))
    if grown:
        console.print(_growth(grown))
    if options.json:
        found = {
            "sites": [asdict(comparison) for comparison in compared],
            "frontier": {size: asdict(run) for size, run in grown.items()},
        }
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def sites(wanted: str) -> Iterable[AbstractContextManager[Served]]:
    """The sites whose name contains `wanted`, each served when entered."""
    if wanted in "sample":
        yield site.sample()
    if data := os.environ.get("SITEWISE_EVAL_DATA"):
        starts = {"docs_postgresql": "/index.html", "company_jobrunr": "/en/", "help_doppler": "/hc/en-us/"}
        for name, start in starts.items():
            if wanted in name:
                yield site.archive(Path(data) / "sites" / f"{name}.tar.xz", start=start)


def compare(
    source: AbstractContextManager[Served],
    crawlers: dict[str, Callable[[str, int, Path], Run]],
    *,
    rounds: int,
    pages: int,
) -> Comparison:
    """Every crawler on one site, one after another, again and again; each round begins with another one."""
    found: dict[str, list[Run]] = {name: [] for name in crawlers}
    with source as served, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            names = list(crawlers)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                found[name].append(crawlers[name](served.start, pages, Path(folder) / f"{number} {name}"))
    return Comparison(served.name, found)


def frontiers() -> dict[int, Run]:
    """As many pages of ever wider sites, by the size of the frontier their links make."""
    found = {}
    for size in FRONTIERS:
        with site.wide(size) as served, tempfile.TemporaryDirectory() as folder:
            found[size] = ours(served.start, FRONTIER_PAGES, Path(folder) / "crawl")
    return found


def ours(start: str, pages: int, folder: Path) -> Run:
    """The real spider with its database, and nobody who indexes."""
    command = [sys.executable, "-m", "tests.benchmarks.stages", "crawl", str(folder), start, str(pages)]
    measured = _measured(command)
    done = measured.done
    return Run(
        done["pages"],
        done["seconds"],
        done["loading_seconds"] + done["seconds"],
        _steady_seconds(folder / "sitewise.db"),
        done["cpu_seconds"],
        measured.peak_mib,
        measured.cpu_by_part,
        measured.peak_by_part,
    )


def _steady_seconds(database: Path) -> float:
    """From the beginning of the first visit to the end of the crawl."""
    with closing(sqlite3.connect(database)) as connection:
        began, ended = connection.execute(
            "SELECT (SELECT min(fetched_at) FROM pages), scraped_at FROM crawls"
        ).fetchone()
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def _theirs(command: Sequence[str]) -> Run:
    """A peer: its process is the crawl."""
    measured = _measured(command)
    done = measured.done
    return Run(
        done["pages"],
        done["seconds"],
        measured.wall_seconds,
        done["steady_seconds"],
        measured.cpu_seconds,
        measured.peak_mib,
        measured.cpu_by_part,
        measured.peak_by_part,
    )


def _peer(kind: str) -> Callable[[str, int, Path], Run]:
    def crawl(start: str, pages: int, _: Path) -> Run:
        return _theirs([sys.executable, "-m", "tests.benchmarks.crawl_peers", kind, start, str(pages)])

    return crawl


def _crawlee(python: Path) -> Callable[[str, int, Path], Run]:
    def crawl(start: str, pages: int, folder: Path) -> Run:
        script = Path(__file__).with_name("crawl_crawlee.py")
        return _theirs([str(python), str(script), start, str(pages), str(folder)])

    return crawl


def _crawlers(peer_python: Path | None) -> dict[str, Callable[[str, int, Path], Run]]:
    crawlers = {OURS: ours, LINKS: _peer("links"), TRAFILATURA: _peer("trafilatura")}
    return crawlers | ({CRAWLEE: _crawlee(peer_python)} if peer_python else {})


@dataclass(frozen=True, slots=True)
class _Measured:
    """A process that ended: what it said, and what the kernel counted."""

    done: dict[str, Any]
    wall_seconds: float
    cpu_seconds: float
    cpu_by_part: dict[str, float]
    peak_by_part: dict[str, float]

    @property
    def peak_mib(self) -> float:
        return sum(self.peak_by_part.values())


def _measured(command: Sequence[str]) -> _Measured:
    """Run a crawler to its end."""
    settings = {"SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.0/8", "SITEWISE_LOG_LEVEL": "warning"}
    before, began = _cpu_of_children(), time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(  # noqa: S603 - ours, or the peer the caller named
            command, stdout=subprocess.PIPE, stderr=said, env=os.environ | settings, text=True
        ) as process,
        watched(process.pid) as costs,
    ):
        printed, _ = process.communicate()
        wall = time.monotonic() - began
        said.seek(0)
        problem = said.read()[-2_000:]
    done: dict[str, Any] = json.loads(printed.strip().splitlines()[-1]) if process.returncode == 0 else {}
    if not done.get("pages"):
        raise RuntimeError(f"{' '.join(command)} crawled nothing:\n{problem}")
    parts = {part: round(cost.cpu_seconds, 2) for part, cost in costs.items() if part}
    peaks = {part: round(cost.peak_mib, 1) for part, cost in costs.items() if part}
    return _Measured(done, wall, _cpu_of_children() - before, parts, peaks)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _table(comparison: Comparison) -> Table:
    headings = ("crawler", "pages", "pages/s, loaded", "from nothing", "steady", "CPU ms a page", "peak MiB")
    table = Table(*headings, title=comparison.site)
    for name in comparison.rounds:
        figures = [
            f"{comparison.middle(name, figure):.{digits}f}"
            for figure, digits in (
                (lambda run: run.pages, 0),
                (lambda run: run.rate, 1),
                (lambda run: run.whole_rate, 1),
                (lambda run: run.steady_rate, 1),
                (lambda run: run.cpu_ms, 1),
                (lambda run: run.peak_mib, 0),
            )
        ]
        table.add_row(name, *figures)
    if {OURS, TRAFILATURA} <= comparison.rounds.keys():
        rates = (lambda run: run.rate, lambda run: run.whole_rate, lambda run: run.steady_rate)
        loaded, whole, steady = (comparison.middle(OURS, rate) / comparison.middle(TRAFILATURA, rate) for rate in rates)
        table.caption = (
            f"{loaded:.2f} x Scrapy + trafilatura loaded (goal {GOAL:.0f} x), {whole:.2f} x from nothing,"
            f" {steady:.2f} x steady"
        )
    return table


def _growth(grown: dict[int, Run]) -> Table:
    table = Table("URLs in the frontier", "pages", "CPU ms a page", "peak MiB of the spider", title="made-up sites")
    peaks = [run.peak_by_part["spider"] for run in grown.values()]
    for (size, run), peak in zip(grown.items(), peaks, strict=True):
        table.add_row(f"{size:,}", str(run.pages), f"{run.cpu_ms:.1f}", f"{peak:.0f}")
    table.caption = f"{peaks[-1] / peaks[0] - 1:+.0%} memory (goal within {FLAT:.0%})"
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.crawl", description="Measure crawling.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each crawler crawls each site")
    parser.add_argument("--pages", type=int, default=5_000, help="pages a crawl takes at most")
    parser.add_argument("--site", default="", help="only sites whose name contains this")
    parser.add_argument("--only", default="", help="only crawlers whose name contains this")
    parser.add_argument("--no-frontier", dest="frontier", action="store_false", help="leave the growing frontier out")
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has crawlee")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
