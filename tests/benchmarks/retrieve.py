"""A whole briefing, query embedding included, over knowledge bases of several sizes: p50, p99, CPU and statements.

`python -m tests.benchmarks.retrieve [--chunks N …] [--orgs N …] [--callers N …]`; `--peer-python` names a Python with
LlamaIndex, whose default pipeline is asked the same of the same vectors. With `SITEWISE_TEST_QDRANT_URL` and `--server`
the points are on that server. `--keep FOLDER` leaves what was filled for the next call, `--fill` only fills. Vectors
are drawn around random centres; the questions' own are computed by the model.

Cold is the first briefing of all: nothing is opened, the model is not loaded, and no file of the folder is in memory.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import event

from pipeline.bootstrap import Services
from pipeline.model import OrgScope
from pipeline.services.answers import Question
from tests.benchmarks.retrieve_base import Base
from tests.benchmarks.retrieve_peer import measure_peer
from tests.benchmarks.retrieve_rows import Shape, words
from tests.evaluation.report import say

QUESTIONS = 300
WARM = 30
QUESTION_WORDS = 10
MEASURED_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of answers: the very first, and of those after it; CPU and statements of one."""

    first: float
    p50: float
    p99: float
    a_second: float
    cpu: float = 0.0
    statements: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every combination and print a Markdown table."""
    options = _parser().parse_args(arguments)
    url = os.environ["SITEWISE_TEST_QDRANT_URL"] if options.server else None
    say("| chunks | orgs | callers | store | cold | p50 | p99 | answers/s | CPU | statements |\n|" + "---|" * 10)
    with tempfile.TemporaryDirectory(prefix="sitewise-") as passing:
        folder = options.keep or Path(passing)
        for chunks in options.chunks:
            for orgs in options.orgs:
                if orgs <= chunks:
                    _measure(Base(folder / f"{chunks}-{orgs}", Shape(chunks, orgs), url), options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.retrieve", description=__doc__)
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000], help="1000000 needs 8 GB and time")
    parser.add_argument("--orgs", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--server", action="store_true", help="points on SITEWISE_TEST_QDRANT_URL")
    parser.add_argument("--keep", type=Path, help="where filled knowledge bases are left, and looked for")
    parser.add_argument("--fill", action="store_true", help="fill them and measure nothing")
    parser.add_argument("--peer-python", type=Path, help="a Python that has LlamaIndex")
    parser.add_argument("--peer-only", action="store_true", help="measure LlamaIndex alone")
    return parser


def _measure(base: Base, options: argparse.Namespace) -> None:
    if not options.peer_only:
        base.fill()
        for callers in () if options.fill else options.callers:
            _say(base.shape, callers, base.where, measure(base, callers=callers, questions=options.questions))
        if not options.keep:
            base.drop()
    if options.peer_python and not options.fill:
        first, p50, p99 = measure_peer(options.peer_python, base.shape, dimension=base.identity.dimension)
        _say(base.shape, 1, "LlamaIndex", Taken(first, p50, p99, 1_000 / p50))


def _say(shape: Shape, callers: int, where: str, taken: Taken) -> None:
    figures = (f"{taken.first:.0f}", f"{taken.p50:.1f}", f"{taken.p99:.1f}", f"{taken.a_second:.0f}")
    own = (f"{taken.cpu:.1f}", f"{taken.statements:.1f}") if taken.cpu else ("", "")
    say("| " + " | ".join([f"{shape.chunks:,}", f"{shape.orgs:,}", str(callers), where, *figures, *own]) + " |")


def measure(base: Base, *, callers: int, questions: int) -> Taken:
    """Ask so many questions of orgs in turn, by so many threads at once."""
    rng = np.random.default_rng(7)
    asked = [words(QUESTION_WORDS, rng) for _ in range(questions + WARM)]
    scopes = base.shape.scopes()
    whose = [scopes[number] for number in rng.integers(0, len(scopes), len(asked))]
    base.forget_files()
    began = time.perf_counter()
    with base.opened() as services:
        services.answers.brief(Question(asked[0]), scope=whose[0])
        first = time.perf_counter() - began
        for message, scope in zip(asked[:WARM], whose, strict=False):
            services.answers.brief(Question(message), scope=scope)
        for scope in dict.fromkeys(whose):  # what is measured of an org at its first question is measured by now
            services.answers.brief(Question(asked[0]), scope=scope)
        services.nearness_scales.aside.wait(MEASURED_SECONDS)
        return _warm(services, asked[WARM:], whose[WARM:], callers=callers, first=first)


def _warm(services: Services, asked: Sequence[str], whose: Sequence[OrgScope], *, callers: int, first: float) -> Taken:
    seconds: list[float] = []
    statements: list[str] = []

    def ask(number: int) -> float:
        began = time.perf_counter()
        services.answers.brief(Question(asked[number]), scope=whose[number])
        return time.perf_counter() - began

    def run(numbers: Sequence[int]) -> None:
        seconds.extend([ask(number) for number in numbers])

    services.briefings.flush()
    with _counted(services, statements):
        cpu, began = time.process_time(), time.perf_counter()
        threads = [threading.Thread(target=run, args=(range(at, len(asked), callers),)) for at in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - began
        services.briefings.flush()
        cpu = time.process_time() - cpu
    p50, p99 = np.percentile(seconds, [50, 99]) * 1_000
    each = len(seconds)
    return Taken(1_000 * first, float(p50), float(p99), each / wall, 1_000 * cpu / each, len(statements) / each)


@contextmanager
def _counted(services: Services, statements: list[str]) -> Iterator[None]:
    """Note every statement that is sent meanwhile."""

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        del connection, cursor, rest
        statements.append(statement)

    event.listen(services.database.engine, "before_cursor_execute", note)
    yield
    event.remove(services.database.engine, "before_cursor_execute", note)


if __name__ == "__main__":
    raise SystemExit(main())
