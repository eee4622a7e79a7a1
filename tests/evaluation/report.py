"""Where an evaluation's words go: tables to stdout, what was left out to stderr."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line or table, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """What was not run, and why."""
    sys.stderr.write(text + "\n")
