"""Ctrl-C."""

from __future__ import annotations

import subprocess
import sys


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own prints that runs this code."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own words


SWALLOWED = """
import os, signal
from pipeline.cli import interrupts

interrupts.listen()
interrupts.check()
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("swallowed")
try:
    interrupts.check()
except KeyboardInterrupt:
    print("heard")
interrupts.check()
print("once")
"""


def test_a_swallowed_interrupt_is_heard_at_the_next_look() -> None:
    """What Python drops in a finalizer ends the command in its next round, once."""
    done = run_python(SWALLOWED)

    assert done.stdout.split() == ["swallowed", "heard", "once"], done.stderr


IN_A_FINALIZER = """
import os, signal
from pipeline.cli import interrupts

class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

class Broken:
    def __del__(self):
        raise ValueError("told")

interrupts.listen()
Closing()
Broken()
try:
    interrupts.check()
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interrupt_in_a_finalizer_leaves_no_trace() -> None:
    """Python drops it and says so at length; here only other failures are told."""
    done = run_python(IN_A_FINALIZER)

    assert done.stdout.split() == ["heard"], done.stderr
    assert "KeyboardInterrupt" not in done.stderr
    assert "told" in done.stderr
