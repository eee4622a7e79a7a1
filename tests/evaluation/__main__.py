"""`make evaluate`: every evaluation in turn, or those named. The worst exit status counts."""

import sys
from collections.abc import Callable

from tests.evaluation import answerable, extraction, hidden_text, retrieval, training
from tests.evaluation.report import warn

EVALUATIONS: dict[str, Callable[[], int]] = {
    "hidden-text": hidden_text.main,
    "extraction": lambda: extraction.main([]),
    "retrieval": lambda: retrieval.main([]),
    "training": lambda: training.main([]),
    "answerable": lambda: answerable.main([]),
}

if __name__ == "__main__":
    names = sys.argv[1:] or list(EVALUATIONS)
    unknown = [name for name in names if name not in EVALUATIONS]
    if unknown:
        warn(f"no evaluation {unknown[0]!r}: {', '.join(EVALUATIONS)}")
        sys.exit(2)
    sys.exit(max(EVALUATIONS[name]() for name in names))
