"""Ctrl-C."""

from __future__ import annotations

import subprocess
import sys

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
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert done.stdout.split() == ["swallowed", "heard", "once"], done.stderr
