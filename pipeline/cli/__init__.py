"""The `sitewise` command: results on stdout, progress and logs on stderr."""

from __future__ import annotations

import sys

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line; the entry point of `sitewise`."""
    try:
        from pipeline.cli.app import run  # noqa: PLC0415 - Ctrl-C while it loads ends quietly too

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
