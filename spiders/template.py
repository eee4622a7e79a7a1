"""A process that has loaded what spiders need, and that each of them is a copy of.

To load Scrapy, the database's classes, Celery and an extractor takes two seconds of CPU, to copy a process that has
them takes a hundredth of one. It has one thread, opens nothing, and its environment holds no setting of this project:
what a spider may know is told to the copy alone, after that has copied itself once more for each of its parsers.

`python -m spiders.template` says through its socket when it has loaded. Then it copies itself for each byte that comes
with two descriptors: the copy's standard input, and a stream that its arguments and environment are read from. The
copy's number is the answer.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.adapters.celery import load_celery
from pipeline.adapters.command_line import say_command_line
from pipeline.adapters.parser_child import Function, die_with_parent, load
from pipeline.adapters.parser_fork import ForkedParser, fork_parsers
from pipeline.adapters.parser_pool import EXTRACT
from pipeline.bootstrap import load_tables
from spiders import run

THREADS = Path("/proc/self/task")
LOADED = b"\n"
"""What is sent once everything is loaded."""

STDIN = 0
SHOWN = 4
"""Words of a spider's command line that are shown: up to its crawl."""

PAGE = b"""<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>
<p>It is read once before the first copy is made, so that none has to load what is loaded with the first page.</p>
<ul><li>One</li><li>Two</li></ul><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></main></html>"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the other end of the socket closes. In a copy: be a spider; its exit status is returned."""
    options = _options(arguments)
    die_with_parent(options.parent)
    extract = load(EXTRACT)
    extract(PAGE, url="https://www.example.com/")
    load_celery()
    load_tables()
    gc.collect()
    gc.freeze()
    if sum(1 for _ in THREADS.iterdir()) > 1:
        sys.stderr.write("A spider's template has more than one thread: it would make broken copies.\n")
        return os.EX_SOFTWARE
    requests = socket.socket(fileno=options.socket)
    requests.send(LOADED)
    orders = _serve(requests)
    return os.EX_OK if orders is None else _crawl(orders, options, extract)


def _serve(requests: socket.socket) -> socket.socket | None:
    """Copy this process for each request. Returns where its orders come from, in a copy; None when it is over."""
    while True:
        request, given, _, _ = socket.recv_fds(requests, 1, 2)
        if not request:
            return None
        told, telling = os.pipe()
        between = os.fork()
        if between:
            for descriptor in (telling, *given):
                os.close(descriptor)
            os.waitpid(between, 0)
            requests.send(os.read(told, 32) or b"0")
            os.close(told)
        elif _is_copy(telling):
            requests.close()
            os.close(told)
            os.dup2(given[0], STDIN)
            os.close(given[0])
            return socket.socket(fileno=given[1])


def _is_copy(telling: int) -> bool:
    """Leave a copy behind that is nobody's child: it becomes that of the worker, which asked to be given such."""
    try:
        pid = os.fork()
    except OSError:
        os._exit(os.EX_OSERR)
    if pid:
        os.write(telling, str(pid).encode())
        os._exit(os.EX_OK)
    os.close(telling)
    return True


def _crawl(orders: socket.socket, options: argparse.Namespace, extract: Function) -> int:
    os.setsid()
    parsers: list[ForkedParser] = fork_parsers(options.parsers, extract, memory_limit=options.memory_limit)
    with orders, orders.makefile("rb") as stream:
        told = stream.read()
    if not told:
        return run.STOPPED
    order = json.loads(told)
    os.environ.clear()
    os.environ.update(order["environment"])
    say_command_line(["python", "-m", "spiders.run", *order["arguments"]][:SHOWN])
    return run.main(order["arguments"], parsers=parsers)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m spiders.template", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="where requests come from")
    parser.add_argument("--parent", type=int, required=True, help="the process it ends with")
    parser.add_argument("--parsers", type=int, required=True, help="parsing children of each copy")
    parser.add_argument("--memory-limit", type=int, required=True, help="bytes each of those may take")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
