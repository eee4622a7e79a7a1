"""What it costs to crawl a website again that did not change: `python -m tests.benchmarks.recrawl [--pages N]`.

`sitewise crawl` runs three times over the same website and data directory. CPU is what the kernel counted for the
command and every process it started, start and end among them. `SITEWISE_EVAL_DATA` names the folder whose PostgreSQL
documentation is crawled; without it the sample site is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks import site
from tests.benchmarks.__main__ import end_to_end
from tests.benchmarks.site import Served

GOAL = 0.10
CRAWLS = 3


@dataclass(frozen=True, slots=True)
class Crawled:
    """One crawl: CPU seconds, in all and by part, wall seconds, and what it found and computed."""

    cpu_seconds: float
    wall_seconds: float
    pages: int
    unchanged: int
    embedded: int
    parts: dict[str, float]


def main() -> int:
    """Measure and print; 1 when a crawl of what did not change costs more than a tenth of the first, or embeds."""
    options = _options()
    is_well = True
    for name, source in sites(options.pages).items():
        with source as served, tempfile.TemporaryDirectory() as folder:
            first, *again = [crawl(served.start, Path(folder) / "data", options.pages) for _ in range(CRAWLS)]
        shares = [one.cpu_seconds / first.cpu_seconds for one in again]
        is_well = is_well and max(shares) <= GOAL and not any(one.embedded for one in again)
        said = {
            "site": name,
            "shares": [round(share, 3) for share in shares],
            "crawls": [asdict(one) for one in (first, *again)],
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    return 0 if is_well else 1


def sites(pages: int) -> dict[str, AbstractContextManager[Served]]:
    """The websites, each served when entered: one that says "not modified", and one that sends everything again."""
    data = os.environ.get("SITEWISE_EVAL_DATA")
    if not data:
        return {"sample": site.sample()}
    packed = Path(data) / "sites" / "docs_postgresql.tar.xz"
    return {
        f"docs_postgresql {pages}": site.archive(packed, start="/index.html"),
        f"docs_postgresql {pages}, no validators": site.archive(packed, start="/index.html", has_validators=False),
    }


def crawl(url: str, data_dir: Path, pages: int) -> Crawled:
    """One run of the command, to its end."""
    before = _cpu_of_children()
    job, costs = end_to_end(url, data_dir, pages)
    return Crawled(
        cpu_seconds=round(_cpu_of_children() - before, 2),
        wall_seconds=job["seconds"],
        pages=job["new_pages"] + job["unchanged_pages"],
        unchanged=job["unchanged_pages"],
        embedded=job["embedded_chunks"],
        parts={part: round(cost.cpu_seconds, 2) for part, cost in costs.items() if part},
    )


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recrawl", description=__doc__)
    parser.add_argument("--pages", type=int, default=200, help="pages a crawl keeps at most")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
