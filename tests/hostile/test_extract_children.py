"""A page can end the child that parses it, and nothing else."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.parser_pool import ParserPool
from pipeline.errors import ExtractionFailed, PageTooSlow
from pipeline.settings import ExtractSettings

BROKEN = "tests.hostile.broken_parsers.misbehave"
URL = "https://www.example.com/page"


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    """Two children that do what a page says, each given a second and 200 MiB."""
    limits = ExtractSettings(processes=2, timeout=timedelta(seconds=1), memory_limit=200 * 2**20)
    with ParserPool(limits, function=BROKEN) as children:
        yield children


def still_works(pool: ParserPool) -> bool:
    """Whether both children answer."""
    return [pool.extract(b"fine", url=URL).markdown for _ in range(2)] == ["fine", "fine"]


def test_an_endless_loop_is_stopped(pool: ParserPool) -> None:
    """A page that never ends costs its time limit, and is too slow."""
    began = time.monotonic()

    with pytest.raises(PageTooSlow, match="1"):
        pool.extract(b"loop", url=URL)

    assert time.monotonic() - began < 30
    assert still_works(pool)


@pytest.mark.parametrize(("page", "fact"), [(b"abort", "SIGABRT"), (b"segfault", "SIGSEGV"), (b"exit", "status 3")])
def test_a_crash_costs_one_page(pool: ParserPool, page: bytes, fact: str) -> None:
    """A parser that crashes fails its page, says how it ended, and is replaced."""
    with pytest.raises(ExtractionFailed, match=fact):
        pool.extract(page, url=URL)

    assert still_works(pool)


def test_memory_has_a_limit() -> None:
    """A page that wants all memory fails alone."""
    limits = ExtractSettings(processes=2, timeout=timedelta(minutes=1), memory_limit=200 * 2**20)
    with ParserPool(limits, function=BROKEN) as patient_pool:
        with pytest.raises(ExtractionFailed, match="memory"):
            patient_pool.extract(b"memory", url=URL)

        assert still_works(patient_pool)


@pytest.mark.parametrize("page", [b"raise", b"nonsense"])
def test_an_unexpected_answer_fails_the_page(pool: ParserPool, page: bytes) -> None:
    """Whatever a parser raises or returns instead of a document fails the page by name."""
    with pytest.raises(ExtractionFailed):
        pool.extract(page, url=URL)

    assert still_works(pool)


def test_a_parser_that_prints_breaks_nothing(pool: ParserPool) -> None:
    """What a parser prints does not get between the answers."""
    assert pool.extract(b"print", url=URL).markdown == "print"
    assert still_works(pool)


def test_a_large_page_and_its_type_arrive_whole(pool: ParserPool) -> None:
    """A page of ten megabytes passes both ways without loss."""
    page = b"x" * (10 * 2**20)

    document = pool.extract(page, url=URL, content_type="text/html")

    assert len(document.markdown) == len(page)
    assert document.title == "text/html"


def test_children_know_no_secrets(pool: ParserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the parent, secrets among them, are not in a child's environment."""
    monkeypatch.setenv("SITEWISE_DATABASE__URL", "postgresql://secret@db/x")

    with pytest.raises(ExtractionFailed):
        pool.extract(b"exit", url=URL)

    assert "SITEWISE" not in pool.extract(b"environment", url=URL).markdown


def test_many_threads_share_the_children(pool: ParserPool) -> None:
    """Pages of many threads get their own answers, also when children die in between."""

    def one(number: int) -> str:
        try:
            return pool.extract(b"abort" if number % 7 == 0 else str(number).encode(), url=URL).markdown
        except ExtractionFailed:
            return "ended"

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(one, range(28)))

    assert answers == ["ended" if number % 7 == 0 else str(number) for number in range(28)]


def test_a_child_outlives_the_thread_that_used_it() -> None:
    """Children are not bound to the thread that asked for them."""
    with ParserPool(ExtractSettings(processes=1), function=BROKEN) as pool:
        seen: list[str] = []

        def crash() -> None:
            with pytest.raises(ExtractionFailed):
                pool.extract(b"abort", url=URL)
            seen.append(pool.extract(b"pid", url=URL).markdown)

        thread = threading.Thread(target=crash)
        thread.start()
        thread.join()

        assert pool.extract(b"pid", url=URL).markdown == seen[0]


def test_closing_ends_every_child_and_every_wait() -> None:
    """After closing no child is left, not even as a zombie, and a page being parsed is given up."""
    pool = ParserPool(ExtractSettings(processes=1, timeout=timedelta(seconds=60)), function=BROKEN)
    pid = int(pool.extract(b"pid", url=URL).markdown)

    with ThreadPoolExecutor(2) as threads:
        waits = [threads.submit(pool.extract, b"loop", url=URL) for _ in range(2)]
        pool.close()

        assert all(isinstance(wait.exception(timeout=10), ExtractionFailed) for wait in waits)
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ExtractionFailed, match="closed"):
        pool.extract(b"late", url=URL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("page", ["fine", "loop"])
def test_children_die_with_a_killed_parent(page: str) -> None:
    """A parent that is killed leaves no child behind, idle or in an endless page."""
    script = (
        "import sys, threading\n"
        "from pipeline.adapters.parser_pool import ParserPool\n"
        "from pipeline.settings import ExtractSettings\n"
        f"pool = ParserPool(ExtractSettings(processes=1), function={BROKEN!r})\n"
        f"print(pool.extract(b'pid', url='').markdown, flush=True)\n"
        f"pool.extract({page.encode()!r}, url='')\n"
        "threading.Event().wait()\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: S603 - this interpreter and the script above
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        watched = os.pidfd_open(pid)

        parent.kill()

        assert _ends(watched, seconds=10)


def _ends(pidfd: int, *, seconds: float) -> bool:
    """Whether the process behind this descriptor ends in time."""
    try:
        return bool(select.select([pidfd], [], [], seconds)[0])
    finally:
        os.close(pidfd)
