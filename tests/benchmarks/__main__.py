"""The main job, measured: `python -m tests.benchmarks [--pages N] [--json PATH]`.

For each site, in turn and in one run: the product end to end, its stages alone, and the same job from
stock parts. `SITEWISE_EVAL_DATA` adds the PostgreSQL documentation (1,169 pages) to the sample site.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import site
from tests.benchmarks.site import Served
from tests.benchmarks.watch import Cost, watched

GOAL = 1.10
SMALL = 100
"""Pages of the smaller run whose memory is compared with the whole run's."""


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _options()
    results = [measure(served, pages=options.pages, stock_pages=options.stock_pages) for served in sites()]
    for result in results:
        show(result)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def sites() -> list[AbstractContextManager[Served]]:
    """The sites to crawl, each served when entered."""
    found: list[AbstractContextManager[Served]] = [site.sample()]
    if data := os.environ.get("SITEWISE_EVAL_DATA"):
        found.append(site.archive(Path(data) / "sites" / "docs_postgresql.tar.xz", start="/index.html"))
    return found


def measure(source: AbstractContextManager[Served], *, pages: int, stock_pages: int) -> dict[str, Any]:
    """One site, every way; stock parts, being slow, on as many pages as said."""
    with source as served, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        small, small_costs = end_to_end(served.start, home / "small", min(SMALL, pages))
        whole, costs = end_to_end(served.start, home / "whole", pages)
        spread, _ = end_to_end(served.start, home / "spread", pages, SITEWISE_WORK__INDEX_PROCESSES="0")
        crawl = run("stages", "crawl", str(home / "alone"), served.start, str(pages))
        index = run("stages", "index", str(home / "alone"))
        stock = run("stock", served.start, str(stock_pages), str(home / "stock")) if stock_pages else None
    wall = seconds(whole)
    slowest = max(crawl["seconds"], index["seconds"])
    return {
        "site": served.name,
        "pages": whole["new_pages"],
        "chunks": whole["chunks"],
        "seconds": wall,
        "command_seconds": whole["command_seconds"],
        "seconds_with_an_index_process_a_core": seconds(spread),
        "pages_per_second": whole["new_pages"] / wall,
        "chunks_per_second": whole["chunks"] / wall,
        "crawl_alone_seconds": crawl["seconds"],
        "index_alone_seconds": index["seconds"],
        "ratio_to_slowest_stage": wall / slowest,
        "ratio_of_the_command": whole["command_seconds"] / slowest,
        "cpu_seconds": {part: round(cost.cpu_seconds, 2) for part, cost in costs.items() if part},
        "peak_mib": {part: round(cost.peak_mib) for part, cost in costs.items() if part},
        "peak_mib_small": {part: round(cost.peak_mib) for part, cost in small_costs.items() if part},
        "small_pages": small["new_pages"],
        "stock": stock,
    }


def end_to_end(url: str, data_dir: Path, pages: int, **settings: str) -> tuple[dict[str, Any], dict[str, Cost]]:
    """`sitewise crawl`, watched. With one index process, as the stage alone has, unless said otherwise."""
    command = [sys.executable, "-m", "pipeline.cli", "--data-dir", str(data_dir), "crawl", url]
    command += ["--page-limit", str(pages), "--json"]
    began = time.monotonic()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment() | settings, text=True) as process,  # noqa: S603 - ours
        watched(process.pid) as costs,
    ):
        printed, _ = process.communicate()
        wall = time.monotonic() - began
    job: dict[str, Any] = json.loads(printed)
    return job | {"command_seconds": wall}, costs


def run(module: str, *words: str) -> dict[str, Any]:
    """One part of the measurement in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.{module}", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), text=True, check=True)  # noqa: S603 - ours
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def environment() -> dict[str, str]:
    """Loopback may be crawled; logs tell of trouble only."""
    own = {
        "SITEWISE_CRAWL__ALLOWED_ADDRESSES": "127.0.0.0/8",
        "SITEWISE_LOG_LEVEL": "warning",
        "SITEWISE_WORK__INDEX_PROCESSES": "1",
    }
    return {**os.environ, **own}


def seconds(job: dict[str, Any]) -> float:
    """From the moment a worker took the crawl until its last page was live."""
    return (datetime.fromisoformat(job["completed_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()


def show(result: dict[str, Any]) -> None:
    """Tables for a person."""
    console = Console()
    title = f"{result['site']}: {result['pages']} pages, {result['chunks']} chunks"
    table = Table("what", "figure", title=title, title_justify="left")
    table.add_row("end to end", f"{result['seconds']:.1f} s ({result['command_seconds']:.1f} s the whole command)")
    table.add_row("", f"{result['pages_per_second']:.1f} pages/s, {result['chunks_per_second']:.1f} chunks/s")
    spread = result["seconds_with_an_index_process_a_core"]
    table.add_row("with an index process a core", f"{spread:.1f} s, {result['pages'] / spread:.1f} pages/s")
    table.add_row("crawling alone", f"{result['crawl_alone_seconds']:.1f} s")
    table.add_row("indexing alone", f"{result['index_alone_seconds']:.1f} s")
    table.add_row("end to end ÷ slowest stage", f"{result['ratio_to_slowest_stage']:.2f} (goal {GOAL:.2f})")
    table.add_row("", f"{result['ratio_of_the_command']:.2f} for the whole command, its imports and its end")
    for part, cpu in sorted(result["cpu_seconds"].items()):
        before = result["peak_mib_small"].get(part, 0)
        memory = f"{result['peak_mib'][part]} MiB at most ({before} with {result['small_pages']} pages)"
        table.add_row(part, f"{cpu:.1f} CPU s, {1000 * cpu / result['pages']:.1f} ms a page; {memory}")
    if stock := result["stock"]:
        rate = stock["pages"] / stock["seconds"]
        done = f"{stock['pages']} pages, {stock['chunks']} chunks in {stock['seconds']:.1f} s"
        table.add_row("stock parts", f"{rate:.1f} pages/s ({done})")
        table.add_row("faster than stock", f"{result['pages'] / spread / rate:.2f} x")
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure the main job.")
    parser.add_argument("--pages", type=int, default=5_000, help="pages a crawl keeps at most")
    parser.add_argument("--stock-pages", type=int, default=200, help="pages the stock parts crawl; 0: none")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
