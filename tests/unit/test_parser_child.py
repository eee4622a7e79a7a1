"""The parsing child by itself, and a pool whose children end, stop or grow old."""

from __future__ import annotations

import errno
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from pipeline.adapters.parser_child import LENGTH, READY, receive, send
from pipeline.adapters.parser_pool import ParserPool, started
from pipeline.errors import ExtractionFailed, PageTooSlow, ParserUnavailable
from pipeline.model import Document
from pipeline.settings import ExtractSettings

URL = "https://www.example.com/"
BROKEN = "tests.hostile.broken_parsers.misbehave"
MEBIBYTE = 2**20


class Child:
    """A parsing child and the pipes to it."""

    def __init__(self, function: str = BROKEN, *, parent: int | None = None) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [
                sys.executable,
                "-P",
                "-m",
                "pipeline.adapters.parser_child",
                function,
                str(300 * MEBIBYTE),
                str(parent or os.getpid()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.requests = cast("BinaryIO", self.process.stdin)
        self.answers = cast("BinaryIO", self.process.stdout)

    def ask(self, html: bytes) -> object:
        """The answer to one page."""
        send(self.requests, pickle.dumps((html, URL, "text/html")))
        answer = self.listen()
        return None if answer is None else pickle.loads(answer)  # noqa: S301 - written by our own child

    def listen(self) -> bytes | None:
        """The next message; None when the child is gone."""
        return receive(self.answers)

    def close(self) -> int:
        """Close the pipe to it and give its exit status."""
        self.requests.close()
        status = self.process.wait(30)
        self.answers.close()
        return status


def problem(answer: object) -> object:
    """Why a page failed."""
    assert isinstance(answer, ExtractionFailed)
    return answer.facts["problem"]


def test_a_child_answers_page_by_page_until_its_pipe_is_closed() -> None:
    """It says that it is ready, answers every page whatever became of the last one, and ends by itself."""
    child = Child()

    first = child.listen()
    answers = [child.ask(html) for html in (b"raise", b"memory", b"print", b"hello")]
    status = child.close()

    assert first == READY
    assert [problem(answer) for answer in answers[:2]] == [
        "ZeroDivisionError: division by zero",
        "it needs more memory than a page may",
    ]
    assert [cast("Document", answer).markdown for answer in answers[2:]] == ["print", "hello"]
    assert status == 0


def test_a_refusal_of_the_stage_arrives_as_itself() -> None:
    """An error that the extractor names keeps its name and its facts."""
    child = Child("pipeline.stages.extract.extract")

    first = child.listen()
    refusal = child.ask(b"")
    status = child.close()

    assert first == READY
    assert problem(refusal) == "no HTML in it"
    assert status == 0


def test_half_a_request_is_the_end() -> None:
    """A parent that is gone in the middle of a request is gone: the child answers nothing and ends."""
    child = Child()

    first = child.listen()
    child.requests.write(LENGTH.pack(1_000) + b"half")
    status = child.close()

    assert first == READY
    assert status == 0


def test_a_child_whose_parent_is_gone_ends_at_once() -> None:
    """A child that finds another parent than the one that started it parses nothing."""
    child = Child(parent=1)

    first = child.listen()
    status = child.close()

    assert first is None
    assert status == 0


@pytest.fixture
def pool() -> Iterator[ParserPool]:
    """One child, and a short time for each page."""
    limits = ExtractSettings(processes=1, timeout=timedelta(seconds=1), memory_limit=300 * MEBIBYTE)
    with ParserPool(limits, function=BROKEN) as children:
        yield children


class Scarce:
    """A machine that has no process to give, so many times, and then has."""

    def __init__(self, refusals: float) -> None:
        self.left = refusals

    def start(self, function: str, memory_limit: int) -> subprocess.Popen[bytes]:
        """A child, or what `fork` says."""
        if self.left > 0:
            self.left -= 1
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return started(function, memory_limit)


def test_a_child_that_could_not_be_started_is_started_later() -> None:
    """No process to be had for a moment costs no parser for good."""
    with ParserPool(
        ExtractSettings(processes=1), function=BROKEN, start=Scarce(3).start, pauses=[0.0, 0.0]
    ) as children:
        assert pid_of(children) > 0


def test_who_waits_for_a_child_that_cannot_be_started_is_told() -> None:
    """The spider ends, and is started again when there is room."""
    with (
        ParserPool(
            ExtractSettings(processes=1), function=BROKEN, start=Scarce(math.inf).start, pauses=[0.0]
        ) as children,
        pytest.raises(ParserUnavailable, match="temporarily unavailable"),
    ):
        pid_of(children)


def pid_of(pool: ParserPool) -> int:
    """The process that parses."""
    return int(pool.extract(b"pid", url=URL).markdown)


def test_a_child_that_ended_between_pages_costs_none(pool: ParserPool) -> None:
    """The next page goes to another child."""
    first = pid_of(pool)

    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)

    assert pid_of(pool) != first


def test_a_child_that_reads_nothing_is_given_up(pool: ParserPool) -> None:
    """A page larger than the pipe, to a child that stands still, costs its time limit and no more."""
    first = pid_of(pool)

    os.kill(first, signal.SIGSTOP)
    with pytest.raises(PageTooSlow) as slow:
        pool.extract(b"x" * MEBIBYTE, url=URL)

    assert slow.value.facts["seconds"] == 1.0
    assert pid_of(pool) != first


def test_a_page_that_cannot_be_sent_harms_no_other(pool: ParserPool) -> None:
    """What is no bytes is the caller's mistake; the next page is parsed."""
    with pytest.raises(TypeError):
        pool.extract(memoryview(b"page"), url=URL)  # type: ignore[arg-type]

    assert pool.extract(b"next", url=URL).markdown == "next"


def test_a_child_is_replaced_after_two_thousand_pages(pool: ParserPool) -> None:
    """Whatever a parser leaks ends with its child, and no page is lost at the change."""
    pids = [pid_of(pool) for _ in range(2_001)]

    assert len(set(pids[:2_000])) == 1
    assert pids[2_000] != pids[0]


def test_a_parser_that_cannot_be_started_fails_its_pages() -> None:
    """A page whose parser ends while it starts says so instead of waiting."""
    with (
        ParserPool(ExtractSettings(processes=1), function="tests.hostile.broken_parsers.absent") as pool,
        pytest.raises(ExtractionFailed, match="ended with status 1"),
    ):
        pool.extract(b"page", url=URL)


def test_a_closed_pool_refuses_pages(pool: ParserPool) -> None:
    """After closing, every page is refused, not only the first."""
    pool.close()

    for _ in range(2):
        with pytest.raises(ExtractionFailed, match="the parsers were closed"):
            pool.extract(b"page", url=URL)
