"""Refuse a build whose tests reach too little of `pipeline/`: lines and branches each have a floor."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import coverage

FLOOR_PERCENT = 90.0


def main() -> int:
    """Join what all processes measured and compare it with the floor; 1 when below."""
    measured = coverage.Coverage()
    if Path(".coverage").exists():
        measured.load()
    if list(Path().glob(".coverage.*")):  # of processes that ended after the tests
        measured.combine()
    measured.save()
    measured.report(include="pipeline/*", show_missing=True, skip_covered=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        measured.json_report(include="pipeline/*", outfile=file.name)
        totals = json.loads(Path(file.name).read_text())["totals"]
    shares = {
        "lines": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }
    for name, share in shares.items():
        verdict = "ok" if share >= FLOOR_PERCENT else f"BELOW {FLOOR_PERCENT:g} %"
        print(f"pipeline/ {name}: {share:.1f} % {verdict}")  # noqa: T201 - a recipe speaks to a person
    return int(min(shares.values()) < FLOOR_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
