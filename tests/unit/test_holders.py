"""Holders of leases, and what proves that one is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pipeline.holders import has_ended, this_process

SIGNS = "import sys; from pipeline.holders import this_process; print(this_process(), flush=True); sys.stdin.read()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process when it began")


def _holder() -> tuple[subprocess.Popen[str], str]:
    """A process, and how it signs."""
    command = [sys.executable, "-c", SIGNS]
    started = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own code
    assert started.stdout is not None
    return started, started.stdout.readline().strip()


def test_a_process_that_lives_has_not_ended() -> None:
    """Others see it, and it sees itself."""
    process, holder = _holder()
    with process:
        lives = has_ended(holder)
        process.communicate()

    assert not lives
    assert not has_ended(this_process())


def test_a_killed_process_has_ended_before_anybody_buried_it() -> None:
    """A process that only waits to be reaped holds nothing."""
    process, holder = _holder()
    with process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        is_known = has_ended(holder)

        assert is_known
        assert process.wait() == -signal.SIGKILL
    assert has_ended(holder)


def test_a_number_that_is_given_out_again_is_another_process() -> None:
    """Only number and start together are one."""
    host, machine, started, pid = this_process().split(":")

    assert has_ended(f"{host}:{machine}:{int(started) - 1}:{pid}")


@pytest.mark.parametrize("holder", ["roll-back", "host:1", "host:{machine}x:1:{pid}", "host:{machine}:1:none", ""])
def test_of_a_process_elsewhere_nothing_is_known(holder: str) -> None:
    """Another machine, another container, or somebody who signs with less: that lease runs out by itself."""
    _, machine, _, pid = this_process().split(":")

    assert not has_ended(holder.format(machine=machine, pid=pid))
