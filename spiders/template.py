"""A process that has loaded what spiders need, and that each of them is a copy of: `python -m spiders.template`.

To load Scrapy, the database's classes, Celery and an extractor takes two seconds of CPU, to copy a process that has
them takes a hundredth of one. Before a copy is told what it may know, it copies itself once more for each parser.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline.adapters.celery import load_celery
from pipeline.adapters.parser_child import die_with_parent, load
from pipeline.adapters.parser_fork import ForkedParser, fork_parsers
from pipeline.adapters.parser_pool import EXTRACT
from pipeline.adapters.process_copies import parser_of_options, serve_copies, show
from pipeline.bootstrap import load_tables
from spiders import run

SHOWN = 1
"""Words of a spider's arguments that are shown: its crawl."""

PAGE = b"""<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>
<p>It is read once before the first copy is made, so that none has to load what is loaded with the first page.</p>
<ul><li>One</li><li>Two</li></ul><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></main></html>"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the other end of the socket closes. In a copy: be a spider; its exit status is returned."""
    parser = parser_of_options("spiders.template", __doc__)
    parser.add_argument("--parsers", type=int, required=True, help="parsing children of each copy")
    parser.add_argument("--memory-limit", type=int, required=True, help="bytes each of those may take")
    options = parser.parse_args(arguments)
    die_with_parent(options.parent)
    extract = load(EXTRACT)
    extract(PAGE, url="https://www.example.com/")
    load_celery()
    load_tables()
    order = serve_copies(options.socket)
    if order is None:
        return 0
    parsers: list[ForkedParser] = fork_parsers(options.parsers, extract, memory_limit=options.memory_limit)
    told = order.read()
    if told is None:
        return run.STOPPED
    show("spiders.run", told[:SHOWN])
    return run.main(told, parsers=parsers)


if __name__ == "__main__":
    sys.exit(main())
