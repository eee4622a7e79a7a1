"""The process that others are copies of: it has loaded what they need, and done nothing else.

It has one thread, opens nothing, and its environment holds no setting of this project: what a copy may know is told to
the copy alone. It says through its socket when it has loaded. Then it copies itself for each byte that comes with
descriptors: the copy's standard input, a stream that its order is read from, and, where there is a third, what its
output goes to. The copy's number is the answer.
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

from pipeline.adapters.command_line import say_command_line

THREADS = Path("/proc/self/task")
LOADED = b"\n"
"""What is sent once everything is loaded."""

STDIN, STDOUT, STDERR = 0, 1, 2
DESCRIPTORS = 3


class Order:
    """What a copy is told to be. Told, its environment is what was said."""

    def __init__(self, stream: socket.socket) -> None:
        """Comes by this stream."""
        self._stream = stream

    def read(self) -> list[str] | None:
        """Its arguments, once they are there; None if whoever asked for it is gone."""
        with self._stream, self._stream.makefile("rb") as stream:
            told = stream.read()
        if not told:
            return None
        order = json.loads(told)
        os.environ.clear()
        os.environ.update(order["environment"])
        arguments: list[str] = order["arguments"]
        return arguments


def parser_of_options(module: str, description: str | None) -> argparse.ArgumentParser:
    """The options that every such process has."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--socket", type=int, required=True, help="where requests come from")
    parser.add_argument("--parent", type=int, required=True, help="the process it ends with")
    return parser


def serve_copies(requests: int) -> Order | None:
    """Copy this process for each request at this socket, until its other end closes.

    Returns, in a copy, which leads a session of its own: its order. In the process itself: None, when it is over.

    Raises:
        RuntimeError: If it has more than one thread, and would make broken copies.
    """
    gc.collect()
    gc.freeze()
    if sum(1 for _ in THREADS.iterdir()) > 1:
        message = "a process with more than one thread makes broken copies"
        raise RuntimeError(message)
    asked = socket.socket(fileno=requests)
    asked.send(LOADED)
    while True:
        request, given, _, _ = socket.recv_fds(asked, 1, DESCRIPTORS)
        if not request:
            return None
        told, telling = os.pipe()
        between = os.fork()
        if between:
            for descriptor in (telling, *given):
                os.close(descriptor)
            os.waitpid(between, 0)
            asked.send(os.read(told, 32) or b"0")
            os.close(told)
        elif _is_copy(telling):
            asked.close()
            os.close(told)
            return _begin(given)


def show(module: str, arguments: Sequence[str]) -> None:
    """Show a command line as if this copy had been started."""
    say_command_line(["python", "-m", module, *arguments])


def _is_copy(telling: int) -> bool:
    """Leave a copy behind that is nobody's child: it becomes that of whoever asked, who wants to be given such."""
    try:
        pid = os.fork()
    except OSError:
        os._exit(os.EX_OSERR)
    if pid:
        os.write(telling, str(pid).encode())
        os._exit(os.EX_OK)
    os.close(telling)
    return True


def _begin(given: Sequence[int]) -> Order:
    os.setsid()
    stdin, orders, *output = given
    os.dup2(stdin, STDIN)
    os.close(stdin)
    for descriptor in output:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(descriptor, STDOUT)
        os.dup2(descriptor, STDERR)
        os.close(descriptor)
    return Order(socket.socket(fileno=orders))
