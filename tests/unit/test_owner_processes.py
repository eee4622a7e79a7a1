"""Children that are kept alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from pipeline.owner.processes import Program, Supervisor
from tests.lab.waiting import eventually

UNTIL_STDIN_CLOSES = [sys.executable, "-c", "import sys; sys.stdin.read()"]
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(600)"]
WITH_GRANDCHILD = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.Popen(['sleep', '600']); sys.stdin.read()",
]
PARENT = """
import sys, threading
from pipeline.owner.processes import Program, Supervisor
with Supervisor([Program(name="child", command={command!r})]) as supervisor:
    while not supervisor.pids:
        threading.Event().wait(0.01)
    print(supervisor.pids["child"], flush=True)
    threading.Event().wait()
"""


def _running(supervisor: Supervisor, name: str = "child", *, other_than: int | None = None) -> int:
    def pid() -> int | None:
        found = supervisor.pids.get(name)
        return found if found != other_than else None

    return eventually(pid) or 0


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_child_is_started_again() -> None:
    """A child that dies has a successor."""
    with Supervisor([Program(name="child", command=UNTIL_STDIN_CLOSES)]) as supervisor:
        first = _running(supervisor)
        os.kill(first, signal.SIGKILL)

        second = _running(supervisor, other_than=first)

        assert second
        assert not _is_gone(second)


def test_closing_ends_a_child_that_will_not_listen() -> None:
    """A child that ignores the request to end is killed when its time is over."""
    with Supervisor([Program(name="child", command=DEAF)], grace_seconds=0.2) as supervisor:
        deaf = _running(supervisor)

    assert _is_gone(deaf)


def test_a_dead_child_leaves_no_children() -> None:
    """What a child started goes with it."""
    with Supervisor([Program(name="child", command=WITH_GRANDCHILD)]) as supervisor:
        child = psutil.Process(_running(supervisor))
        grandchild = eventually(child.children)[0]
        os.kill(child.pid, signal.SIGKILL)

        eventually(lambda: _is_gone(grandchild.pid), what="grandchild gone")


def test_a_program_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    """A missing program does not stop the others, and works once it is there."""
    late = tmp_path / "late"
    programs = [Program(name="late", command=[str(late)]), Program(name="child", command=UNTIL_STDIN_CLOSES)]

    with Supervisor(programs) as supervisor:
        assert _running(supervisor)
        late.write_text("#!/bin/sh\nread line\n")
        late.chmod(0o700)

        assert _running(supervisor, "late")


def test_children_of_a_killed_parent_know() -> None:
    """The child's standard input closes, however its parent ended."""
    code = PARENT.format(command=UNTIL_STDIN_CLOSES)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        parent.kill()

    eventually(lambda: _is_gone(child), what="child gone")


def test_lines_of_a_child_are_kept_in_its_file(tmp_path: Path) -> None:
    """A log file grows to its limit, and is then set aside at the next start."""
    log_file = tmp_path / "logs" / "child.log"
    says = [sys.executable, "-c", "import sys; print('hello', file=sys.stderr, flush=True); sys.stdin.read()"]

    with Supervisor([Program(name="child", command=says, log_file=log_file)]):
        eventually(lambda: log_file.exists() and "hello" in log_file.read_text(), what="line")


def test_a_child_that_is_not_wanted_yet_begins_when_it_is() -> None:
    """Asked again and again; those beside it do not wait."""
    wanted = threading.Event()
    late = Program(name="late", command=UNTIL_STDIN_CLOSES, wanted=wanted.is_set)

    with Supervisor([late, Program(name="child", command=UNTIL_STDIN_CLOSES)]) as supervisor:
        _running(supervisor)
        before = dict(supervisor.pids)
        wanted.set()

        assert "late" not in before
        assert _running(supervisor, "late")
