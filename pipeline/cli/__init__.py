"""The `sitewise` command: results on stdout, progress and logs on stderr."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point of `sitewise`."""
    from pipeline.cli.app import run  # noqa: PLC0415 - a usage error must not load a database driver

    run()
