"""A whole briefing, query embedding included, over knowledge bases of several sizes: p50, p99, CPU and statements.

`python -m tests.benchmarks.retrieve [--chunks N …] [--orgs N …] [--callers N …]`; `--peer-python` names a Python with
LlamaIndex, whose default pipeline is asked the same of the same vectors. With `SITEWISE_TEST_QDRANT_URL` and `--server`
the points are on that server. Vectors are drawn around random centres; the questions' own are computed by the model.
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
from uuid import uuid4

import numpy as np
from qdrant_client import QdrantClient
from sqlalchemy import event

from pipeline.adapters.qdrant.edge import EdgeStore
from pipeline.adapters.qdrant.opening import edge_path
from pipeline.adapters.qdrant.port import VectorStore
from pipeline.adapters.qdrant.server import ServerStore
from pipeline.bootstrap import Services
from pipeline.db.revision import upgrade
from pipeline.model import OrgScope
from pipeline.services.answers import Question
from pipeline.settings import Settings, read_settings
from tests.benchmarks.retrieve_peer import measure_peer
from tests.benchmarks.retrieve_rows import Shape, fill, words
from tests.benchmarks.stages import NoHints
from tests.evaluation.report import say

QUESTIONS = 300
WARM = 30
QUESTION_WORDS = 10


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
    say("| chunks | orgs | callers | store | cold | p50 | p99 | answers/s | CPU | statements |\n|" + "---|" * 10)
    for chunks in options.chunks:
        for orgs in options.orgs:
            if orgs <= chunks:
                _measure(Shape(chunks, orgs), options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.retrieve", description=__doc__)
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000], help="1000000 needs 8 GB and time")
    parser.add_argument("--orgs", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--server", action="store_true", help="points on SITEWISE_TEST_QDRANT_URL")
    parser.add_argument("--peer-python", type=Path, help="a Python that has LlamaIndex")
    return parser


def _measure(shape: Shape, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="sitewise-") as folder:
        settings = read_settings(data_dir=Path(folder))
        with _opened(settings, server=options.server) as store, Services(settings, hints=NoHints(), store=store) as use:
            upgrade(use.database)
            identity = use.shared_embedder().identity
            store.prepare(identity)
            fill(use.database, store, shape, model=identity.fingerprint, dimension=identity.dimension)
            for callers in options.callers:
                taken = measure(use, shape.scopes(), callers=callers, questions=options.questions)
                _say(shape, callers, "server" if options.server else "embedded", taken)
        if options.peer_python:
            first, p50, p99 = measure_peer(options.peer_python, shape, dimension=identity.dimension)
            _say(shape, 1, "LlamaIndex", Taken(first, p50, p99, 1_000 / p50))


def _say(shape: Shape, callers: int, where: str, taken: Taken) -> None:
    figures = (f"{taken.first:.0f}", f"{taken.p50:.1f}", f"{taken.p99:.1f}", f"{taken.a_second:.0f}")
    own = (f"{taken.cpu:.1f}", f"{taken.statements:.1f}") if taken.cpu else ("", "")
    say("| " + " | ".join([f"{shape.chunks:,}", f"{shape.orgs:,}", str(callers), where, *figures, *own]) + " |")


def measure(services: Services, scopes: Sequence[OrgScope], *, callers: int, questions: int) -> Taken:
    """Ask so many questions of orgs in turn, by so many threads at once."""
    rng = np.random.default_rng(7)
    asked = [words(QUESTION_WORDS, rng) for _ in range(questions + WARM)]
    order = rng.integers(0, len(scopes), len(asked))
    seconds: list[float] = []
    statements: list[str] = []

    def ask(number: int) -> float:
        began = time.perf_counter()
        services.answers.brief(Question(asked[number]), scope=scopes[order[number]])
        return time.perf_counter() - began

    def run(numbers: Sequence[int]) -> None:
        seconds.extend([ask(number) for number in numbers])

    first = ask(0)
    for number in range(WARM):
        ask(number)
    services.briefings.flush()
    with _counted(services, statements):
        cpu, began = time.process_time(), time.perf_counter()
        threads = [threading.Thread(target=run, args=(range(WARM + at, len(asked), callers),)) for at in range(callers)]
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


@contextmanager
def _opened(settings: Settings, *, server: bool) -> Iterator[VectorStore]:
    """An empty store: embedded in this process, or a collection of its own on the server."""
    if not server:
        edge = EdgeStore(edge_path(settings))
        yield edge
        edge.close()
        return
    url, collection = os.environ["SITEWISE_TEST_QDRANT_URL"], f"bench-{uuid4().hex}"
    store = ServerStore(url, api_key=None, collection=collection, timeout=settings.upsert.timeout * 6)
    yield store
    store.close()
    client = QdrantClient(url=url, check_compatibility=False)
    client.delete_collection(collection)
    client.close()


if __name__ == "__main__":
    raise SystemExit(main())
