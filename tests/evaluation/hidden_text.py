"""Whether planted hidden text stays out of what is extracted, and whether what only looks hidden stays in.

Run as `python -m tests.evaluation.hidden_text`; reads the pages under SITEWISE_EVAL_DATA.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stages.extract import extract
from tests.evaluation.report import NOT_RUN, say, warn

FAILED = 1
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the planted texts of one page."""

    url: str
    leaked: tuple[str, ...]
    lost: tuple[str, ...]
    unexplained: int
    """Hidden texts that neither reached the text nor were kept as evidence."""


def examine(page: Mapping[str, Any]) -> Outcome:
    """Extract one page and look for its planted texts, word by word."""
    document = extract(page["html"].encode(), url=page["url"])
    text = _folded(document.markdown)
    evidence = " ".join(_folded(one.text) for one in document.dropped)
    hidden = [planted for planted in page["must_drop"] if _folded(planted) not in text]
    return Outcome(
        page["url"],
        leaked=tuple(planted for planted in page["must_drop"] if planted not in hidden),
        lost=tuple(wanted for wanted in page["must_keep"] if _folded(wanted) not in text),
        unexplained=sum(_folded(planted)[:60] not in evidence for planted in hidden),
    )


def _folded(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def read_planted(root: Path) -> Iterator[Mapping[str, Any]]:
    """The pages with planted texts."""
    with (root / "eval" / "injection" / "dev" / "pages.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def main() -> int:
    """Print the count of each, and every text that went the wrong way."""
    root = os.environ.get("SITEWISE_EVAL_DATA")
    if not root:
        warn("SITEWISE_EVAL_DATA is not set: no hidden text was looked for")
        return NOT_RUN
    outcomes = [examine(page) for page in read_planted(Path(root))]
    for outcome in outcomes:
        for reason, texts in (("hidden, and reached the text", outcome.leaked), ("visible, and lost", outcome.lost)):
            for text in texts:
                warn(f"{outcome.url}: {reason}: {text[:120]}")
    leaked, lost = (sum(len(getattr(outcome, name)) for outcome in outcomes) for name in ("leaked", "lost"))
    unexplained = sum(outcome.unexplained for outcome in outcomes)
    say(
        f"\nHidden text, {len(outcomes)} pages: {leaked} planted texts reached the text, "
        f"{lost} visible ones were lost, {unexplained} are missing from the evidence"
    )
    return FAILED if leaked or lost else 0


if __name__ == "__main__":
    sys.exit(main())
