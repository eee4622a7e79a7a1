"""Being told to end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ENDS = """
import os, signal, threading
from pipeline.owner.told import Told

told = Told()
main = os.getpid()
threading.Thread(target=lambda: [os.kill(main, signal.{name}) for _ in range(200)], daemon=True).start()
told.wait()
print("ended")
"""
TAKEN = """
import os, signal, sys, threading
from pipeline.owner.told import Told

told = Told()
main = threading.get_ident()

def take():
    while sys._current_frames()[main].f_code is not Told.wait.__code__:
        pass
    os.kill(os.getpid(), signal.{name})
    threading.Event().wait()

threading.Thread(target=take, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])  # so that it is the other thread's
told.wait()
print("ended")
"""


@pytest.mark.parametrize("code", [ENDS, TAKEN], ids=["at any moment", "taken by another thread"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_at_any_moment_of_the_wait_ends_it(name: str, code: str) -> None:
    """Signals that interrupt the wait again and again never lock it up; nor does one that wakes nobody."""
    told = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code.format(name=name)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (told.returncode, told.stdout) == (0, "ended\n")


def test_nobody_told_is_a_no() -> None:
    """A wait that ends by its time says so."""
    code = "from pipeline.owner.told import Told; print(Told().wait(0.01))"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603

    assert told.stdout == "False\n"
