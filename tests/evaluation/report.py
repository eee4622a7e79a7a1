"""Where an evaluation's words go: tables to stdout, what was left out to stderr."""

from __future__ import annotations

import sys

NOT_RUN = 2
"""Exit status of an evaluation that lacks its question sets: nothing was measured, so nothing passed."""


def say(text: str) -> None:
    """One line or table, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """What was not run, and why."""
    sys.stderr.write(text + "\n")
