"""A process that has loaded what workers need, and that each of them is a copy of: `python -m workers.template`.

To load Celery, the database's classes and the services takes more than a second of CPU, for each worker of a machine
and each time one begins anew. No model is loaded in it: that has threads, and is a worker's own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline.adapters.celery import load_celery
from pipeline.adapters.parser_child import die_with_parent
from pipeline.adapters.process_copies import parser_of_options, serve_copies, show
from pipeline.bootstrap import load_tables
from workers import run, tasks, worker  # noqa: F401 - what workers are made of is loaded before the first copy


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the other end of the socket closes. In a copy: be a worker; its exit status is returned."""
    options = parser_of_options("workers.template", __doc__).parse_args(arguments)
    die_with_parent(options.parent)
    load_celery()
    load_tables()
    order = serve_copies(options.socket)
    if order is None:
        return 0
    told = order.read()
    if told is None:
        return 1
    show("workers.run", told)
    return run.main(told)


if __name__ == "__main__":
    sys.exit(main())
