"""The `sitewise` command: results on stdout, progress and logs on stderr."""

from __future__ import annotations

import atexit
import gc
import sys

__all__ = ["main"]

INTERRUPTED = 130
GARBAGE = 50_000
"""Objects between two collections: loading a command makes many and leaves none, and is a tenth faster so."""


def main() -> None:
    """Run the command line; the entry point of `sitewise`."""
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)  # what is loaded need not be looked through again at the end: a quarter of a command
    try:
        from pipeline.cli.app import run  # noqa: PLC0415 - Ctrl-C while it loads ends quietly too

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
