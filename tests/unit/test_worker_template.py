"""Workers are copies of a process that has loaded what they need, started again by a supervisor like any other."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.adapters.process_template import ProcessTemplate
from pipeline.owner.processes import Program, Supervisor
from tests.lab.memory import memory_of
from tests.lab.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has what copies need")

SECRET = "SITEWISE_DATABASE__URL"  # noqa: S105 - a variable's name
UNREACHABLE = "postgresql+psycopg://sitewise:hush@127.0.0.1:9/none"
"""Nobody listens there: a worker says so and ends."""

WRONG = [sys.executable, "-m", "workers.run", "--queues=none"]
INVALID_INPUT = 2
SAYS = "The request cannot be carried out as given (queues: none, allowed: crawl, index, upkeep)."
WAITS = [sys.executable, "-m", "workers.run", "--queues=upkeep", "--watch-stdin"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A worker that is told of no queue there is: it says so in its log, and ends with status 2."""
    template = ProcessTemplate("workers.template")
    template.prepare()
    environment = {**os.environ, SECRET: UNREACHABLE}
    yield Program("worker", WRONG, environment=environment, log_file=tmp_path / "log", template=template)
    template.close()


def _templates() -> list[psutil.Process]:
    """Those of this process that run; children that just ended have no command line any more."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "workers.template" in child.cmdline():
                found.append(child)
    return found


def test_a_worker_is_a_copy_and_says_what_a_started_one_would(program: Program) -> None:
    """Its arguments, its log and its exit status are those of the command."""
    assert program.template is not None
    assert program.log_file is not None
    assert program.template.loaded()
    with program.log_file.open("wb") as log:
        copy = program.template.start(["--queues=none"], program.environment, output=log.fileno())

    assert copy is not None
    assert copy.stdin is not None
    assert copy.wait() == INVALID_INPUT
    assert program.log_file.read_text().splitlines() == [SAYS]
    copy.stdin.close()


def test_a_supervisor_starts_copies_again_and_again(program: Program) -> None:
    """Of one template, with the log that the program has."""
    assert program.template is not None
    assert program.log_file is not None
    assert program.template.loaded()
    (template,) = _templates()
    log = program.log_file
    with Supervisor([program]):
        eventually(lambda: log.exists() and len(log.read_text().splitlines()) > 1, what="two starts")
        still = template.status()

    assert still != psutil.STATUS_ZOMBIE
    assert set(log.read_text().splitlines()) == {SAYS}


def test_the_template_does_not_know_what_its_copies_are_told(program: Program) -> None:
    """No address and no password is in its memory."""
    assert program.template is not None
    assert program.template.loaded()
    (template,) = _templates()
    log = program.log_file
    assert log is not None
    with Supervisor([program]):
        eventually(lambda: log.exists() and log.read_text(), what="a start")

        assert b"hush" not in memory_of(template.pid)


def test_a_worker_begins_from_nothing_where_its_template_was_lost(program: Program) -> None:
    """And those after it are copies again."""
    assert program.template is not None
    assert program.template.loaded()
    (first,) = _templates()
    first.send_signal(signal.SIGKILL)
    eventually(lambda: first.status() == psutil.STATUS_ZOMBIE)
    log = program.log_file
    assert log is not None

    with Supervisor([program]):
        eventually(lambda: log.exists() and len(log.read_text().splitlines()) > 1, what="two starts")
        eventually(lambda: any(one.pid != first.pid for one in _templates()), what="another template")

    assert set(log.read_text().splitlines()) == {SAYS}


def test_a_supervisor_that_is_told_to_end_does_not_wait_for_a_template() -> None:
    """One that loads is given up, and no worker begins."""
    template = ProcessTemplate("workers.template")
    template.prepare()
    with Supervisor([Program("worker", WAITS, template=template)]) as supervisor:
        (loading,) = _templates()
    began = supervisor.pids

    assert began == {}
    eventually(lambda: loading.status() == psutil.STATUS_ZOMBIE, what="template gone")
    template.close()
