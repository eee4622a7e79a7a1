"""The HTTP API under load, beside the retrieval module alone on the same cores, in turns.

`python -m tests.benchmarks.api [--seconds N] [--rounds N] [--json PATH]`. The server has a core to itself where there
are two or more, and so has the module when it is asked without HTTP; the load comes from another core. Every round
asks both for the same time, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, cycle
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
COMPARED_AT = 16
"""Connections at which HTTP is compared with the module alone."""

ALONE_THREADS = (1, 3)
GOAL = 0.8
DEGRADED = b'"degraded":["'


@dataclass(frozen=True, slots=True)
class Load:
    """What so many connections got. Times are in milliseconds; `cpu` is the server's for one answer."""

    route: str
    connections: int
    per_second: float
    cpu: float
    p50: float
    p99: float
    errors: int
    loop_p99: float
    loop_most: float


class Child:
    """The measured process, asked in lines."""

    def __init__(self, cores: str) -> None:
        """Start it on these cores; it says where it serves."""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.benchmarks.api_child", *([cores] if cores else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.told: dict[str, Any] = self._line()

    def ask(self, words: str) -> Any:  # noqa: ANN401 - JSON
        """What it answers to this line."""
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the measured process ended")
        return json.loads(line)


class Requests:
    """Requests as bytes, made before anything is measured."""

    def __init__(self, told: dict[str, Any]) -> None:
        """Of this server, key and website."""
        address = urlsplit(told["url"])
        self.host, self.port = address.hostname, address.port
        head = f"Host: {address.netloc}\r\nAuthorization: Bearer {told['key']}\r\n"
        show = f"GET /crawl/{told['datasource']} HTTP/1.1\r\n{head}\r\n".encode()
        self._of = {"GET /crawl/{id}": [show], "POST /retrieve": [_post(head, text) for text in told["questions"]]}

    def of(self, route: str) -> Iterator[bytes]:
        """One after the other, again and again."""
        return cycle(self._of[route])


def _post(head: str, question: str) -> bytes:
    body = json.dumps({"message": question}).encode()
    lines = f"POST /retrieve HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return lines.encode() + body


async def _drive(requests: Requests, route: str, connections: int, seconds: float) -> tuple[list[float], int]:
    """Seconds of every answer, and how many were no 200 or lacked a part."""
    took: list[float] = []
    errors = count()
    waiting = requests.of(route)
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection(requests.host, requests.port)
        while (began := time.perf_counter()) < end:
            writer.write(next(waiting))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            body = await reader.readexactly(length)
            took.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 200") or DEGRADED in body:
                next(errors)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return took, next(errors)


def _at(values: Sequence[float], share: float) -> float:
    """A percentile, in milliseconds."""
    ranked = sorted(values)
    return 1_000 * ranked[min(int(share * len(ranked)), len(ranked) - 1)] if ranked else 0.0


def load(child: Child, requests: Requests, route: str, connections: int, seconds: float) -> Load:
    """Put so many connections on a route for so long."""
    child.ask("lag")
    began, before = time.perf_counter(), child.ask("cpu")
    took, errors = asyncio.run(_drive(requests, route, connections, seconds))
    per_second = len(took) / (time.perf_counter() - began)
    cpu, late = 1_000 * (child.ask("cpu") - before) / len(took), child.ask("lag")
    halves = (_at(took, 0.5), _at(took, 0.99))
    return Load(route, connections, per_second, cpu, *halves, errors, _at(late, 0.99), _at(late, 1.0))


@dataclass(frozen=True, slots=True)
class Round:
    """Answers a second, and the server's CPU milliseconds for one, of the module alone and over HTTP."""

    alone: float
    http: float
    alone_cpu: float
    http_cpu: float


def _alone(child: Child, threads: int, seconds: float) -> tuple[float, float]:
    """Answers a second of the module, and CPU milliseconds of one."""
    before = child.ask("cpu")
    answers = len(child.ask(f"alone {seconds} {threads}"))
    return answers / seconds, 1_000 * (child.ask("cpu") - before) / answers


def compared(child: Child, requests: Requests, *, rounds: int, seconds: float) -> list[Round]:
    """The module alone, with as many threads as serve it best, and over HTTP, in turns."""
    told = []
    for _ in range(rounds):
        alone = [_alone(child, threads, seconds) for threads in ALONE_THREADS]
        over = load(child, requests, "POST /retrieve", COMPARED_AT, seconds)
        told.append(Round(max(rate for rate, _ in alone), over.per_second, min(cpu for _, cpu in alone), over.cpu))
    return told


def main(arguments: Sequence[str]) -> int:
    """Measure and tell; 1 if an answer failed or HTTP costs more than a fifth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison")
    parser.add_argument("--connections", type=int, nargs="*", default=CONNECTIONS)
    parser.add_argument("--together", action="store_true", help="server and load share all cores")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    apart = len(cores) > 1 and not chosen.together
    child = Child(str(cores[0]) if apart else "")
    if apart:
        os.sched_setaffinity(0, set(cores[1:]))
    requests = Requests(child.told)
    child.ask("alone 1 1")
    turns = compared(child, requests, rounds=chosen.rounds, seconds=chosen.seconds)
    loads = [
        load(child, requests, route, connections, chosen.seconds)
        for route in ("POST /retrieve", "GET /crawl/{id}")
        for connections in chosen.connections
    ]
    child.close()
    ratio = median(turn.http / turn.alone for turn in turns)
    _show(loads, turns, ratio, apart=apart)
    if chosen.json:
        told = {
            "ratio": ratio,
            "turns": [asdict(turn) for turn in turns],
            "loads": [asdict(row) for row in loads],
            "apart": apart,
        }
        chosen.json.write_text(json.dumps(told, indent=2))
    return 1 if ratio < GOAL or any(row.errors for row in loads) else 0


def _show(loads: Sequence[Load], turns: Sequence[Round], ratio: float, *, apart: bool) -> None:
    table = Table(title="under load, milliseconds" + (", server on one core" if apart else ""))
    for name in ("route", "at once", "answers/s", "CPU each", "p50", "p99", "errors", "loop late p99", "most"):
        table.add_column(name, justify="left" if name == "route" else "right")
    for row in loads:
        figures = (row.per_second, row.cpu, row.p50, row.p99)
        shown = [f"{figure:.1f}" for figure in figures]
        table.add_row(
            row.route, str(row.connections), *shown, str(row.errors), f"{row.loop_p99:.1f}", f"{row.loop_most:.1f}"
        )
    console = Console(width=110)
    console.print(table)
    told = ", ".join(f"{turn.http:.0f} of {turn.alone:.0f}" for turn in turns)
    share = median(turn.alone_cpu / turn.http_cpu for turn in turns)
    console.print(f"POST /retrieve reaches {ratio:.2f} of the module alone (answers a second by turn: {told})")
    console.print(f"of the CPU time of an answer over HTTP, {share:.2f} is the module's own")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
